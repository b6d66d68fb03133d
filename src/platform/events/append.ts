import { assert } from "../../kernel/assert.ts";
import { newId } from "../../kernel/ids.ts";
import { sql } from "../db/sql.ts";
import type { TenantTx } from "../db/transaction.ts";
import { poke } from "../wakeup/poke.ts";
import { type EventMetadata, type EventOrigin, eventsTopic, type NewEvent } from "./event.ts";

/** Largest event data, bytes of JSON. What is larger belongs in a table or an object store. */
export const eventDataBytesMax = 256 * 1024;

/**
 * Records events in the caller's transaction: one statement for all of it, sent with COMMIT. They
 * are kept if and only if it commits; subscriptions hear of them right after.
 *
 * Call it after the statement that locks the aggregate, so that its stream keeps the order of its
 * changes.
 */
export function appendEvents(tx: TenantTx, origin: EventOrigin, events: readonly NewEvent[]): void {
  writeEvents(
    tx,
    events.map((event) => ({ origin: origin.byStream?.(event.stream) ?? origin, event })),
  );
}

/** An event together with its own origin and, in a versioned stream, its number. */
export interface AttributedEvent {
  readonly origin: EventOrigin;
  readonly event: NewEvent;
  readonly streamVersion?: number;
}

const gathered = new WeakMap<TenantTx, AttributedEvent[]>();

/**
 * Like {@link appendEvents} for a batch whose events come from different callers. Everything one
 * transaction records for a tenant goes out as one statement, with COMMIT: an order that touches five
 * modules costs one insert.
 */
export function writeEvents(tx: TenantTx, rows: readonly AttributedEvent[]): void {
  if (rows.length === 0) return;
  const known = gathered.get(tx);
  if (known) {
    known.push(...rows);
    return;
  }
  gathered.set(tx, [...rows]);
  tx.beforeCommit(() => flushEvents(tx));
  tx.afterCommit(pokeReaders);
}

/** Sends what a transaction has gathered so far, for whoever reads its own events before COMMIT. */
export function flushEvents(tx: TenantTx): void {
  const rows = gathered.get(tx);
  gathered.delete(tx);
  if (rows) insertEvents(tx, rows);
}

function insertEvents(tx: TenantTx, rows: readonly AttributedEvent[]): void {
  const metadata = encodeMetadata(rows);
  tx.write(sql("events.append")`
    insert into platform.events (tenant_id, id, horizon, version, stream_version, occurred_at,
      stream, type, request_id, data, metadata)
    select ${tx.tenantId}::uuid, id, (select platform.event_horizon()), version, stream_version,
      coalesce(to_timestamp(occurred_ms / 1000.0), clock_timestamp()),
      stream, type, request_id, data, metadata
    from unnest(${rows.map(() => newId())}::uuid[],
      ${rows.map(({ event }) => event.version)}::smallint[],
      ${rows.map(({ streamVersion }) => streamVersion ?? null)}::integer[],
      ${rows.map(occurredMs)}::bigint[],
      ${rows.map(({ event }) => event.stream)}::text[],
      ${rows.map(({ event }) => event.type)}::text[],
      ${rows.map(({ origin }) => origin.requestId)}::text[],
      ${rows.map(({ event }) => encodeData(event))}::json[],
      ${metadata}::json[])
      as new (id, version, stream_version, occurred_ms, stream, type, request_id, data, metadata)`);
}

function pokeReaders(): void {
  poke(eventsTopic);
}

function occurredMs({ event, origin }: AttributedEvent): number | null {
  return (event.occurredAt ?? origin.occurredAt)?.getTime() ?? null;
}

function encodeData(event: NewEvent): string {
  const json = JSON.stringify(event.data);
  assert(json.length <= eventDataBytesMax, `${event.type}: data within ${eventDataBytesMax} bytes`);
  return json;
}

/** Callers share few origins: each is encoded once. */
function encodeMetadata(rows: readonly AttributedEvent[]): string[] {
  const known = new Map<EventOrigin, string>();
  return rows.map(({ origin }) => {
    const before = known.get(origin);
    if (before !== undefined) return before;
    const metadata: EventMetadata = {
      actor: origin.actor,
      ...(origin.traceparent ? { traceparent: origin.traceparent } : {}),
      ...(origin.causationId ? { causationId: origin.causationId } : {}),
    };
    const json = JSON.stringify(metadata);
    known.set(origin, json);
    return json;
  });
}
