import { assert } from "../../kernel/assert.ts";
import { fullJitter } from "../../kernel/backoff.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { JsonValue } from "../../kernel/json.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { isInterruption, SagaInterruptedError } from "./errors.ts";
import type {
  RetryPolicy,
  SagaDefinition,
  SagaId,
  SagaOrigin,
  SagaSteps,
  StepError,
  StepRecord,
} from "./saga.ts";
import type { SagaChange } from "./store.ts";

/** What executing runs needs. */
export interface RunDeps {
  readonly db: Db;
  readonly random: Random;
  /** Milliseconds since 1970, for people; never decides anything. */
  readonly now: () => number;
  readonly undoRetry: RetryPolicy;
  /** Saves a change; false when another node has the run. @throws DbError */
  readonly save: (tenantId: TenantId, change: SagaChange) => Promise<boolean>;
  /** Saves a change in a transaction; false when another node has the run. */
  readonly saveIn: (tx: TenantTx, change: SagaChange) => Promise<boolean>;
}

/** A run to execute: new, or taken over. */
export interface RunStart {
  readonly tenantId: TenantId;
  readonly id: SagaId;
  readonly token: number;
  readonly definition: SagaDefinition<never, unknown>;
  readonly input: unknown;
  readonly origin: SagaOrigin;
  /** Time left to the deadline, milliseconds; negative when it has passed. */
  readonly leftMs: number;
  /** Records of an earlier execution; undefined for a new run. */
  readonly earlier?: {
    readonly status: "running" | "compensating";
    readonly steps: SagaSteps;
    readonly failure: StepError | null;
  };
}

/** Takes a step back, and saves that it was done. */
export type Undo = (record: StepRecord, attempt: number) => Promise<void>;

/** A run while this process executes it. Steps and undos work on it. */
export interface LiveRun {
  readonly deps: RunDeps;
  readonly start: RunStart;
  readonly ctx: Context;
  /** Steps by name, the durable and the pending. */
  readonly records: Map<string, StepRecord>;
  /** Records that are not durable yet. */
  readonly pending: Map<string, StepRecord>;
  /** Steps this execution has come to, in order, each with its undo if it has one. */
  readonly visited: Map<string, Undo | undefined>;
  /** Steps being executed. */
  readonly inFlight: Set<Promise<unknown>>;
  /** Aborts when this process must not go on. */
  readonly halt: AbortController;
  /** Aborts when the run's time is over. */
  readonly deadline: AbortController;
  /** Whether no new step may begin, because the run turns back or compensates. */
  closed: boolean;
  status: "running" | "compensating";
  /** Whether the run's end is durable already. */
  ended: boolean;
}

/** Prepares a run for execution. */
export function createLiveRun(deps: RunDeps, start: RunStart): LiveRun {
  const { tenantId, origin } = start;
  const halt = new AbortController();
  const { requestId, actor, traceparent } = origin;
  const trace = traceparent ? { traceparent } : {};
  return {
    deps,
    start,
    ctx: { tenantId, requestId, actor, ...trace, signal: halt.signal },
    records: new Map(Object.entries(start.earlier?.steps ?? {})),
    pending: new Map(),
    visited: new Map(),
    inFlight: new Set(),
    halt,
    deadline: new AbortController(),
    closed: start.earlier?.status === "compensating",
    status: start.earlier?.status ?? "running",
    ended: false,
  };
}

/** @throws the reason when this process must not go on with the run */
export function assertGoesOn(run: LiveRun): void {
  run.halt.signal.throwIfAborted();
}

/** Whether the run's time is over. */
export function isTimedOut(run: LiveRun): boolean {
  return run.deadline.signal.aborted;
}

/** Stops this process's execution of a run for good; somebody else goes on with it. */
export function interrupt(run: LiveRun, reason: string, cause?: unknown): SagaInterruptedError {
  const error = new SagaInterruptedError(reason, { cause });
  run.halt.abort(error);
  return error;
}

/** The same for every attempt of a step of a run, on any node. */
export function idempotencyKey(run: LiveRun, step: string): string {
  return `${run.start.id}:${step}`;
}

/** Notes a step's record; it becomes durable with the next save. */
export function note(run: LiveRun, step: string, record: StepRecord): void {
  run.records.set(step, record);
  run.pending.set(step, record);
}

/** Saves a change of the run together with the records that are pending. */
export async function saveRun(
  run: LiveRun,
  change: Pick<SagaChange, "status" | "output" | "failure" | "releaseForMs">,
): Promise<void> {
  const steps = takePending(run);
  const { tenantId, id, token } = run.start;
  let kept: boolean;
  try {
    kept = await run.deps.save(tenantId, {
      id,
      token,
      steps: Object.fromEntries(steps),
      ...change,
    });
  } catch (error) {
    throw isInterruption(error) ? interrupt(run, "the run could not be saved", error) : error;
  }
  if (!kept) throw interrupt(run, "another node has taken the run over");
  settlePending(run, steps);
}

/** Makes the records noted so far durable. */
export async function flush(run: LiveRun): Promise<void> {
  if (run.pending.size > 0) await saveRun(run, { status: run.status });
}

/** A copy of the records that are not durable yet. */
export function takePending(run: LiveRun): ReadonlyMap<string, StepRecord> {
  return new Map(run.pending);
}

/** Forgets records that have become durable, unless they were replaced meanwhile. */
export function settlePending(run: LiveRun, saved: ReadonlyMap<string, StepRecord>): void {
  for (const [step, record] of saved) {
    if (run.pending.get(step) === record) run.pending.delete(step);
  }
}

/** What a value becomes when it is remembered: the same now as after a crash. */
export function asRemembered<Value>(value: Value): Value {
  if (value === undefined) return value;
  const json = JSON.stringify(value);
  assert(
    json.length <= recordBytesMax,
    `a step's value is at most ${recordBytesMax} bytes of JSON`,
  );
  // jsonb cannot hold U+0000.
  if (!json.includes("\\u0000")) return JSON.parse(json) as Value;
  return JSON.parse(json, (_, part) =>
    typeof part === "string" ? part.replaceAll("\0", "\ufffd") : part,
  ) as Value;
}

/** Largest value of a step, bytes of JSON. */
export const recordBytesMax = 256 * 1024;

/** A record's value as JSON. */
export function jsonValue(value: unknown): { readonly value?: JsonValue } {
  return value === undefined ? {} : { value: value as JsonValue };
}

/** Waits before another attempt; ends early when a signal aborts. */
export async function pause(
  run: LiveRun,
  policy: RetryPolicy,
  { failed, signals }: { readonly failed: number; readonly signals: readonly AbortSignal[] },
): Promise<void> {
  const waitMs = fullJitter(policy, failed - 1, run.deps.random);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, waitMs);
    function done() {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    }
    for (const signal of signals) {
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    }
  });
  assertGoesOn(run);
}
