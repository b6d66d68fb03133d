import { setTimeout as delay } from "node:timers/promises";
import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import type { LogPlace } from "../events/event.ts";
import { createGate } from "../events/gate.ts";
import type { Wakeup } from "../wakeup/wakeup.ts";
import { invalidationsTopic } from "./announce.ts";
import type { Invalidation, InvalidationBus } from "./invalidation.ts";
import { createListeners } from "./memory-bus.ts";

/** What the bus works with. */
export interface PostgresInvalidationBusConfig {
  readonly db: Db;
  /** The database whose announcements are heard; default `home`. */
  readonly database?: string;
  /** Tells of announcements of other processes; without it they are found by asking. */
  readonly wakeup?: Pick<Wakeup, "listen">;
  /** Time between two looks when nothing wakes it, milliseconds; default 1,000. */
  readonly pollMs?: number;
  readonly onError?: (error: unknown) => void;
}

/** A bus that has to be started. */
export interface PostgresInvalidationBus extends InvalidationBus {
  /**
   * Begins to hear what is committed from now on, and perhaps what was committed right before;
   * resolves when it has begun. A database that is away is tried again later, and everything is
   * doubted when it begins.
   */
  start(): Promise<void>;
  /** Resolves when nobody is told anything any more. May be called twice, or before `start`. */
  stop(): Promise<void>;
}

const pageRows = 1_000;
/** Rows told of ahead of the watermark at most; behind them the watermark sets the pace. */
const aheadMax = 2_000;
const lastPosition = Number.MAX_SAFE_INTEGER;
/** Rest between two looks, milliseconds: what is committed meanwhile comes with one answer. */
const restMs = 3;
const backoff: Backoff = { baseMs: 50, maxMs: 1_000 };

/** How far a reader has come. */
interface Progress {
  /** Everything up to here was told. */
  cursor: LogPlace;
  /** Horizons of rows beyond it that were told as well, by position. */
  readonly ahead: Map<number, number>;
}

/**
 * Carries invalidations through a table: {@link announceInvalidations} writes them in the transaction
 * of the change, every node reads them all.
 *
 * What is visible is told at once. How far the table was read is another question: only up to the
 * oldest transaction that is still running, because it may commit rows that sort before those seen.
 *
 * @see ../events/README.md, on the order of the log
 */
export function createPostgresInvalidationBus(
  config: PostgresInvalidationBusConfig,
): PostgresInvalidationBus {
  const { db, database = "home", wakeup, pollMs = 1_000, onError = () => {} } = config;
  const told = createListeners<readonly Invalidation[]>();
  const doubts = createListeners<void>();
  const gate = createGate();
  let progress: Progress | undefined;
  let stopped = true;
  let ended: Promise<void> = Promise.resolve();

  /** @returns whether there may be more */
  const look = async (isFirst: boolean): Promise<boolean> => {
    const { rows, watermark, deletedBelow } = await readPage(db, database, progress);
    if (stopped) return false;
    if (!progress || isBroken(progress.cursor, watermark, deletedBelow)) {
      progress = { cursor: { horizon: watermark - 1, position: lastPosition }, ahead: new Map() };
      if (!isFirst) doubts.tell();
      return !isFirst;
    }
    const isFull = rows.length === pageRows;
    // Whoever throws is told again.
    if (rows.length > 0) told.tell(rows.map(toInvalidation));
    advance(progress, rows, { watermark, isFull });
    return isFull;
  };
  const run = async (begun: () => void): Promise<void> => {
    let failures = 0;
    for (let looks = 0; !stopped; looks++) {
      try {
        while (await look(looks === 0)) if (stopped) return;
        failures = 0;
        gate.openIn(pollMs);
      } catch (error) {
        onError(error);
        gate.openIn(fullJitter(backoff, failures++, Math.random));
      }
      begun();
      await delay(restMs);
      await gate.passed();
    }
  };
  const unwake = { call: () => {} };
  return {
    listen: told.hear,
    onDoubt: doubts.hear,
    async start() {
      if (!stopped) return;
      stopped = false;
      unwake.call = wakeup?.listen(invalidationsTopic, gate.open) ?? (() => {});
      await new Promise<void>((begun) => {
        ended = run(begun).finally(begun);
      });
    },
    async stop() {
      stopped = true;
      unwake.call();
      gate.open();
      await ended;
      progress = undefined;
    },
  };
}

/** Whether rows between the cursor and now may be gone, or the table is another one. */
function isBroken(cursor: LogPlace, watermark: number, deletedBelow: number): boolean {
  const isWholeHorizonRead = cursor.position === lastPosition;
  const readBelow = isWholeHorizonRead ? cursor.horizon + 1 : cursor.horizon;
  // In another life of the log rows may be missing that the last one had.
  return (
    deletedBelow > readBelow || watermark < readBelow || epochOf(watermark) !== epochOf(readBelow)
  );
}

/** Life of the log: the upper bits of a horizon. */
function epochOf(horizon: number): number {
  return Math.floor(horizon / 2 ** 44);
}

function advance(
  progress: Progress,
  rows: readonly Row[],
  { watermark, isFull }: { readonly watermark: number; readonly isFull: boolean },
): void {
  const { ahead } = progress;
  const isSettled = (horizon: number) => horizon < watermark;
  const last = rows.findLast(({ horizon }) => isSettled(horizon));
  const isAllSettled = isFull && rows.every(({ horizon }) => isSettled(horizon));
  progress.cursor =
    isAllSettled && last ? last : { horizon: watermark - 1, position: lastPosition };
  for (const [position, horizon] of ahead) if (isSettled(horizon)) ahead.delete(position);
  for (const { horizon, position } of rows) if (!isSettled(horizon)) ahead.set(position, horizon);
}

interface Row extends LogPlace {
  readonly tenantId: TenantId;
  readonly cache: string;
  readonly keys: readonly string[] | null;
  readonly tags: readonly string[] | null;
  readonly truth: number | null;
}

interface Page {
  readonly watermark: number;
  readonly deletedBelow: number;
  readonly rows: readonly Row[];
}

type PageRow = Omit<Page, "rows"> & (Row | { readonly position: null });

/** Reads on; without progress only where now is. */
async function readPage(db: Db, database: string, progress: Progress | undefined): Promise<Page> {
  const { cursor = { horizon: lastPosition, position: 0 }, ahead = new Map() } = progress ?? {};
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<PageRow>(sql("cache.hear")`
        select now.watermark, deleted.below as "deletedBelow", row.*
        from (select platform.event_watermark() as watermark) as now
        cross join cache_invalidations_deleted as deleted
        left join lateral (
          select horizon, position, tenant_id as "tenantId", cache, keys, tags, truth
          from cache_invalidations
          where (horizon, position) > (${cursor.horizon}::bigint, ${cursor.position}::bigint)
            and position <> all(${[...ahead.keys()]}::bigint[])
            and (horizon < now.watermark or ${ahead.size < aheadMax}::boolean)
          order by horizon, position limit ${pageRows}) as row on true
        order by row.horizon, row.position`),
    { name: "cache.hear", readOnly: true },
  );
  const [first] = rows;
  return {
    watermark: first?.watermark ?? 0,
    deletedBelow: first?.deletedBelow ?? 0,
    rows: rows.filter((row): row is PageRow & Row => row.position !== null),
  };
}

function toInvalidation({ cache, tenantId, keys, tags, truth }: Row): Invalidation {
  return {
    cache,
    tenantId,
    ...(keys ? { keys } : {}),
    ...(tags ? { tags } : {}),
    ...(truth === null ? {} : { position: truth }),
  };
}

/**
 * Forgets announcements that every node that is in touch has read long ago. One that was away for
 * longer finds out, and doubts what it holds.
 *
 * @returns how many
 */
export async function deleteOldInvalidations(
  db: Db,
  database: string,
  { olderThanMs }: { readonly olderThanMs: number },
): Promise<number> {
  const { deleted } = await db.platform(
    database,
    (tx) =>
      tx.one<{ deleted: number }>(sql("cache.delete_old_invalidations")`
        with old as (
          delete from cache_invalidations
          where recorded_at < clock_timestamp() - ${olderThanMs}::float8 * interval '1 ms'
            and horizon < platform.event_watermark()
          returning horizon)
        update cache_invalidations_deleted
        set below = greatest(below, (select max(horizon) + 1 from old))
        returning (select count(*)::int from old) as deleted`),
    { name: "cache.delete_old_invalidations" },
  );
  return deleted;
}
