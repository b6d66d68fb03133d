import type { Db } from "../db/db.ts";
import { DbError } from "../db/errors.ts";
import { type Statement, sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { LogPlace } from "./event.ts";

/** A partition of a subscription that a node holds, as the database sees it. */
export interface HeldPartition extends LogPlace {
  readonly subscription: string;
  readonly partition: number;
  /** Fencing token. */
  readonly token: number;
}

/** Which node holds, for how long. */
export interface Holder {
  readonly db: Db;
  readonly database: string;
  /** UUID of this process's life. */
  readonly node: string;
  readonly leaseMs: number;
}

/** Who reads a subscription. */
export interface Readers {
  /** Nodes that run it, this one included. */
  readonly nodes: number;
  /** Partitions that nobody holds; another node may be claiming them. */
  readonly free: number;
}

/** What a heartbeat learns. */
export interface Beat {
  /** Everything this node holds now. */
  readonly held: readonly HeldPartition[];
  /** What runs each subscription, by its name. */
  readonly readers: ReadonlyMap<string, Readers>;
}

/** Makes the rows of subscriptions that are new to the database; existing ones keep their place. */
export async function createCursors(
  { db, database }: Pick<Holder, "db" | "database">,
  subscriptions: readonly { readonly name: string; readonly from: "beginning" | "now" }[],
): Promise<void> {
  const names = subscriptions.map(({ name }) => name);
  const fromNow = subscriptions.filter(({ from }) => from === "now").map(({ name }) => name);
  await db.platform(
    database,
    async (tx) => {
      tx.write(sql("events.enter_epoch")`select platform.enter_event_epoch()`);
      tx.write(sql("events.create_subscriptions")`
        insert into platform.subscriptions (name) select unnest(${names}::text[])
        on conflict do nothing`);
      tx.write(sql("events.create_cursors")`
        insert into platform.event_cursors (subscription, partition, horizon, position)
        select name, partition,
          case when name = any(${fromNow}::text[]) then platform.event_watermark() else 0 end, 0
        from unnest(${names}::text[]) as name, generate_series(0, 7) as partition
        on conflict do nothing`);
    },
    { name: "events.create_cursors" },
  );
}

/**
 * Renews this node's leases, saves how far idle readers have looked, and claims free partitions up
 * to a fair share.
 */
export async function beat(
  { db, database, node, leaseMs }: Holder,
  names: readonly string[],
  idle: readonly HeldPartition[],
): Promise<Beat> {
  const seconds = leaseMs / 1000;
  return db.platform(
    database,
    async (tx) => {
      tx.write(sql("events.reader_alive")`
        insert into platform.event_readers (node, subscriptions, expires_at)
        values (${node}, ${names}::text[], clock_timestamp() + make_interval(secs => ${seconds}))
        on conflict (node) do update set subscriptions = excluded.subscriptions,
          expires_at = excluded.expires_at`);
      tx.write(sql("events.readers_gone")`
        delete from platform.event_readers where expires_at < clock_timestamp() - interval '1 minute'`);
      tx.write(saveIdle(node, idle));
      const [renewed, claimed, rows] = await Promise.all([
        tx.rows<HeldPartition>(sql("events.renew")`
          update platform.event_cursors
          set expires_at = clock_timestamp() + make_interval(secs => ${seconds})
          where holder = ${node} and subscription = any(${names}::text[])
          returning subscription, partition, token, horizon, position`),
        tx.rows<HeldPartition>(claim({ node, seconds, names })),
        tx.rows<Readers & { readonly name: string }>(sql("events.readers")`
          select name, count(*)::int as nodes,
            (select count(*)::int from platform.event_cursors
              where subscription = name and expires_at <= clock_timestamp()) as free
          from platform.event_readers, unnest(subscriptions) as name
          where expires_at > clock_timestamp() and name = any(${names}::text[]) group by name`),
      ]);
      const readers = new Map(rows.map((row) => [row.name, row]));
      return { held: [...renewed, ...claimed], readers };
    },
    { name: "events.beat" },
  );
}

function saveIdle(node: string, idle: readonly HeldPartition[]): Statement {
  return sql("events.save_idle")`
    update platform.event_cursors c set horizon = n.horizon, position = n.position,
      moved_at = clock_timestamp()
    from unnest(${idle.map(({ subscription }) => subscription)}::text[],
      ${idle.map(({ partition }) => partition)}::smallint[],
      ${idle.map(({ token }) => token)}::bigint[],
      ${idle.map(({ horizon }) => horizon)}::bigint[],
      ${idle.map(({ position }) => position)}::bigint[])
      as n (subscription, partition, token, horizon, position)
    where c.subscription = n.subscription and c.partition = n.partition and c.token = n.token
      and c.holder = ${node} and (c.horizon, c.position) < (n.horizon, n.position)`;
}

function claim(want: { node: string; seconds: number; names: readonly string[] }): Statement {
  return sql("events.claim")`
    with alive as (
      select name, count(*) as nodes from platform.event_readers, unnest(subscriptions) as name
      where expires_at > clock_timestamp() group by name),
    mine as (
      select subscription, count(*) as held from platform.event_cursors
      where holder = ${want.node} group by subscription),
    free as (
      select subscription, partition,
        row_number() over (partition by subscription order by partition) as nth
      from platform.event_cursors
      where subscription = any(${want.names}::text[]) and holder is distinct from ${want.node}
        and expires_at <= clock_timestamp()),
    wanted as (
      select free.subscription, free.partition from free
      join alive on alive.name = free.subscription
      left join mine on mine.subscription = free.subscription
      where free.nth <= ceil(8.0 / alive.nodes) - coalesce(mine.held, 0)),
    -- Only what it wants: a node with its share would keep others from theirs.
    chosen as (
      select c.subscription, c.partition from platform.event_cursors c
      join wanted using (subscription, partition)
      where c.holder is distinct from ${want.node} and c.expires_at <= clock_timestamp()
      order by c.subscription, c.partition for update of c skip locked)
    update platform.event_cursors c
    set holder = ${want.node}, token = c.token + 1,
      expires_at = clock_timestamp() + make_interval(secs => ${want.seconds})
    from chosen where c.subscription = chosen.subscription and c.partition = chosen.partition
    returning c.subscription, c.partition, c.token, c.horizon, c.position`;
}

/** What this node holds of one subscription, and how far it is, as the database sees it. */
export function reloadHeld(
  { db, database, node }: Holder,
  subscription: string,
): Promise<HeldPartition[]> {
  return db.platform(
    database,
    (tx) =>
      tx.rows<HeldPartition>(sql("events.reload_held")`
        select subscription, partition, token, horizon, position from platform.event_cursors
        where subscription = ${subscription} and holder = ${node}`),
    { name: "events.reload_held" },
  );
}

/** Gives partitions back, for another node to claim at once. */
export async function releaseHeld(
  { db, database, node }: Holder,
  held: readonly HeldPartition[],
): Promise<void> {
  if (held.length === 0) return;
  await db.platform(
    database,
    async (tx) => {
      tx.write(saveIdle(node, held));
      tx.write(sql("events.release")`
        update platform.event_cursors c set holder = null, expires_at = '-infinity'
        from unnest(${held.map(({ subscription }) => subscription)}::text[],
          ${held.map(({ partition }) => partition)}::smallint[],
          ${held.map(({ token }) => token)}::bigint[])
          as n (subscription, partition, token)
        where c.subscription = n.subscription and c.partition = n.partition
          and c.token = n.token and c.holder = ${node}`);
    },
    { name: "events.release" },
  );
}

/** Forgets this node: the others' shares grow. */
export async function forgetReader({ db, database, node }: Holder): Promise<void> {
  await db.platform(
    database,
    (tx) =>
      tx.run(sql("events.forget_reader")`delete from platform.event_readers where node = ${node}`),
    { name: "events.forget_reader" },
  );
}

/**
 * Moves the cursor in the caller's transaction, sent without waiting. If a lease was lost the
 * transaction fails, with the effects in it.
 */
export function advance(tx: Tx, node: string, checkpoint: readonly HeldPartition[]): void {
  const [first] = checkpoint;
  if (!first) return;
  tx.write(sql("events.advance")`
    select platform.advance_cursors(${first.subscription}, ${node},
      ${checkpoint.map(({ partition }) => partition)}::smallint[],
      ${checkpoint.map(({ token }) => token)}::bigint[],
      ${checkpoint.map(({ horizon }) => horizon)}::bigint[],
      ${checkpoint.map(({ position }) => position)}::bigint[])`);
}

/** Whether a transaction failed because {@link advance} found a lease lost. */
export function isLeaseLost(error: unknown): boolean {
  return error instanceof DbError && error.sqlState === "BE001";
}
