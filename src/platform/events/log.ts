import type { Db } from "../db/db.ts";
import { fragment, sql } from "../db/sql.ts";
import type { LogPlace, RecordedEvent } from "./event.ts";
import { eventColumns } from "./queries.ts";

/** What is new in the log of one database, and what its subscriptions were told to do. */
export interface LogState {
  /** Everything that sorts below it is complete: no transaction still running can add to it. */
  readonly watermark: number;
  /** Newest visible event by logical partition; {@link logStart} where there is none. */
  readonly heads: readonly LogPlace[];
  /** Subscriptions that are paused. */
  readonly paused: ReadonlySet<string>;
  /** Subscriptions with dead letters to be handled again or dropped. */
  readonly released: ReadonlySet<string>;
}

/** Before every event. */
export const logStart: LogPlace = { horizon: 0, position: 0 };

/** Whether one place lies before another. */
export function isBefore(a: LogPlace, b: LogPlace): boolean {
  return a.horizon < b.horizon || (a.horizon === b.horizon && a.position < b.position);
}

/** Which part of which partitions to read. */
export interface LogRange {
  /** Place already handled, by partition. */
  readonly after: ReadonlyMap<number, LogPlace>;
  /** Read only below this. */
  readonly watermark: number;
  /** Types wanted; undefined for all. */
  readonly types: readonly string[] | undefined;
  /** Events at most, over all partitions. */
  readonly eventsMax: number;
  /** Stored bytes of data at most, over all partitions; each partition yields at least one event. */
  readonly bytesMax: number;
}

/** Events read, and how far that goes. */
export interface LogBatch {
  /** In log order: by horizon, then position. */
  readonly events: readonly RecordedEvent[];
  /** By partition: where the cursor stands once the events are handled. */
  readonly reached: ReadonlyMap<number, LogPlace>;
  /** Whether any partition may hold more below the watermark. */
  readonly more: boolean;
}

/** The log of one database, as its readers see it. */
export interface EventLog {
  readonly database: string;
  /** Looks at the log once. Callers at the same time share one look that began after they asked. */
  look(): Promise<LogState>;
  read(range: LogRange): Promise<LogBatch>;
}

/** Opens the log of one database for reading, as the platform role. */
export function openEventLog(db: Db, database: string): EventLog {
  let looking: Promise<LogState> | undefined;
  let nextLook: Promise<LogState> | undefined;
  return {
    database,
    look() {
      if (nextLook) return nextLook;
      const begin = (): Promise<LogState> => {
        nextLook = undefined;
        const look = lookAtLog(db, database).finally(() => {
          if (looking === look) looking = undefined;
        });
        looking = look;
        return look;
      };
      if (!looking) return begin();
      nextLook = looking.then(begin, begin);
      return nextLook;
    },
    read: (range) => readLog(db, database, range),
  };
}

interface StateRow {
  readonly watermark: number;
  readonly paused: string[];
  readonly released: string[];
  readonly horizon: number | null;
  readonly position: number | null;
}

async function lookAtLog(db: Db, database: string): Promise<LogState> {
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<StateRow>(sql("events.look")`
        select (select platform.event_watermark()) as watermark,
          (select coalesce(array_agg(name), '{}') from platform.subscriptions where paused) as paused,
          (select coalesce(array_agg(distinct subscription), '{}')
             from platform.event_dead_letters where state in ('released', 'discarded')) as released,
          head.horizon, head.position
        from generate_series(0, 7) as p (partition)
        left join lateral (
          select horizon, position from platform.events e where e.partition = p.partition
          order by e.horizon desc, e.position desc limit 1) head on true
        order by p.partition`),
    { name: "events.look", readOnly: true },
  );
  const heads = rows.map(({ horizon, position }) =>
    horizon === null || position === null ? logStart : { horizon, position },
  );
  const [first] = rows;
  return {
    watermark: first?.watermark ?? 0,
    heads,
    paused: new Set(first?.paused),
    released: new Set(first?.released),
  };
}

type EventRow = RecordedEvent & { readonly bytes: number };

async function readLog(db: Db, database: string, range: LogRange): Promise<LogBatch> {
  const { after, watermark, types } = range;
  const partitions = [...after.keys()];
  const places = [...after.values()];
  const eventsEach = Math.ceil(range.eventsMax / partitions.length);
  const bytesEach = Math.ceil(range.bytesMax / partitions.length);
  const ofTypes = types ? fragment`and e.type = any(${types}::text[])` : fragment``;
  const rows = await db.platform(
    database,
    (tx) =>
      tx.rows<EventRow>(sql("events.read")`
        select e.* from unnest(${partitions}::smallint[],
          ${places.map((place) => place.horizon)}::bigint[],
          ${places.map((place) => place.position)}::bigint[])
          as cursor (partition, horizon, position)
        cross join lateral (
          select ${eventColumns},
            sum(pg_column_size(e.data)) over (order by e.horizon, e.position
              rows unbounded preceding) as bytes,
            pg_column_size(e.data) as own_bytes
          from (select * from platform.events e
            where e.partition = cursor.partition
              and (e.horizon, e.position) > (cursor.horizon, cursor.position)
              and e.horizon < ${watermark}::bigint ${ofTypes}
            order by e.horizon, e.position limit ${eventsEach}) e) e
        where e.bytes - e.own_bytes < ${bytesEach}
        order by e.horizon, e.position`),
    { name: "events.read", readOnly: true },
  );
  return batchOf(rows, { ...range, eventsEach, bytesEach });
}

function batchOf(
  rows: readonly EventRow[],
  range: LogRange & { readonly eventsEach: number; readonly bytesEach: number },
): LogBatch {
  const counts = new Map<number, number>();
  const last = new Map<number, EventRow>();
  for (const row of rows) {
    counts.set(row.partition, (counts.get(row.partition) ?? 0) + 1);
    last.set(row.partition, row);
  }
  const reached = new Map<number, LogPlace>();
  let more = false;
  for (const partition of range.after.keys()) {
    const row = last.get(partition);
    const count = counts.get(partition) ?? 0;
    if (row && (count >= range.eventsEach || row.bytes >= range.bytesEach)) {
      reached.set(partition, { horizon: row.horizon, position: row.position });
      more = true;
    } else {
      // Read to the end: whatever comes later sorts at the watermark or above.
      reached.set(partition, { horizon: range.watermark, position: 0 });
    }
  }
  return { events: rows.map(withoutBytes), reached, more };
}

function withoutBytes(row: EventRow): RecordedEvent {
  return {
    tenantId: row.tenantId,
    id: row.id,
    horizon: row.horizon,
    position: row.position,
    partition: row.partition,
    stream: row.stream,
    streamVersion: row.streamVersion,
    type: row.type,
    version: row.version,
    data: row.data,
    requestId: row.requestId,
    metadata: row.metadata,
    occurredAt: row.occurredAt,
    recordedAt: row.recordedAt,
  };
}
