import { assert } from "../../kernel/assert.ts";
import type { JsonObject } from "../../kernel/json.ts";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";
import { fragment, sql } from "../db/sql.ts";
import type { TenantTx } from "../db/transaction.ts";
import { writeEvents } from "./append.ts";
import type { EventRegistry } from "./definition.ts";
import type { EventOrigin, NewEvent, RecordedEvent } from "./event.ts";
import { eventColumns, eventsPageMax } from "./queries.ts";

/** Refusal: the stream is not at the version the caller decided on. */
export interface WrongVersion extends Failure {
  readonly code: "events.wrong_version";
  readonly stream: string;
  readonly expectedVersion: number;
  /** Version it is at; 0 when it does not exist. */
  readonly actualVersion: number;
}

/** An append to a stream with an expected version. */
export interface StreamAppend {
  readonly stream: string;
  /** Version of the stream the events were decided on; 0 when it must not exist yet. */
  readonly expectedVersion: number;
  /** At least one; each must name this stream. */
  readonly events: readonly NewEvent[];
}

/**
 * Appends to a stream if it is at the expected version: optimistic concurrency for event-sourced
 * aggregates. The row lock it takes is held to the end of the transaction.
 *
 * @returns the stream's new version
 */
export async function appendToStream(
  tx: TenantTx,
  origin: EventOrigin,
  { stream, expectedVersion, events }: StreamAppend,
): Promise<Result<number, WrongVersion>> {
  assert(events.length > 0, "an append has at least one event");
  assert(
    events.every((event) => event.stream === stream),
    "every event names the stream it is appended to",
  );
  const moved = await tx.maybe<{ version: number }>(
    expectedVersion === 0
      ? sql("events.begin_stream")`
          insert into platform.streams (tenant_id, stream, version)
          values (${tx.tenantId}, ${stream}, ${events.length})
          on conflict (tenant_id, stream) do nothing returning version`
      : sql("events.move_stream")`
          update platform.streams set version = version + ${events.length}
          where tenant_id = ${tx.tenantId} and stream = ${stream} and version = ${expectedVersion}
          returning version`,
  );
  if (!moved) {
    const actualVersion = await streamVersion(tx, stream);
    return fail({ code: "events.wrong_version", stream, expectedVersion, actualVersion });
  }
  writeEvents(
    tx,
    events.map((event, index) => ({ origin, event, streamVersion: expectedVersion + index + 1 })),
  );
  return ok(moved.version);
}

/** Version a stream is at: the number of its events; 0 when it does not exist. */
export async function streamVersion(tx: TenantTx, stream: string): Promise<number> {
  const row = await tx.maybe<{ version: number }>(sql("events.stream_version")`
    select version from platform.streams where tenant_id = ${tx.tenantId} and stream = ${stream}`);
  return row?.version ?? 0;
}

/** Which part of a stream to read. */
export interface StreamRange {
  /** Version of the last event known, as of a snapshot; 0 from the beginning. */
  readonly afterVersion?: number;
  /** At most this many, 1 to 1,000. */
  readonly limit?: number;
  /** Brings old versions of event data up to date. */
  readonly registry?: EventRegistry;
}

/** Events of a versioned stream in order, brought up to their types' current versions. */
export async function readStream<Data extends object = JsonObject>(
  tx: TenantTx,
  stream: string,
  { afterVersion = 0, limit = eventsPageMax, registry }: StreamRange = {},
): Promise<RecordedEvent<Data>[]> {
  assert(limit >= 1 && limit <= eventsPageMax, `between 1 and ${eventsPageMax} events a page`);
  const newer = afterVersion > 0 ? fragment`and e.stream_version > ${afterVersion}` : fragment``;
  const events = await tx.rows<RecordedEvent>(sql("events.read_stream")`
    select ${eventColumns} from platform.events e
    where e.tenant_id = ${tx.tenantId} and e.stream = ${stream}
      and e.stream_version is not null ${newer}
    order by e.position limit ${limit}`);
  const current = registry ? events.map((event) => registry.upcast(event)) : events;
  return current as readonly RecordedEvent<object>[] as RecordedEvent<Data>[];
}
