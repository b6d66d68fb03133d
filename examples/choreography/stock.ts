import type { Static } from "typebox";
import { sql } from "../../src/platform/db/sql.ts";
import type { TenantTx } from "../../src/platform/db/transaction.ts";
import {
  appendEvents,
  originOf,
  type RecordedEvent,
  type Subscription,
} from "../../src/platform/events/events.ts";
import { facts, streamOf } from "./facts.ts";

type Placed = Static<typeof facts.orderPlaced.data>;
type Declined = Static<typeof facts.paymentDeclined.data>;

/**
 * Stock reserves for placed orders, and takes it back when it hears that the payment failed: that is
 * its part of the compensation, and it needs to know of no other.
 */
export const stock: Subscription = {
  name: "shop.stock",
  mode: "transactional",
  types: [facts.orderPlaced.type, facts.paymentDeclined.type],
  handle: async (tx, events) => {
    for (const event of events) {
      if (event.type === facts.orderPlaced.type) await reserve(tx, event);
      else release(tx, event);
    }
  },
};

async function reserve(tx: TenantTx, event: RecordedEvent): Promise<void> {
  const { orderId, sku, quantity, amountMinor, card } = event.data as unknown as Placed;
  const reserved = await tx.run(sql("shop.reserve")`
    update shop_stock set reserved = reserved + ${quantity}
    where tenant_id = ${tx.tenantId} and sku = ${sku} and on_hand - reserved >= ${quantity}`);
  const stream = streamOf(orderId);
  const line = { orderId, sku, quantity };
  const fact =
    reserved === 1
      ? facts.stockReserved.make(stream, { ...line, amountMinor, card })
      : facts.stockRefused.make(stream, line);
  appendEvents(tx, originOf(event), [fact]);
}

function release(tx: TenantTx, event: RecordedEvent): void {
  const line = event.data as unknown as Declined;
  tx.write(sql("shop.release")`
    update shop_stock set reserved = reserved - ${line.quantity}
    where tenant_id = ${tx.tenantId} and sku = ${line.sku}`);
  appendEvents(tx, originOf(event), [facts.stockReleased.make(streamOf(line.orderId), line)]);
}
