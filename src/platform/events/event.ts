import { assert } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";

/** A fact to record, named in the past tense. */
export interface NewEvent<Data extends object = object> {
  /** `<module>.<what_happened>`: `orders.order_placed`, at most 100 characters. */
  readonly type: string;
  /** Version of the shape of `data`, 1 or more; raised on every incompatible change. */
  readonly version: number;
  /** The aggregate it belongs to, `order:<uuid>`: events of one stream keep their order. */
  readonly stream: string;
  /** A JSON object: plain values only, no secrets, no card data. */
  readonly data: Data;
  /** When it happened; now when left out. Imports pass the original moment. */
  readonly occurredAt?: Date;
}

/** Who and what caused an event; a {@link Context} is one. */
export interface EventOrigin
  extends Pick<Context, "requestId" | "actor" | "traceparent" | "occurredAt"> {
  /** Id of the event whose handling caused this one. */
  readonly causationId?: string;
  /** In a batch of several callers: who caused the events of a stream, if not this origin. */
  readonly byStream?: (stream: string) => EventOrigin | undefined;
}

/**
 * One origin for a batch of several callers: each stream's events carry the origin of whoever asked.
 *
 * @param asked streams and origins, at least one; the first origin stands for all other streams
 */
export function jointOrigin(
  asked: readonly { readonly stream: string; readonly origin: EventOrigin }[],
): EventOrigin {
  const byStream = new Map(asked.map(({ stream, origin }) => [stream, origin]));
  const [first] = asked;
  assert(first, "a batch has at least one caller");
  return { ...first.origin, byStream: (stream) => byStream.get(stream) };
}

/** What is recorded beside an event's data. */
export interface EventMetadata {
  readonly actor: Context["actor"];
  readonly traceparent?: string;
  readonly causationId?: string;
}

/** A place in one logical partition of the log. Places of one partition are totally ordered. */
export interface LogPlace {
  /** Epoch of the log and transaction order, as one number; see the README. */
  readonly horizon: number;
  readonly position: number;
}

/** An event as it stands in the log. */
export interface RecordedEvent<Data extends object = JsonObject> extends LogPlace {
  readonly tenantId: TenantId;
  /** UUIDv7, stable: what external effects deduplicate by. */
  readonly id: string;
  /** Logical partition, 0 to 7, computed from the stream. */
  readonly partition: number;
  readonly stream: string;
  /** Number in its stream, from 1; only where the stream is appended to with an expected version. */
  readonly streamVersion: number | null;
  readonly type: string;
  readonly version: number;
  readonly data: Data;
  readonly requestId: string;
  readonly metadata: EventMetadata;
  readonly occurredAt: Date;
  readonly recordedAt: Date;
}

/** Logical partitions of the log: the most workers one subscription can spread over. */
export const partitionCount = 8;

/** Wake-up topic under which appends are announced. */
export const eventsTopic = "events";

/** Wake-up topic under which it is announced that readers came or went, or gave partitions back. */
export const readersTopic = "event_readers";

/**
 * The origin of what a handler does because of an event: same request and trace, acting as the system.
 */
export function originOf(event: RecordedEvent<object>): EventOrigin {
  return {
    requestId: event.requestId,
    actor: { kind: "system", id: "system" },
    ...(event.metadata.traceparent ? { traceparent: event.metadata.traceparent } : {}),
    causationId: event.id,
  };
}
