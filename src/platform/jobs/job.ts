import { assert } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { type Id, newId, type TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";

/** Names a job. */
export type JobId = Id<"job">;

/** Who caused a job: it runs on their behalf, under their request id and trace. */
export type JobOrigin = Pick<Context, "requestId" | "actor" | "traceparent">;

/** Work to be done later, once, by a worker. */
export interface NewJob {
  /** Names its handler: `payments.run_saga`; lower case, digits, `_`, `.`, `-`, `:`, up to 100. */
  readonly kind: string;
  /** What the handler needs to know, up to {@link jobLimits.payloadBytesMax} as JSON. */
  readonly payload: JsonObject;
  /** Queue it waits in; default `default`. Same characters as a kind. */
  readonly queue?: string;
  /** Lower runs first among the jobs of one tenant in one queue; -100 to 100, default 0. */
  readonly priority?: number;
  /** Not before this moment; default at once. */
  readonly runAt?: Date;
  /** At most one unfinished job of a tenant and queue has this key; up to 200 characters. */
  readonly uniqueKey?: string;
  /** Runs at most, the first included; 1 to 1,000, default 10. Then it is a dead letter. */
  readonly attemptsMax?: number;
  /** Names it in advance; minted when left out. It does not keep doubles out: `uniqueKey` does. */
  readonly id?: JobId;
  /** In a batch of several callers: who asked for this one, if not the origin of the call. */
  readonly origin?: JobOrigin;
}

/** What became of an enqueued job. */
export interface EnqueuedJob {
  readonly id: JobId;
  /** False when its unique key was taken: `id` is then the job that holds the key. */
  readonly isNew: boolean;
}

/** Stated limits of what may be enqueued. */
export const jobLimits = {
  payloadBytesMax: 65_536,
  nameLengthMax: 100,
  uniqueKeyLengthMax: 200,
  attemptsMax: 1_000,
  attemptsDefault: 10,
  priorityMax: 100,
  batchMax: 10_000,
} as const;

/** Wake-up topic of jobs that may run at once. */
export const jobsTopic = "jobs";
/** Wake-up topic of jobs and schedules that fall due later. */
export const laterTopic = "jobs_later";
/** Wake-up topic of running jobs that somebody cancelled. */
export const cancellationsTopic = "job_cancellations";

/** Every topic of jobs: what a wake-up has to carry for them. */
export const jobTopics = [jobsTopic, laterTopic, cancellationsTopic] as const;

/** Queue of jobs that name none. */
export const defaultQueue = "default";

/** A job as the tables take it: every default filled in. */
export interface JobRow {
  readonly tenantId: TenantId;
  readonly id: JobId;
  readonly queue: string;
  readonly kind: string;
  readonly priority: number;
  readonly attemptsMax: number;
  /** JSON text without raw control characters. */
  readonly payload: string;
  /** JSON text of the {@link JobOrigin}. */
  readonly origin: string;
  readonly uniqueKey: string | undefined;
  readonly runAt: Date | undefined;
}

const name = /^[a-z0-9][a-z0-9_.:-]*$/;

/**
 * Fills in defaults and checks limits.
 *
 * @param origin JSON text of the origin, the same for all jobs of one caller
 * @throws AssertionError when the job is outside the limits: that is a bug of the enqueuing code
 */
export function jobRow(tenantId: TenantId, origin: string, job: NewJob): JobRow {
  const queue = job.queue ?? defaultQueue;
  const priority = job.priority ?? 0;
  const attemptsMax = job.attemptsMax ?? jobLimits.attemptsDefault;
  const payload = JSON.stringify(job.payload);
  assert(isJobName(job.kind), "a job's kind is a short lower-case name");
  assert(isJobName(queue), "a job's queue is a short lower-case name");
  assert(
    Number.isInteger(priority) && Math.abs(priority) <= jobLimits.priorityMax,
    "a job's priority is a whole number from -100 to 100",
  );
  assert(
    Number.isInteger(attemptsMax) && attemptsMax >= 1 && attemptsMax <= jobLimits.attemptsMax,
    "a job's attempts are 1 to 1,000",
  );
  assert(
    payload.length <= jobLimits.payloadBytesMax && isSmallText(payload),
    "a job's payload is at most 64 KiB of JSON",
  );
  const { uniqueKey, runAt } = job;
  if (uniqueKey !== undefined) {
    const { length } = uniqueKey;
    assert(
      length > 0 && length <= jobLimits.uniqueKeyLengthMax,
      "a unique key has 1 to 200 characters",
    );
  }
  const id = job.id ?? newId<"job">();
  return {
    tenantId,
    id,
    queue,
    kind: job.kind,
    priority,
    attemptsMax,
    payload,
    origin,
    uniqueKey,
    runAt,
  };
}

/** Whether a text may name a kind or a queue. */
export function isJobName(text: string): boolean {
  return text.length <= jobLimits.nameLengthMax && name.test(text);
}

/** Encodes an origin for {@link jobRow}. */
export function originText({ requestId, actor, traceparent }: JobOrigin): string {
  return JSON.stringify({ requestId, actor, traceparent });
}

function isSmallText(text: string): boolean {
  // A UTF-16 unit is at most 3 bytes of UTF-8: count only where it could matter.
  if (text.length * 3 <= jobLimits.payloadBytesMax) return true;
  return Buffer.byteLength(text) <= jobLimits.payloadBytesMax;
}
