import { lowestIdAt, timeOfId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import { sql } from "../../platform/db/sql.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import { type OrderId, orderIdSkewMaxMs } from "./contract.ts";
import { orderStream } from "./events.ts";

/** One thing that happened to an order. */
export interface TimelineEntry {
  readonly at: Date;
  /** Where it was recorded: `event`, `payment`, `ledger`, `job`. */
  readonly source: string;
  /** What happened, `orders.order_paid`. */
  readonly type: string;
  readonly data: JsonObject;
  /** Ties entries of one request together, also with logs. */
  readonly requestId: string | null;
  readonly actor: { readonly kind: string; readonly id: string } | null;
}

/** Another module's part of a timeline, read in the same transaction. */
export type TimelinePart = (tx: TenantTx, orderId: OrderId) => Promise<readonly TimelineEntry[]>;

/** Events of one order that a timeline shows at most, the oldest first. */
export const timelineEventsMax = 500;

/**
 * Reads what happened to an order: the events of its stream and what the parts add, in order of
 * time.
 */
export async function readTimeline(
  tx: TenantTx,
  orderId: OrderId,
  parts: readonly TimelinePart[],
): Promise<TimelineEntry[]> {
  const all = await Promise.all([
    readEvents(tx, orderId),
    ...parts.map((part) => part(tx, orderId)),
  ]);
  return all.flat().sort((a, b) => a.at.getTime() - b.at.getTime());
}

interface EventRow {
  readonly occurred_at: Date;
  readonly type: string;
  readonly data: JsonObject;
  readonly request_id: string;
  readonly actor: { readonly kind: string; readonly id: string };
}

async function readEvents(tx: TenantTx, orderId: OrderId): Promise<TimelineEntry[]> {
  // An event is appended after its order's id was minted: older months are pruned.
  const from = lowestIdAt(new Date(timeOfId(orderId).getTime() - orderIdSkewMaxMs));
  const rows = await tx.rows<EventRow>(sql("orders.timeline")`
    select occurred_at, type, data, request_id, metadata->'actor' as actor
    from events
    where tenant_id = ${tx.tenantId} and stream = ${orderStream(orderId)} and id >= ${from}::uuid
    order by position limit ${timelineEventsMax}`);
  return rows.map((row) => ({
    at: row.occurred_at,
    source: "event",
    type: row.type,
    data: row.data,
    requestId: row.request_id,
    actor: row.actor,
  }));
}
