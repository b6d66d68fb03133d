import { createCoalescer } from "../coalescer/coalescer.ts";
import type { Db } from "../db/db.ts";
import { DbError, splitsOnDataErrors } from "../db/errors.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import { poke, type Wakeup } from "../wakeup/wakeup.ts";
import { LockError } from "./errors.ts";
import { validUntilMs } from "./lease.ts";
import type { LeaseRequest, LeaseStore, TakenLease } from "./store.ts";

/** What the store works with. */
export interface PostgresLeaseStoreConfig {
  readonly db: Db;
  /** The database with the table of leases; default `home`. */
  readonly database?: string;
  /** Tells of locks that were given back in other processes; without it they are found by asking. */
  readonly wakeup?: Pick<Wakeup, "listen">;
}

type Verb = "take" | "extend" | "release";

interface Operation {
  readonly verb: Verb;
  readonly request: LeaseRequest;
}

/** The token of a lease that was taken or kept; nothing when it was not. */
type Answer = number | undefined;

/** Poked when locks were given back, for a {@link Wakeup}. */
export const locksTopic = "locks";

/**
 * Keeps leases in PostgreSQL, by its clock: survives every crash of it, needs nothing else.
 *
 * Concurrent calls of a process share a transaction. What is given back is not waited for until it
 * is on disk: losing that costs the next one a wait, never the lock its holder.
 */
export function createPostgresLeaseStore(config: PostgresLeaseStoreConfig): LeaseStore {
  const { db, database = "home", wakeup } = config;
  const operations = createCoalescer<Operation, Answer>({
    name: "locks",
    batchMax: 500,
    inFlightMax: 2,
    besideMin: 16,
    waitingMax: 10_000,
    // A lease that somebody looks at in a transaction keeps only those waiting who want that one.
    isSplittable: (error) => isBlocked(error) || splitsOnDataErrors(error),
    run: (_, batch) => operate(db, database, batch),
  });
  const ask = async (verb: Verb, request: LeaseRequest): Promise<Answer> => {
    try {
      return await operations.submit(database, { verb, request });
    } catch (error) {
      // Whoever looks at a lease holds it.
      if (verb === "take" && isBlocked(error)) return undefined;
      throw new LockError("ERR_LOCK_UNAVAILABLE", "the database does not answer for locks", error);
    }
  };
  return {
    async take(request): Promise<TakenLease | undefined> {
      const askedAtMs = performance.now();
      const token = await ask("take", request);
      if (token === undefined) return undefined;
      return { token, validUntilMs: validUntilMs(askedAtMs, request.leaseMs) };
    },
    async extend(request) {
      const askedAtMs = performance.now();
      const token = await ask("extend", request);
      return token === undefined ? undefined : validUntilMs(askedAtMs, request.leaseMs);
    },
    async release(request) {
      return (await ask("release", request)) !== undefined;
    },
    ...(wakeup ? { onFreed: (wake) => wakeup.listen(locksTopic, wake) } : {}),
  };
}

/** Longest wait for a lease that another transaction looks at, milliseconds; renewals are to be in time. */
const blockedAfterMs = 250;

function isBlocked(error: unknown): boolean {
  return error instanceof DbError && error.code === "ERR_DB_LOCK_TIMEOUT";
}

/** A lease as a statement answers for it. */
interface LeaseRow {
  readonly holder: string;
  readonly token: number;
}

async function operate(
  db: Db,
  database: string,
  batch: readonly Operation[],
): Promise<readonly Answer[]> {
  const of = (verb: Verb) => batch.filter((each) => each.verb === verb).map((each) => each.request);
  const [taking, extending, releasing] = [firstOfEach(of("take")), of("extend"), of("release")];
  const work = async (tx: Tx) => {
    if (taking.length + extending.length === 0) commitSoon(tx);
    // All of them in one order, whatever is done to them: two batches never wait in a circle.
    if (batch.length > 1) lockLeases(tx, batch);
    const answers = Promise.all([
      releasing.length > 0 ? releaseLeases(tx, releasing) : [],
      extending.length > 0 ? extendLeases(tx, extending) : [],
      taking.length > 0 ? takeLeases(tx, taking) : [],
    ]);
    answers.catch(() => {});
    if (releasing.length > 0) tx.afterCommit(() => poke(locksTopic));
    // COMMIT travels behind them, without waiting for their answers.
    return { answers };
  };
  const options = { name: "locks", lockTimeoutMs: blockedAfterMs };
  const { answers } = await db.platform(database, work, options);
  const rows = (await answers).flat();
  const tokens = new Map(rows.map(({ holder, token }) => [holder, token]));
  return batch.map(({ request }) => tokens.get(request.holder));
}

/** Of several who want one lock, the first may ask: the others would be refused. */
function firstOfEach(requests: readonly LeaseRequest[]): readonly LeaseRequest[] {
  const first = new Map<string, LeaseRequest>();
  for (const request of requests) if (!first.has(request.name)) first.set(request.name, request);
  return [...first.values()];
}

function commitSoon(tx: Tx): void {
  tx.write(sql("locks.commit_soon")`select set_config('synchronous_commit', 'off', true)`);
}

function lockLeases(tx: Tx, batch: readonly Operation[]): void {
  const names = [...new Set(batch.map(({ request }) => request.name))];
  tx.write(sql("locks.lock")`
    select from leases where name = any(${names}::text[]) order by name for update`);
}

function takeLeases(tx: Tx, requests: readonly LeaseRequest[]): Promise<LeaseRow[]> {
  return tx.rows<LeaseRow>(sql("locks.take")`
    insert into leases as lease (name, holder, token, expires_at)
    select wanted.name, wanted.holder, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
      clock_timestamp() + wanted.ms * interval '1 ms'
    from unnest(${requests.map(({ name }) => name)}::text[],
      ${requests.map(({ holder }) => holder)}::uuid[],
      ${requests.map(({ leaseMs }) => Math.ceil(leaseMs))}::int[]) as wanted (name, holder, ms)
    order by wanted.name
    on conflict (name) do update set holder = excluded.holder,
      token = greatest(lease.token + 1, excluded.token), expires_at = excluded.expires_at
    where lease.expires_at <= clock_timestamp() or lease.holder = excluded.holder
    returning holder, token`);
}

function extendLeases(tx: Tx, requests: readonly LeaseRequest[]): Promise<LeaseRow[]> {
  return tx.rows<LeaseRow>(sql("locks.extend")`
    update leases as lease
    set expires_at = clock_timestamp() + wanted.ms * interval '1 ms'
    from unnest(${requests.map(({ name }) => name)}::text[],
      ${requests.map(({ holder }) => holder)}::uuid[],
      ${requests.map(({ leaseMs }) => Math.ceil(leaseMs))}::int[]) as wanted (name, holder, ms)
    where lease.name = wanted.name and lease.holder = wanted.holder
      and lease.expires_at > clock_timestamp()
    returning lease.holder, lease.token`);
}

function releaseLeases(tx: Tx, requests: readonly LeaseRequest[]): Promise<LeaseRow[]> {
  return tx.rows<LeaseRow>(sql("locks.release")`
    update leases as lease set holder = null, expires_at = '-infinity'
    from unnest(${requests.map(({ name }) => name)}::text[],
      ${requests.map(({ holder }) => holder)}::uuid[]) as given (name, holder)
    where lease.name = given.name and lease.holder = given.holder
      and lease.expires_at > clock_timestamp()
    returning given.holder, lease.token`);
}

/**
 * Forgets locks that nobody has had for a day.
 *
 * @returns how many
 */
export function deleteOldLeases(db: Db, database: string): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("locks.delete_old")`
        delete from leases
        where token < (extract(epoch from now() - interval '1 day') * 1000000)::bigint
          and expires_at < now() - interval '1 minute'`),
    { name: "locks.delete_old" },
  );
}
