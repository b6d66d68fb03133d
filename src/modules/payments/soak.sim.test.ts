import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { seededRandom } from "../../kernel/random.ts";
import { addUpLog } from "../../simulator/oracle.ts";
import type { NewPayment } from "./contract.ts";
import {
  openPaymentBench,
  openShop,
  type PaymentBench,
  type Shop,
  until,
} from "./setup.fixture.ts";

const seed = Number(process.env["BRANDOS_SEED"] ?? 7);
const tokens = [
  "tok_test_approved",
  "tok_test_approved",
  "tok_test_approved",
  "tok_test_card_declined",
  "tok_test_answer_lost",
  "tok_test_request_lost",
  "tok_test_noisy_webhooks",
];

/** Pays like an impatient checkout: again until somebody knows, at most a few times. */
async function payStubbornly(shop: Shop, intent: NewPayment): Promise<void> {
  for (let tries = 1; tries <= 8; tries++) {
    try {
      await shop.settle(intent);
      return;
    } catch {
      // Unknown or unavailable: back off and try again; what stays unknown is the sweeper's.
      await new Promise((resolve) => setTimeout(resolve, tries * 15));
    }
  }
}

/** Sweeps until nothing waits any more. */
async function settleAll(shop: Shop): Promise<void> {
  shop.turn.clockMs = 60_000;
  let turns = 0;
  await until("nothing waits", async () => {
    // The sweeper passes over what it asked about within its grace time: go forward each turn.
    shop.turn.clockMs += 60_000 * ++turns;
    await shop.payments.resolveUnknownPayments(shop.ctx, 500);
    const open = await shop.payments.listPayments(shop.ctx, { limit: 100, status: "created" });
    return open.items.length === 0;
  });
}

describe(`payments under a bank that misbehaves (seed ${seed})`, () => {
  let bench: PaymentBench;
  before(async () => {
    bench = await openPaymentBench();
  });
  after(() => bench.stop());

  it("agree with the bank's log to the cent, each charged exactly once", async () => {
    const random = seededRandom(seed);
    const shop = openShop(bench);
    await bench.control({
      requestLossRate: 0.1,
      answerLossRate: 0.1,
      lossStyle: "cut",
      latencyJitterMs: 20,
      webhookDelayMs: 0,
      webhookDuplicateRate: 0.4,
      webhookLossRate: 0.2,
      webhookShuffleMs: 80,
    });
    const buyers = Array.from({ length: 150 }, () => ({
      amountMinor: 1 + Math.floor(random() * 99_999),
      instrumentToken: tokens[Math.floor(random() * tokens.length)] as string,
      refundShare: random(),
      isManual: random() < 0.2,
    }));
    const buy = async (buyer: (typeof buyers)[number]) => {
      const { amountMinor, instrumentToken, refundShare, isManual } = buyer;
      const captureMode = isManual ? "manual" : "automatic";
      const intent = await shop.intend({ amountMinor, instrumentToken, captureMode });
      await payStubbornly(shop, intent);
      const operationId = newId<"payment_operation">();
      if (isManual)
        await shop.payments.capturePayment(shop.ctx, { paymentId: intent.id, operationId });
      if (refundShare > 0.5) return;
      for (const basis of ["return", "goodwill"] as const) {
        await shop.payments.refundPayment(shop.ctx, {
          paymentId: intent.id,
          operationId: newId<"payment_operation">(),
          amountMinor: Math.max(1, Math.floor(amountMinor * refundShare)),
          basis,
        });
      }
    };
    const queue = buyers.values();
    const lane = async () => {
      for (const buyer of queue) await buy(buyer);
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    await bench.control({ requestLossRate: 0, answerLossRate: 0 });
    await settleAll(shop);
    await until("the bank told all", async () => (await bench.control({})).webhooksWaiting === 0);

    assert.deepEqual(await shop.quarrels(), []);
    const sums = [...addUpLog(await bench.log(), shop.tenantId).values()];
    const held = sums.reduce(
      (sum, { capturedMinor, refundedMinor }) => sum + capturedMinor - refundedMinor,
      0,
    );
    const { "provider:simulator": ledger, ...others } = await shop.balances();
    assert.equal(ledger, held);
    assert.equal(
      Object.values(others).reduce((sum, amount) => sum + amount, held),
      0,
    );
    assert.ok(sums.length > 75, `${sums.length} charged`);
    assert.ok(
      sums.every(({ captures }) => captures <= 1),
      "nobody was charged twice",
    );
    assert.deepEqual((await shop.payments.listDeadLetters(shop.ctx, { limit: 10 })).items, []);
  });

  it("lose nothing when the bank is killed again and again", async () => {
    const shop = openShop(bench);
    const intents = await Promise.all(
      Array.from({ length: 60 }, (_, index) => shop.intend({ amountMinor: 1_000 + index })),
    );
    await bench.control({ latencyJitterMs: 40 });
    const paying = Promise.all(
      intents.map(async (intent, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 5));
        await payStubbornly(shop, intent);
      }),
    );
    for (let kills = 0; kills < 2; kills++) {
      await until("some were charged", async () => {
        const known = await shop.payments.listPayments(shop.ctx, {
          limit: 100,
          status: "captured",
        });
        return known.items.length > kills * 5;
      });
      await bench.killBank();
      await bench.startBank();
    }
    await paying;
    // What every try failed for is charged now, by whoever pursues the order.
    for (const intent of intents) {
      if ((await shop.find(intent.id)).status === "created") await shop.settle(intent);
    }
    await until("the bank told all", async () => (await bench.control({})).webhooksWaiting === 0);
    assert.deepEqual(await shop.quarrels(), []);
    const sums = addUpLog(await bench.log(), shop.tenantId);
    assert.equal(sums.size, intents.length);
    for (const intent of intents) {
      const { captures, capturedMinor } = sums.get(intent.id) ?? {};
      assert.deepEqual([captures, capturedMinor], [1, intent.amountMinor]);
    }
  });
});
