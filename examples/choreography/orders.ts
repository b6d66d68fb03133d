import type { Context } from "../../src/kernel/context.ts";
import type { Db } from "../../src/platform/db/db.ts";
import { sql } from "../../src/platform/db/sql.ts";
import { appendEvents, type Subscription } from "../../src/platform/events/events.ts";
import { facts, streamOf } from "./facts.ts";

/** What a customer asks for. */
export interface PlaceOrder {
  readonly orderId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly amountMinor: number;
  readonly card: string;
}

/** Takes an order: one row and one fact in one commit. Nobody else is called. */
export async function placeOrder(db: Db, ctx: Context, order: PlaceOrder): Promise<void> {
  await db.commit(
    ctx.tenantId,
    async (tx) => {
      tx.write(sql("shop.place")`
        insert into shop_orders (tenant_id, id, status)
        values (${ctx.tenantId}, ${order.orderId}, 'pending')`);
      appendEvents(tx, ctx, [facts.orderPlaced.make(streamOf(order.orderId), order)]);
    },
    { name: "shop.place" },
  );
}

const statusAfter: Readonly<Record<string, string>> = {
  [facts.stockRefused.type]: "cancelled",
  [facts.paymentDeclined.type]: "cancelled",
  [facts.paymentCaptured.type]: "paid",
};

/** Orders follow what stock and payments say. */
export const orders: Subscription = {
  name: "shop.orders",
  mode: "transactional",
  types: Object.keys(statusAfter),
  handle: async (tx, events) => {
    tx.write(sql("shop.follow")`
      update shop_orders o set status = n.status
      from unnest(${events.map(({ data }) => data["orderId"])}::uuid[],
        ${events.map(({ type }) => statusAfter[type])}::text[]) as n (id, status)
      where o.tenant_id = ${tx.tenantId} and o.id = n.id and o.status = 'pending'`);
  },
};
