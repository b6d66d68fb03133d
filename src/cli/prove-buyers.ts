import type { TenantId } from "../kernel/ids.ts";
import type { OrderId } from "../modules/orders/contract.ts";
import { createOutput, openSession, operatorContext } from "./program.ts";
import type { BuyerReport, RaceOrder } from "./prove.ts";

// One process of `brandos prove`: its buyers all want the same product at the same time.

const session = await openSession(createOutput(true));

async function buy(order: RaceOrder, orderId: string): Promise<BuyerReport> {
  const ctx = operatorContext(order.tenantId as TenantId);
  const result = await session.app.commerce.checkout.place(ctx, {
    orderId: orderId as OrderId,
    from: {
      agreed: {
        placedAt: new Date(),
        charges: [],
        basket: basketOf(order.variantId),
        prices: pricesOf(order.variantId),
      },
    },
    payment: { provider: "manual" },
  });
  return result.ok ? { orderId, ok: true } : { orderId, ok: false, code: result.failure.code };
}

function basketOf(variantId: string) {
  return {
    currency: "EUR",
    lines: [{ variantId, quantity: 1 }],
    email: null,
    customerId: null,
    shippingAddress: null,
    billingAddress: null,
    shippingMethodId: null,
    couponCodes: [],
  };
}

function pricesOf(variantId: string) {
  const amounts = { discountMinor: 0, taxMinor: 0, netMinor: 1_000, totalMinor: 1_000 };
  return {
    currency: "EUR",
    lines: [
      {
        variantId,
        productId: "",
        sku: "ONE",
        title: "The one",
        quantity: 1,
        unitPriceMinor: 1_000,
        compareAtMinor: null,
        ...amounts,
      },
    ],
    shipping: null,
    promotions: [],
    refusedCodes: [],
    priceIncludesTax: true,
    subtotalMinor: 1_000,
    discountMinor: 0,
    shippingMinor: 0,
    taxMinor: 0,
    totalMinor: 1_000,
  };
}

process.once("message", (order: RaceOrder) => {
  void Promise.all(
    order.buyers.map(async (orderId) => {
      const report = await buy(order, orderId).catch((error) => ({
        orderId,
        ok: false,
        code: String(error.code ?? error),
      }));
      // The channel is closed behind the last report, not before it.
      await new Promise((sent) => process.send?.(report, sent));
    }),
  ).then(async () => {
    await session.close();
    process.disconnect?.();
  });
});
process.send?.("ready");
