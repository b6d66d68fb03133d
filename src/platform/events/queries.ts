import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../db/db.ts";
import { type Fragment, fragment, sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { RecordedEvent } from "./event.ts";

/** Columns of `platform.events e` as a {@link RecordedEvent}. */
export const eventColumns: Fragment = fragment`e.tenant_id as "tenantId", e.id, e.horizon,
  e.position, e.partition, e.stream, e.stream_version as "streamVersion", e.type, e.version, e.data,
  e.request_id as "requestId", e.metadata, e.occurred_at as "occurredAt",
  e.recorded_at as "recordedAt"`;

/** Most events one query returns. */
export const eventsPageMax = 1_000;

/**
 * The events of one stream, oldest first, as written.
 *
 * @param after position of the last one known; 0 from the beginning
 */
export function eventsOfStream(
  tx: Tx & { readonly tenantId: TenantId },
  stream: string,
  { after = 0, limit = eventsPageMax }: { readonly after?: number; readonly limit?: number } = {},
): Promise<RecordedEvent[]> {
  assertPage(limit);
  return tx.rows<RecordedEvent>(sql("events.of_stream")`
    select ${eventColumns} from platform.events e
    where e.tenant_id = ${tx.tenantId} and e.stream = ${stream} and e.position > ${after}
    order by e.position limit ${limit}`);
}

/** An event and the transaction that recorded it: events of one commit belong together. */
export interface StoriedEvent extends RecordedEvent {
  readonly transactionId: string;
}

/** The events of several streams, oldest first: one statement for a timeline. */
export function eventsOfStreams(
  tx: Tx & { readonly tenantId: TenantId },
  streams: readonly string[],
  limit = eventsPageMax,
): Promise<StoriedEvent[]> {
  assertPage(limit);
  return tx.rows<StoriedEvent>(sql("events.of_streams")`
    select ${eventColumns}, e.xmin::text as "transactionId" from platform.events e
    where e.tenant_id = ${tx.tenantId} and e.stream = any(${streams}::text[])
    order by e.position limit ${limit}`);
}

/** Everything one request caused, over all streams, in the order it was recorded. */
export function eventsOfRequest(
  tx: Tx & { readonly tenantId: TenantId },
  requestId: string,
  limit = eventsPageMax,
): Promise<RecordedEvent[]> {
  assertPage(limit);
  return tx.rows<RecordedEvent>(sql("events.of_request")`
    select ${eventColumns} from platform.events e
    where e.tenant_id = ${tx.tenantId} and e.request_id = ${requestId}
    order by e.position limit ${limit}`);
}

/** Events by their ids, in the order they were recorded. */
export function eventsById(
  tx: Tx & { readonly tenantId: TenantId },
  ids: readonly string[],
): Promise<RecordedEvent[]> {
  return tx.rows<RecordedEvent>(sql("events.by_id")`
    select ${eventColumns} from platform.events e
    where e.tenant_id = ${tx.tenantId} and e.id = any(${ids}::uuid[])
    order by e.horizon, e.position`);
}

/** Where a live view stands: opaque, made by {@link streamEvents}. */
export type EventCursor = string;

/** What a live view asks for. */
export interface EventTail {
  /** Where the last answer ended; from now on when left out. */
  readonly after?: EventCursor | undefined;
  /** Types to show; all when left out. */
  readonly types?: readonly string[] | undefined;
  /** 1 to {@link eventsPageMax}. */
  readonly limit: number;
}

/** Part of a live view. */
export interface EventTailPage {
  /** In log order: by horizon, then position. */
  readonly events: readonly RecordedEvent[];
  /** Where to go on. */
  readonly next: EventCursor;
  /** Whether more is there already. */
  readonly more: boolean;
}

/**
 * What one tenant's log holds after a cursor, for tailing by server-sent events or long poll: nothing
 * is skipped, transactions that commit late included. Call it again at each wake-up of topic `events`.
 *
 * @throws RangeError when the cursor is not one
 */
export async function streamEvents(
  db: Db,
  tenantId: TenantId,
  { after, types, limit }: EventTail,
): Promise<EventTailPage> {
  assertPage(limit);
  const from = after === undefined ? undefined : readEventCursor(after);
  return db.read(
    tenantId,
    async (tx) => {
      const { watermark } = await tx.one<{ watermark: number }>(
        sql("events.watermark")`select platform.event_watermark() as watermark`,
      );
      if (!from) return { events: [], next: eventCursor(watermark, 0), more: false };
      const ofTypes = types ? fragment`and e.type = any(${types}::text[])` : fragment``;
      const events = await tx.rows<RecordedEvent>(sql("events.tail")`
        select ${eventColumns}
        from generate_series(0, 7) as p (partition)
        cross join lateral (
          select * from platform.events e
          where e.partition = p.partition and e.tenant_id = ${tenantId}
            and (e.horizon, e.position) > (${from.horizon}::bigint, ${from.position}::bigint)
            and e.horizon < ${watermark}::bigint ${ofTypes}
          order by e.horizon, e.position limit ${limit}) e
        order by e.horizon, e.position limit ${limit}`);
      const last = events.at(-1);
      const more = events.length === limit && last !== undefined;
      const next = more ? eventCursor(last.horizon, last.position) : eventCursor(watermark, 0);
      return { events, next, more };
    },
    { name: "events.tail" },
  );
}

function eventCursor(horizon: number, position: number): EventCursor {
  return `${horizon}-${position}`;
}

function readEventCursor(cursor: EventCursor): { horizon: number; position: number } {
  const match = /^(\d{1,16})-(\d{1,16})$/.exec(cursor);
  const horizon = Number(match?.[1]);
  const position = Number(match?.[2]);
  if (Number.isSafeInteger(horizon) && Number.isSafeInteger(position)) return { horizon, position };
  throw new RangeError("not a cursor of the event log");
}

function assertPage(limit: number): void {
  assert(limit >= 1 && limit <= eventsPageMax, `between 1 and ${eventsPageMax} events a page`);
}
