import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createOutgoing } from "../../platform/outgoing/outgoing.ts";
import { openPaymentBench, openShop, type PaymentBench, until } from "./setup.fixture.ts";

describe("an outage of the bank", () => {
  let bench: PaymentBench;
  before(async () => {
    const opened = await openPaymentBench();
    const client = createOutgoing({
      name: "payments.simulator",
      reach: "any",
      limits: { timeoutMs: 250, breakerThreshold: 3, breakerOpenMs: 100 },
    });
    bench = Object.assign(Object.create(opened), { client });
  });
  after(async () => {
    await bench.client.stop();
    await bench.stop();
  });

  it("opens the breaker, fails fast, charges nothing twice, and ends by itself", async () => {
    const shop = openShop(bench, false);
    const { url } = bench.bank;
    await bench.killBank();
    const intents = await Promise.all(Array.from({ length: 6 }, () => shop.intend()));
    for (const intent of intents) {
      await assert.rejects(shop.payments.charge(shop.ctx, intent), {
        code: "ERR_PAYMENT_PROVIDER_UNAVAILABLE",
        retryable: true,
      });
    }
    assert.equal(bench.client.breakerOf(url), "open");
    const startedAt = performance.now();
    await assert.rejects(shop.payments.charge(shop.ctx, intents[0] as never));
    assert.ok(performance.now() - startedAt < 50, "an open breaker answers at once");
    await bench.startBank();
    for (const intent of intents) {
      await until("the bank is back", async () => {
        const paid = await shop.settle(intent).catch(() => undefined);
        return paid?.status === "captured";
      });
    }
    assert.equal(bench.client.breakerOf(url), "closed");
    assert.deepEqual(await shop.quarrels(), []);
  });
});
