import type { IdempotencyClaim } from "../../kernel/context.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { decodeOutcome, encodeOutcome } from "./codec.ts";

/** What is known about a claimed key. */
export type ClaimVerdict =
  /** Nobody used it: do the work, then store its outcome in the same transaction. */
  | { readonly kind: "fresh" }
  /** The same request was done before; this is what it came to. */
  | { readonly kind: "replay"; readonly value: unknown }
  /** The key came with another request before. */
  | { readonly kind: "mismatch" }
  /** The same key is being worked on in another transaction, or earlier in this batch. */
  | { readonly kind: "in_flight" };

/** What one claim came to. */
export interface Outcome {
  /** Absent for an item without a key: nothing is stored. */
  readonly claim: IdempotencyClaim | undefined;
  /** The value of an ok result; refusals are not stored, so a corrected retry is a fresh request. */
  readonly value: unknown;
}

interface KnownRow {
  readonly ord: number;
  readonly fingerprint: string;
  readonly outcome: string;
}

/**
 * Claims keys for this transaction, any number in two statements of one round trip.
 *
 * A claim is a transaction-scoped advisory lock that is tried and never waited for: whoever holds
 * it may be working on the same request. What is known is looked up after the lock, on a fresh
 * snapshot, because a holder lets go only after its outcome is visible.
 * @param claims at most a few hundred; `undefined` for an item without a key, which is fresh
 * @returns one verdict per claim, in order
 */
export async function claimKeys(
  tx: TenantTx,
  claims: readonly (IdempotencyClaim | undefined)[],
): Promise<readonly ClaimVerdict[]> {
  const asked = claims.filter((claim) => claim !== undefined);
  if (asked.length === 0) return claims.map(() => ({ kind: "fresh" }));
  const names = asked.map((claim) => lockName(tx, claim));
  const [locks, known] = await Promise.all([
    tx.rows<{ free: boolean }>(sql("idempotency.lock")`
      select pg_try_advisory_xact_lock(hashtextextended(name, 0)) as free
      from unnest(${names}::text[]) with ordinality as asked (name, ord) order by ord`),
    tx.rows<KnownRow>(sql("idempotency.lookup")`
      select asked.ord, encode(k.fingerprint, 'hex') as fingerprint, k.outcome
      from unnest(${asked.map((claim) => claim.principal)}::text[],
                  ${asked.map((claim) => claim.route)}::text[],
                  ${asked.map((claim) => claim.key)}::text[])
        with ordinality as asked (principal, route, key, ord)
      -- One look-up by primary key each, whatever the planner believes of a table that has grown.
      cross join lateral (
        select fingerprint, outcome from idempotency_keys
        where tenant_id = ${tx.tenantId} and principal = asked.principal
          and route = asked.route and key = asked.key
        offset 0) as k`),
  ]);
  const rowOf = new Map(known.map((row) => [row.ord - 1, row]));
  const seen = new Set<string>();
  const verdicts = asked.map((claim, index): ClaimVerdict => {
    const row = rowOf.get(index);
    if (row) return verdictOn(claim, row);
    const name = names[index] ?? "";
    // A lock of this very transaction is always granted again: the batch's own twins show here.
    const free = locks[index]?.free === true && !seen.has(name);
    seen.add(name);
    return { kind: free ? "fresh" : "in_flight" };
  });
  let next = 0;
  return claims.map((claim) => (claim && verdicts[next++]) || { kind: "fresh" });
}

function verdictOn(claim: IdempotencyClaim, row: KnownRow): ClaimVerdict {
  if (row.fingerprint !== claim.fingerprint) return { kind: "mismatch" };
  return { kind: "replay", value: decodeOutcome(row.outcome) };
}

function lockName(tx: TenantTx, claim: IdempotencyClaim): string {
  return `idempotency\u001f${tx.tenantId}\u001f${claim.principal}\u001f${claim.route}\u001f${claim.key}`;
}

/**
 * Stores what fresh claims came to; travels with COMMIT.
 *
 * The primary key has the last word: a key that was taken after all makes the transaction fail
 * with 40001, and the unit of work runs again and finds the other's outcome.
 */
export function storeOutcomes(tx: TenantTx, outcomes: readonly Outcome[]): void {
  const stored = outcomes.flatMap(({ claim, value }) => (claim ? [{ claim, value }] : []));
  if (stored.length === 0) return;
  tx.write(sql("idempotency.store")`
    insert into idempotency_keys (tenant_id, principal, route, key, fingerprint, outcome)
    select ${tx.tenantId}, principal, route, key, decode(fingerprint, 'hex'), outcome
    from unnest(${stored.map(({ claim }) => claim.principal)}::text[],
                ${stored.map(({ claim }) => claim.route)}::text[],
                ${stored.map(({ claim }) => claim.key)}::text[],
                ${stored.map(({ claim }) => claim.fingerprint)}::text[],
                ${stored.map(({ value }) => encodeOutcome(value))}::text[])
      as stored (principal, route, key, fingerprint, outcome)
    on conflict (tenant_id, principal, route, key)
      do update set outcome = platform.idempotency_conflict()`);
}

/**
 * Makes outcomes final that were stored before all was known: a checkout is stored as pending and
 * becomes final with its payment. Travels with COMMIT.
 */
export function replaceOutcomes(tx: TenantTx, outcomes: readonly Outcome[]): void {
  const replaced = outcomes.flatMap(({ claim, value }) => (claim ? [{ claim, value }] : []));
  if (replaced.length === 0) return;
  tx.write(sql("idempotency.replace")`
    update idempotency_keys as k set outcome = n.outcome
    from unnest(${replaced.map(({ claim }) => claim.principal)}::text[],
                ${replaced.map(({ claim }) => claim.route)}::text[],
                ${replaced.map(({ claim }) => claim.key)}::text[],
                ${replaced.map(({ value }) => encodeOutcome(value))}::text[])
      as n (principal, route, key, outcome)
    where k.tenant_id = ${tx.tenantId} and k.principal = n.principal and k.route = n.route
      and k.key = n.key`);
}

/** Which keys to forget. */
export interface IdempotencyPurge {
  /** Age from which a key may be forgotten, milliseconds: longer than any client retries. */
  readonly olderThanMs: number;
  /** Rows in one transaction; default 5,000. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/**
 * Forgets old keys of all tenants of a database, in short transactions.
 *
 * @returns how many
 */
export async function purgeIdempotencyKeys(
  db: Db,
  database: string,
  purge: IdempotencyPurge,
): Promise<number> {
  const batchSize = purge.batchSize ?? 5_000;
  let purged = 0;
  for (;;) {
    purge.signal?.throwIfAborted();
    const gone = await db.platform(
      database,
      (tx) =>
        tx.run(sql("idempotency.purge")`
          delete from idempotency_keys where ctid = any (array(
            select ctid from idempotency_keys
            where created_at < clock_timestamp() - make_interval(secs => ${purge.olderThanMs} / 1000.0)
            limit ${batchSize}))`),
      { name: "idempotency.purge" },
    );
    purged += gone;
    if (gone < batchSize) return purged;
  }
}
