import { lowestIdAt, type TenantId } from "../../kernel/ids.ts";
import type { Db } from "../db/db.ts";
import { fragment, joinFragments, sql } from "../db/sql.ts";
import { poke } from "../wakeup/poke.ts";
import type { DeadLetterState } from "./dead-letters.ts";
import { eventsTopic, type LogPlace } from "./event.ts";

/** How one subscription stands in one database. */
export interface SubscriptionStatus {
  readonly name: string;
  readonly database: string;
  readonly paused: boolean;
  /** Events not yet handled, of all types; counted up to 10,000 per partition. */
  readonly lagEvents: number;
  /** Age of the oldest of them, seconds; 0 when there is none. */
  readonly lagSeconds: number;
  /** Events parked: failed, and waiting behind failed ones. */
  readonly dead: number;
  readonly waiting: number;
  readonly partitions: readonly PartitionStatus[];
}

/** How one partition of a subscription stands. */
export interface PartitionStatus extends LogPlace {
  readonly partition: number;
  /** Node that reads it; null when none does. */
  readonly holder: string | null;
  readonly expiresAt: Date;
  readonly lagEvents: number;
}

/** A parked event. */
export interface DeadLetter {
  readonly tenantId: TenantId;
  readonly subscription: string;
  readonly eventId: string;
  readonly stream: string;
  readonly type: string;
  readonly state: DeadLetterState;
  readonly attempts: number;
  readonly error: string | null;
  readonly parkedAt: Date;
}

/** Which dead letters to list or act on. */
export interface DeadLetterFilter {
  readonly subscription?: string | undefined;
  readonly tenantId?: TenantId | undefined;
  /** Only these events. */
  readonly eventIds?: readonly string[] | undefined;
}

/** Commands on the subscriptions of a deployment; they work from any process. */
export interface SubscriptionControl {
  status(): Promise<SubscriptionStatus[]>;
  /** Stops handing events over, on every node, within a poll. @returns whether it exists */
  pause(name: string): Promise<boolean>;
  resume(name: string): Promise<boolean>;
  /**
   * Hands events over again from a moment, a place or the beginning. Whoever reads now is fenced
   * out; parked events from there on are forgotten, because they come again.
   * @returns whether it exists
   */
  replay(name: string, from: "beginning" | Date): Promise<boolean>;
  /** Parked events, oldest first. */
  deadLetters(filter: DeadLetterFilter & { readonly limit: number }): Promise<DeadLetter[]>;
  /** Hands parked events over again, each with all of its stream. @returns how many */
  replayDeadLetters(filter: DeadLetterFilter): Promise<number>;
  /** Drops failed events; those that wait behind them go on. @returns how many */
  discardDeadLetters(filter: DeadLetterFilter): Promise<number>;
}

/** Makes the commands. @param databases asked at each command: they may become more */
export function createSubscriptionControl(
  db: Db,
  databases: () => readonly string[],
): SubscriptionControl {
  const everywhere = async <Value>(work: (database: string) => Promise<Value>) =>
    Promise.all(databases().map(work));
  const anywhere = async (work: (database: string) => Promise<number>): Promise<number> => {
    const counts = await everywhere(work);
    poke(eventsTopic);
    return counts.reduce((sum, count) => sum + count, 0);
  };
  return {
    async status() {
      return (await everywhere((database) => statusOf(db, database))).flat();
    },
    pause: async (name) => (await anywhere((database) => setPaused(db, database, name, true))) > 0,
    resume: async (name) =>
      (await anywhere((database) => setPaused(db, database, name, false))) > 0,
    replay: async (name, from) =>
      (await anywhere((database) => replayFrom(db, database, name, from))) > 0,
    async deadLetters(filter) {
      const lists = await everywhere((database) => listLetters(db, database, filter));
      return lists.flat().slice(0, filter.limit);
    },
    replayDeadLetters: (filter) => anywhere((database) => releaseLetters(db, database, filter)),
    discardDeadLetters: (filter) => anywhere((database) => discardLetters(db, database, filter)),
  };
}

async function setPaused(db: Db, database: string, name: string, paused: boolean): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("events.set_paused")`
        update platform.subscriptions set paused = ${paused} where name = ${name}`),
    { name: "events.pause" },
  );
}

async function replayFrom(
  db: Db,
  database: string,
  name: string,
  from: "beginning" | Date,
): Promise<number> {
  const lowest = from === "beginning" ? null : lowestIdAt(from);
  return db.platform(
    database,
    async (tx) => {
      const moved = await tx.rows<{ partition: number }>(sql("events.replay")`
        update platform.event_cursors c
        set horizon = start.horizon, position = start.position - 1, token = c.token + 1,
          holder = null, expires_at = '-infinity', moved_at = clock_timestamp()
        from platform.event_cursors old
        cross join lateral (
          select coalesce(first.horizon, case when ${lowest}::uuid is null then 0
              else platform.event_watermark() end) as horizon,
            coalesce(first.position, 1) as position
          from (select 1) as one left join lateral (
            select e.horizon, e.position from platform.events e
            where e.partition = old.partition and (${lowest}::uuid is null or e.id >= ${lowest}::uuid)
            order by e.horizon, e.position limit 1) first on true) start
        where c.subscription = ${name}
          and old.subscription = c.subscription and old.partition = c.partition
        returning c.partition`);
      tx.write(sql("events.replay_letters")`
        delete from platform.event_dead_letters d using platform.event_cursors c
        where d.subscription = ${name} and c.subscription = d.subscription
          and c.partition = d.partition and (d.horizon, d.position) > (c.horizon, c.position)`);
      return moved.length;
    },
    { name: "events.replay", statementTimeoutMs: 60_000 },
  );
}

function matching({ subscription, tenantId, eventIds }: DeadLetterFilter) {
  const parts = [fragment`true`];
  if (subscription !== undefined) parts.push(fragment`d.subscription = ${subscription}`);
  if (tenantId !== undefined) parts.push(fragment`d.tenant_id = ${tenantId}`);
  if (eventIds !== undefined) {
    parts.push(fragment`d.event_id = any(${eventIds}::uuid[])`);
  }
  return joinFragments(parts, " and ");
}

function listLetters(
  db: Db,
  database: string,
  filter: DeadLetterFilter & { readonly limit: number },
): Promise<DeadLetter[]> {
  return db.platform(
    database,
    (tx) =>
      tx.rows<DeadLetter>(sql("events.list_letters")`
        select d.tenant_id as "tenantId", d.subscription, d.event_id as "eventId", d.stream, d.type,
          d.state, d.attempts, d.error, d.parked_at as "parkedAt"
        from platform.event_dead_letters d where ${matching(filter)}
        order by d.parked_at, d.horizon, d.position limit ${filter.limit}`),
    { name: "events.list_letters" },
  );
}

function releaseLetters(db: Db, database: string, filter: DeadLetterFilter): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("events.release_letters")`
        update platform.event_dead_letters l set state = 'released'
        from (select distinct d.subscription, d.tenant_id, d.stream
          from platform.event_dead_letters d where ${matching(filter)}) chosen
        where l.subscription = chosen.subscription and l.tenant_id = chosen.tenant_id
          and l.stream = chosen.stream and l.state in ('dead', 'waiting')`),
    { name: "events.release_letters" },
  );
}

function discardLetters(db: Db, database: string, filter: DeadLetterFilter): Promise<number> {
  return db.platform(
    database,
    (tx) =>
      tx.run(sql("events.discard_letters")`
        update platform.event_dead_letters d set state = 'discarded'
        where d.state = 'dead' and ${matching(filter)}`),
    { name: "events.discard_letters" },
  );
}

type StatusRow = PartitionStatus & {
  readonly name: string;
  readonly paused: boolean;
  readonly lagSeconds: number;
  readonly dead: number;
  readonly waiting: number;
};

async function statusOf(db: Db, database: string): Promise<SubscriptionStatus[]> {
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<StatusRow>(sql("events.status")`
        select s.name, s.paused, c.partition, c.horizon, c.position,
          case when c.expires_at > clock_timestamp() then c.holder end as holder,
          c.expires_at as "expiresAt", lag.events as "lagEvents",
          coalesce(extract(epoch from clock_timestamp() - lag.oldest)::float8, 0) as "lagSeconds",
          letters.dead, letters.waiting
        from platform.subscriptions s
        join platform.event_cursors c on c.subscription = s.name
        cross join lateral (
          select count(*)::int as events, min(recorded_at) as oldest
          from (select e.recorded_at from platform.events e
            where e.partition = c.partition
              and (e.horizon, e.position) > (c.horizon, c.position)
            order by e.horizon, e.position limit 10000) e) lag
        cross join lateral (
          select count(*) filter (where state = 'dead')::int as dead,
            count(*) filter (where state <> 'dead')::int as waiting
          from platform.event_dead_letters d
          where d.subscription = s.name and d.partition = c.partition) letters
        order by s.name, c.partition`),
    { name: "events.status" },
  );
  const byName = Map.groupBy(rows, (row) => row.name);
  return [...byName].map(([name, group]) => ({
    name,
    database,
    paused: group[0]?.paused ?? false,
    lagEvents: group.reduce((sum, row) => sum + row.lagEvents, 0),
    lagSeconds: Math.max(0, ...group.map((row) => row.lagSeconds)),
    dead: group.reduce((sum, row) => sum + row.dead, 0),
    waiting: group.reduce((sum, row) => sum + row.waiting, 0),
    partitions: group.map(({ partition, horizon, position, holder, expiresAt, lagEvents }) => ({
      partition,
      horizon,
      position,
      holder,
      expiresAt,
      lagEvents,
    })),
  }));
}
