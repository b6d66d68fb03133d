import type { Static } from "typebox";
import type { Db } from "../../src/platform/db/db.ts";
import { sql } from "../../src/platform/db/sql.ts";
import { appendEvents, originOf, type Subscription } from "../../src/platform/events/events.ts";
import { facts, streamOf } from "./facts.ts";

type Reserved = Static<typeof facts.stockReserved.data>;

/** A payment provider: somebody else's computer. Honours idempotency keys, as they do. */
export interface Provider {
  charge(key: string, card: string, amountMinor: number): Promise<"captured" | "declined">;
}

/**
 * Payments charge once the stock is there. The provider is outside the database, so this may run
 * more than once for one event: the event's id is the idempotency key, and the row's primary key sees
 * to it that the outcome is told once.
 */
export function payments(db: Db, provider: Provider): Subscription {
  return {
    name: "shop.payments",
    mode: "external",
    types: [facts.stockReserved.type],
    handle: async (ctx, event) => {
      const { orderId, sku, quantity, amountMinor, card } = event.data as unknown as Reserved;
      const outcome = await provider.charge(event.id, card, amountMinor);
      await db.commit(ctx.tenantId, async (tx) => {
        const isNew = await tx.run(sql("shop.pay")`
          insert into shop_payments (tenant_id, order_id, outcome, amount_minor)
          values (${ctx.tenantId}, ${orderId}, ${outcome}, ${amountMinor})
          on conflict (tenant_id, order_id) do nothing`);
        if (isNew === 0) return;
        const stream = streamOf(orderId);
        const fact =
          outcome === "captured"
            ? facts.paymentCaptured.make(stream, { orderId, amountMinor })
            : facts.paymentDeclined.make(stream, { orderId, sku, quantity });
        appendEvents(tx, originOf(event), [fact]);
      });
    },
  };
}
