import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { QueueRate } from "./queue.ts";

/** What a queue's bucket allows. */
export interface Allowance {
  readonly jobs: number;
  /** Until one more is allowed, milliseconds; 0 when some are. */
  readonly nextInMs: number;
}

/**
 * Takes up to `wanted` tokens from a queue's bucket, which all processes share: `jobsMax` tokens at
 * most, refilled evenly by the database's clock. Its row is locked until the claim commits, so
 * that what the claim does not use can be put back.
 */
export async function takeTokens(
  tx: Tx,
  queue: string,
  rate: QueueRate,
  wanted: number,
): Promise<Allowance> {
  const perMs = rate.jobsMax / rate.perMs;
  const { tokens } = await tx.one<{ tokens: number }>(sql("jobs.refill_tokens")`
    insert into job_queues as queue (name, tokens, refilled_at)
    values (${queue}, ${rate.jobsMax}::float8, clock_timestamp())
    on conflict (name) do update set
      tokens = least(${rate.jobsMax}::float8, coalesce(queue.tokens
        + extract(epoch from clock_timestamp() - queue.refilled_at) * 1000 * ${perMs}::float8,
        ${rate.jobsMax}::float8)),
      refilled_at = clock_timestamp()
    returning tokens`);
  const jobs = Math.max(0, Math.min(wanted, Math.floor(tokens)));
  if (jobs > 0) addTokens(tx, queue, -jobs);
  return { jobs, nextInMs: jobs > 0 ? 0 : Math.ceil((1 - tokens) / perMs) };
}

/** Puts back what a claim did not use. */
export function addTokens(tx: Tx, queue: string, jobs: number): void {
  tx.write(sql("jobs.add_tokens")`
    update job_queues set tokens = tokens + ${jobs}::float8 where name = ${queue}`);
}
