import { newId } from "../src/kernel/ids.ts";
import type { OrderId } from "../src/modules/orders/contract.ts";
import type { PlaceOrder } from "../src/processes/checkout/contract.ts";
import { type BenchShop, startShop } from "./commerce.ts";
import {
  type BenchOptions,
  type BenchResult,
  closedLoop,
  type LoadReport,
  round,
} from "./harness.ts";
import { rawOrdersPerSecond } from "./place-order-raw.ts";

const callers = 256;
const skus = 1_000;

/**
 * The command that places an order, by 256 callers: priced, taxed, with its idempotency key, stock of
 * two SKUs, order, lines, payment, ledger and events, durable before it answers.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 4_000 : 10_000;
  const shop = await startShop({ products: skus, units: 100_000_000 });
  try {
    await measure(shop, 1_000, "spread");
    log("spread over 1,000 SKUs …");
    const spread = await measure(shop, durationMs, "spread");
    log("one hot SKU …");
    const hot = await measure(shop, durationMs, "hot");
    log("the same rows by hand-written coalesced SQL …");
    const rawOf = (kind: "spread" | "hot", orderId: string) =>
      rawOrdersPerSecond(shop.url, { orderId, kind }, { durationMs, callers });
    const raw = {
      spread: await rawOf("spread", spread.lastOrderId),
      hot: await rawOf("hot", hot.lastOrderId),
    };
    return {
      bench: "place-order",
      ours: hot.perSecond,
      unit: "orders/s on one hot SKU",
      peers: {},
      ratio: null,
      limit: raw.hot,
      ofLimit: round(hot.perSecond / raw.hot),
      rows: [
        rowOf("spread over 1,000 SKUs", spread, raw.spread),
        rowOf("one hot SKU", hot, raw.hot),
      ],
      notes: [
        `spread ${spread.perSecond} orders/s, ${round(spread.perSecond / raw.spread)} of hand-written SQL`,
        "no peer offers this as a command; the full checkout has peers: bench checkout",
      ],
    };
  } finally {
    await shop.stop();
  }
}

function rowOf(what: string, load: LoadReport, raw: number) {
  return {
    what,
    "orders/s": load.perSecond,
    "p50 ms": load.p50,
    "p99 ms": load.p99,
    "hand-written SQL": raw,
    "of it": round(load.perSecond / raw),
  };
}

async function measure(
  { app, ctx, variantIds, shippingMethodId }: BenchShop,
  durationMs: number,
  kind: "spread" | "hot",
): Promise<LoadReport & { readonly lastOrderId: string }> {
  const pick = () => variantIds[Math.floor(Math.random() * variantIds.length)] as string;
  let lastOrderId = "";
  const report = await closedLoop(callers, durationMs, async (index) => {
    const [first, second] = kind === "hot" ? [variantIds[0] as string] : [pick(), pick()];
    const lines = [first, second].flatMap((variantId) =>
      variantId ? [{ variantId, quantity: 1 }] : [],
    );
    const command: PlaceOrder = {
      orderId: newId<"order">() as OrderId,
      from: {
        basket: {
          currency: "EUR",
          lines,
          email: `buyer${index % 5_000}@example.com`,
          customerId: null,
          shippingAddress: {
            name: "A B",
            line1: "1 St",
            city: "Wien",
            postalCode: "1010",
            countryCode: "AT",
          },
          billingAddress: null,
          shippingMethodId,
          couponCodes: [],
        },
      },
      payment: { provider: "manual" },
    };
    const idempotency = {
      key: command.orderId,
      principal: "bench",
      route: "POST /v1/orders",
      fingerprint: "00".repeat(32),
    };
    const placed = await app.commerce.checkout.place({ ...ctx, idempotency }, command);
    if (!placed.ok) throw new Error(JSON.stringify(placed.failure));
    lastOrderId = command.orderId;
  });
  return { ...report, lastOrderId };
}
