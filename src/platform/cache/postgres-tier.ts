import { newId } from "../../kernel/ids.ts";
import { createCoalescer } from "../coalescer/coalescer.ts";
import type { Db, WorkOptions } from "../db/db.ts";
import { splitsOnDataErrors } from "../db/errors.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { RingMember } from "./ring-member.ts";

/** What the tier works with. */
export interface PostgresSharedTierConfig {
  readonly db: Db;
  /** The database with its tables; default `home`. */
  readonly database?: string;
}

type Verb = "write" | "remove" | "claim" | "fill" | "unclaim";

interface Operation {
  readonly key: string;
  readonly token: string;
  readonly bytes: Buffer;
  /** Time to live or lease, milliseconds. */
  readonly ms: number;
}

/** Works on keys that are sorted and different. @returns the keys for which it was done */
type Work = (tx: Tx, batch: readonly Operation[]) => Promise<readonly { readonly key: string }[]>;

/** A tier that is slow is no use: the truth is in the same server. */
const bounds = { lockTimeoutMs: 1_000, statementTimeoutMs: 1_000 } as const;

/**
 * Keeps a shared tier in two unlogged tables of PostgreSQL, by its clock: for deployments without
 * Redis, and for values that cost more than reading one row. Concurrent calls of a process share a
 * transaction.
 */
export function createPostgresSharedTier(config: PostgresSharedTierConfig): RingMember {
  const { db, database = "home" } = config;
  const read = gatherReads<Buffer>((keys) => readValues(db, database, keys));
  const readEpochs = gatherReads<number>((tags) => readTags(db, database, tags));
  const operations = createCoalescer<Operation, boolean>({
    name: "cache",
    batchMax: 200,
    inFlightMax: 2,
    besideMin: 16,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    run: (verb, batch) => operate(db, database, verb as Verb, batch),
  });
  const submit = (verb: Verb, operation: Pick<Operation, "key"> & Partial<Operation>) => {
    const { key, token = "", bytes = nothing, ms = 0 } = operation;
    return operations.submit(verb, { key, token, bytes, ms: Math.ceil(ms) });
  };
  return {
    name: "postgres",
    // What a crash could have taken back it empties.
    life: async () => "",
    ...createEpochs(db, database, readEpochs),
    read,
    async write(entries) {
      await Promise.all(
        entries.map(({ key, bytes, ttlMs }) => submit("write", { key, bytes, ms: ttlMs })),
      );
    },
    async remove(keys) {
      await Promise.all(keys.map((key) => submit("remove", { key })));
    },
    async claim(key, leaseMs) {
      const token = newId();
      return (await submit("claim", { key, token, ms: leaseMs })) ? { token } : undefined;
    },
    fill: ({ token }, { key, bytes, ttlMs }) => submit("fill", { key, token, bytes, ms: ttlMs }),
    async unclaim({ token }, key) {
      await submit("unclaim", { key, token });
    },
  };
}

const nothing = Buffer.alloc(0);

type Reader<Value> = (names: readonly string[]) => Promise<readonly (Value | undefined)[]>;

/** Concurrent readers share a statement, and what several of them ask for. */
function gatherReads<Value>(
  find: (names: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): Reader<Value> {
  const reads = createCoalescer<readonly string[], readonly (Value | undefined)[]>({
    name: "cache.read",
    batchMax: 100,
    inFlightMax: 4,
    besideMin: 8,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    async run(_, batch) {
      const found = await find([...new Set(batch.flat())]);
      return batch.map((names) => names.map((name) => found.get(name)));
    },
  });
  return async (names) => (names.length === 0 ? [] : reads.submit("", names));
}

async function readValues(db: Db, database: string, keys: readonly string[]) {
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<{ key: string; value: Buffer }>(sql("cache.read")`
        select key, value from cache_entries
        where key = any(${keys}::text[]) and value is not null and expires_at > clock_timestamp()`),
    { name: "cache.read", readOnly: true, ...bounds },
  );
  return new Map(rows.map(({ key, value }) => [key, value]));
}

async function operate(
  db: Db,
  database: string,
  verb: Verb,
  batch: readonly Operation[],
): Promise<readonly boolean[]> {
  const different = keepOnePerKey(verb, batch).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const rows = await change(db, database, (tx) => works[verb](tx, different));
  const done = new Set(rows.map(({ key }) => key));
  const kept = new Set(different);
  // Others who wrote or removed the same were done with it; of those who claim only one can have it.
  return batch.map((each) => done.has(each.key) && (kept.has(each) || verb !== "claim"));
}

function keepOnePerKey(verb: Verb, batch: readonly Operation[]): readonly Operation[] {
  const kept = new Map<string, Operation>();
  for (const each of batch) if (verb === "write" || !kept.has(each.key)) kept.set(each.key, each);
  return [...kept.values()];
}

/** Changes what a crash may take away. */
function change<Value>(
  db: Db,
  database: string,
  work: (tx: Tx) => Promise<Value>,
  options: WorkOptions = {},
): Promise<Value> {
  return db.platform(
    database,
    (tx) => {
      tx.write(sql("cache.commit_soon")`select set_config('synchronous_commit', 'off', true)`);
      return work(tx);
    },
    { name: "cache", ...bounds, ...options },
  );
}

/** One statement each, over rows in the order of their keys: no two batches wait in a circle. */
const works: Readonly<Record<Verb, Work>> = {
  write: (tx, batch) =>
    tx.rows(sql("cache.write")`
      insert into cache_entries as entry (key, value, expires_at)
      select key, value, clock_timestamp() + ms * interval '1 ms'
      from unnest(${keysOf(batch)}::text[], ${batch.map(({ bytes }) => bytes)}::bytea[],
        ${batch.map(({ ms }) => ms)}::bigint[]) as new (key, value, ms)
      order by key
      on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at,
        claim = null, claim_expires_at = '-infinity'
      returning key`),
  remove: (tx, batch) =>
    tx.rows(sql("cache.remove")`
      with old as materialized (
        select key from cache_entries where key = any(${keysOf(batch)}::text[])
        order by key for update)
      delete from cache_entries as entry using old where entry.key = old.key returning entry.key`),
  claim: (tx, batch) =>
    tx.rows(sql("cache.claim")`
      insert into cache_entries as entry (key, expires_at, claim, claim_expires_at)
      select key, '-infinity', claim, clock_timestamp() + ms * interval '1 ms'
      from unnest(${keysOf(batch)}::text[], ${batch.map(({ token }) => token)}::uuid[],
        ${batch.map(({ ms }) => ms)}::bigint[]) as new (key, claim, ms)
      order by key
      on conflict (key) do update
        set claim = excluded.claim, claim_expires_at = excluded.claim_expires_at
        where entry.claim is null or entry.claim_expires_at <= clock_timestamp()
      returning key`),
  fill: (tx, batch) =>
    tx.rows(sql("cache.fill")`
      with new as (
        select * from unnest(${keysOf(batch)}::text[], ${batch.map(({ token }) => token)}::uuid[],
          ${batch.map(({ bytes }) => bytes)}::bytea[], ${batch.map(({ ms }) => ms)}::bigint[])
          as new (key, claim, value, ms)),
      claimed as materialized (
        select key from cache_entries where key = any(${keysOf(batch)}::text[])
        order by key for update)
      update cache_entries as entry
      set value = new.value, expires_at = clock_timestamp() + new.ms * interval '1 ms',
        claim = null, claim_expires_at = '-infinity'
      from claimed join new using (key)
      where entry.key = claimed.key and entry.claim = new.claim
        and entry.claim_expires_at > clock_timestamp()
      returning entry.key`),
  unclaim: (tx, batch) =>
    tx.rows(sql("cache.unclaim")`
      with new as (
        select * from unnest(${keysOf(batch)}::text[], ${batch.map(({ token }) => token)}::uuid[])
          as new (key, claim)),
      claimed as materialized (
        select key from cache_entries where key = any(${keysOf(batch)}::text[])
        order by key for update)
      update cache_entries as entry set claim = null, claim_expires_at = '-infinity'
      from claimed join new using (key)
      where entry.key = claimed.key and entry.claim = new.claim
      returning entry.key`),
};

function keysOf(batch: readonly Operation[]): readonly string[] {
  return batch.map(({ key }) => key);
}

async function readTags(db: Db, database: string, tags: readonly string[]) {
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<{ tag: string; epoch: number }>(sql("cache.read_tags")`
        select tag, epoch from cache_tags where tag = any(${tags}::text[])`),
    { name: "cache.read_tags", readOnly: true, ...bounds },
  );
  return new Map(rows.map(({ tag, epoch }) => [tag, epoch]));
}

function createEpochs(
  db: Db,
  database: string,
  read: Reader<number>,
): Pick<RingMember, "epochs" | "knownEpochs" | "renew" | "lift"> {
  const write = async (tags: readonly string[], work: (tx: Tx) => Promise<number>) => {
    if (tags.length > 0) await change(db, database, work);
  };
  const begin = (tags: readonly string[]) =>
    write(tags, (tx) =>
      tx.run(sql("cache.begin_tags")`
        insert into cache_tags (tag, epoch)
        select distinct tag, (extract(epoch from clock_timestamp()) * 1000000)::bigint
        from unnest(${tags}::text[]) as tag order by tag
        on conflict (tag) do nothing`),
    );
  return {
    knownEpochs: read,
    async epochs(tags) {
      const known = await read(tags);
      const unknown = tags.filter((_, at) => known[at] === undefined);
      if (unknown.length === 0) return known as readonly number[];
      await begin(unknown);
      const begun = new Map((await read(unknown)).map((epoch, at) => [unknown[at], epoch]));
      return known.map((epoch, at) => epoch ?? (begun.get(tags[at]) as number));
    },
    async renew(tags) {
      if (tags.length === 0) return [];
      const rows = await change(db, database, (tx) =>
        tx.rows<{ tag: string; epoch: number }>(sql("cache.renew_tags")`
          insert into cache_tags as known (tag, epoch)
          select distinct tag, (extract(epoch from statement_timestamp()) * 1000000)::bigint
          from unnest(${tags}::text[]) as tag order by tag
          on conflict (tag) do update set epoch = greatest(known.epoch + 1, excluded.epoch)
          returning tag, epoch`),
      );
      const renewed = new Map(rows.map(({ tag, epoch }) => [tag, epoch]));
      return tags.map((tag) => renewed.get(tag) as number);
    },
    lift: (tags, least) =>
      write(tags, (tx) =>
        tx.run(sql("cache.lift_tags")`
          insert into cache_tags as known (tag, epoch)
          select tag, max(least) from unnest(${tags}::text[], ${least}::bigint[]) as new (tag, least)
          group by tag order by tag
          on conflict (tag) do update set epoch = greatest(known.epoch, excluded.epoch)`),
      ),
  };
}

/**
 * Forgets values and rights to load that are over.
 *
 * @returns how many
 */
export function deleteExpiredCacheEntries(db: Db, database: string): Promise<number> {
  return change(
    db,
    database,
    (tx) =>
      tx.run(sql("cache.delete_expired")`
        delete from cache_entries
        where expires_at < clock_timestamp() and claim_expires_at < clock_timestamp()`),
    { name: "cache.delete_expired", statementTimeoutMs: 60_000 },
  );
}
