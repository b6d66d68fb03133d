import type { TenantId } from "../../kernel/ids.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { fragment, sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";

/** A write that waits in the table. */
export interface WaitingWrite {
  readonly key: string;
  readonly value: Buffer | null;
  readonly revision: number;
  readonly attempts: number;
}

const errorLengthMax = 500;
/** Writes looked at to find the tenants that have some. */
const lookMax = 1_000;

/** Saves writes, over those of the same keys that wait. */
export function saveWrites(
  tx: TenantTx,
  cache: string,
  rows: readonly Pick<WaitingWrite, "key" | "value">[],
): void {
  tx.write(sql("cache.save_writes")`
    insert into cache_writes as kept (tenant_id, cache, key, revision, value, due_at)
    select ${tx.tenantId}, ${cache}, given.key,
      (extract(epoch from clock_timestamp()) * 1000000)::bigint, given.value, now()
    from unnest(${rows.map(({ key }) => key)}::text[],
      ${rows.map(({ value }) => value)}::bytea[]) as given (key, value)
    order by given.key
    on conflict (tenant_id, cache, key) do update
    set revision = greatest(kept.revision + 1, excluded.revision), value = excluded.value,
      written_at = excluded.written_at, due_at = excluded.due_at, attempts = 0, error = null`);
}

/** Finds what waits for keys, parked writes included. */
export function findWaiting(
  tx: TenantTx,
  cache: string,
  keys: readonly string[],
): Promise<WaitingWrite[]> {
  return tx.rows<WaitingWrite>(sql("cache.find_waiting")`
    select key, value, revision, attempts from cache_writes
    where tenant_id = ${tx.tenantId} and cache = ${cache} and key = any(${keys}::text[])
      and (due_at is not null or error is not null)`);
}

/** Finds tenants with writes that are due, those that wait longest first. */
export async function tenantsDue(tx: Tx, cache: string): Promise<readonly TenantId[]> {
  const rows = await tx.rows<{ tenant_id: TenantId }>(sql("cache.tenants_due")`
    select tenant_id from (
      select tenant_id, due_at from cache_writes
      where cache = ${cache} and due_at <= now() order by due_at limit ${lookMax}) as due
    group by tenant_id order by min(due_at)`);
  return rows.map((row) => row.tenant_id);
}

/** @returns how many writes wait, `max` at most */
export async function countWaiting(tx: Tx, cache: string, max: number): Promise<number> {
  const { waiting } = await tx.one<{ waiting: number }>(sql("cache.count_waiting")`
    select count(*)::int as waiting from (
      select from cache_writes where cache = ${cache} and due_at is not null limit ${max}) as looked_at`);
  return waiting;
}

/** Has the server end this transaction when its process says nothing for so long. */
export function setSinkTimeout(tx: TenantTx, ms: number): void {
  tx.write(sql("cache.sink_timeout")`
    select set_config('idle_in_transaction_session_timeout', ${`${ms}ms`}, true)`);
}

/** Locks due writes of a tenant that nobody else is applying, until the transaction is over. */
export function claimWrites(
  tx: TenantTx,
  cache: string,
  { max, keys }: { readonly max: number; readonly keys: readonly string[] | undefined },
): Promise<WaitingWrite[]> {
  const some = keys ? fragment`and key = any(${keys}::text[])` : fragment``;
  return tx.rows<WaitingWrite>(sql("cache.claim_writes")`
    select key, value, revision, attempts from cache_writes
    where tenant_id = ${tx.tenantId} and cache = ${cache} and due_at <= now() ${some}
    order by due_at, key limit ${max} for update skip locked`);
}

/** Marks locked writes as applied; their revisions stay. */
export function markApplied(tx: TenantTx, cache: string, writes: readonly WaitingWrite[]): void {
  tx.write(sql("cache.mark_applied")`
    update cache_writes set due_at = null, value = null, attempts = 0, error = null
    where tenant_id = ${tx.tenantId} and cache = ${cache}
      and key = any(${writes.map(({ key }) => key)}::text[])`);
}

/** Notes a failed attempt, unless the key was written again since; without a wait the write is parked. */
export async function markFailed(
  tx: TenantTx,
  cache: string,
  { key, revision }: WaitingWrite,
  { error, waitMs }: { readonly error: unknown; readonly waitMs: number | undefined },
): Promise<void> {
  const due = waitMs === undefined ? null : Math.ceil(waitMs);
  await tx.run(sql("cache.mark_failed")`
    update cache_writes set attempts = attempts + 1,
      error = ${String(error).slice(0, errorLengthMax)},
      due_at = now() + ${due}::int * interval '1 ms'
    where tenant_id = ${tx.tenantId} and cache = ${cache} and key = ${key}
      and revision = ${revision} and due_at is not null`);
}

/**
 * Has the parked writes of a tenant's cache tried again.
 *
 * @returns how many
 */
export function retryParkedWrites(db: Db, tenantId: TenantId, cache: string): Promise<number> {
  return db.commit(
    tenantId,
    (tx) =>
      tx.run(sql("cache.retry_parked")`
        update cache_writes set due_at = now(), attempts = 0, error = null
        where tenant_id = ${tx.tenantId} and cache = ${cache}
          and due_at is null and error is not null`),
    { name: "cache.retry_parked" },
  );
}

/**
 * Forgets keys whose last write was applied a day ago or longer.
 *
 * @returns how many
 */
export function deleteAppliedWrites(db: Db, database: string): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("cache.delete_applied")`
        delete from cache_writes
        where due_at is null and error is null and written_at < now() - interval '1 day'`),
    { name: "cache.delete_applied" },
  );
}
