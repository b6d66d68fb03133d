import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { addUpLog } from "../../simulator/oracle.ts";
import { openPaymentBench, openShop, type PaymentBench, until } from "./setup.fixture.ts";

describe("charging at the simulated bank", () => {
  let bench: PaymentBench;
  before(async () => {
    bench = await openPaymentBench();
  });
  after(() => bench.stop());
  afterEach(async () => {
    bench.shops.clear();
  });

  it("takes the money once and posts it once", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    assert.equal(paid.status, "captured");
    assert.deepEqual(paid.instrument, { brand: "visa", last4: "4242" });
    assert.deepEqual(await shop.balances(), { "provider:simulator": 10_000, receivable: -10_000 });
    assert.deepEqual(await shop.events(), [
      "payments.payment_created",
      "payments.payment_captured",
    ]);
    assert.deepEqual(await shop.quarrels(), []);
  });

  for (const [token, failureCode] of [
    ["tok_test_card_declined", "card_declined"],
    ["tok_test_insufficient_funds", "insufficient_funds"],
    ["tok_that_nobody_made", "unknown_token"],
  ] as const) {
    it(`gives the refusal ${failureCode} back as a value`, async () => {
      const shop = openShop(bench);
      const paid = await shop.pay({ instrumentToken: token });
      assert.equal(paid.status, "failed");
      assert.equal(paid.failureCode, failureCode);
      assert.deepEqual(await shop.balances(), {});
      assert.deepEqual(await shop.quarrels(), []);
    });
  }

  it("resolves a lost answer by asking", async () => {
    const shop = openShop(bench);
    const intent = await shop.intend({ instrumentToken: "tok_test_answer_lost" });
    const { calls, snapshot } = await shop.payments.charge(shop.ctx, intent);
    assert.deepEqual(
      calls.map(({ call, outcome }) => `${call} ${outcome}`),
      ["charge timeout", "find answered"],
    );
    assert.equal(snapshot.capturedMinor, 10_000);
    assert.equal((await shop.settle(intent)).status, "captured");
    assert.equal(addUpLog(await bench.log(), shop.tenantId).get(intent.id)?.captures, 1);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("sends a lost request again, with the same id", async () => {
    const shop = openShop(bench);
    const intent = await shop.intend({ instrumentToken: "tok_test_request_lost" });
    const { calls } = await shop.payments.charge(shop.ctx, intent);
    assert.deepEqual(
      calls.map(({ call, outcome }) => `${call} ${outcome}`),
      ["charge timeout", "find not_found", "charge answered"],
    );
    assert.equal((await shop.settle(intent)).status, "captured");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("leaves a charge that arrives late unknown, and learns of it later", async () => {
    const shop = openShop(bench, false);
    await bench.control({ lateMs: 900 });
    const intent = await shop.intend({ instrumentToken: "tok_test_charged_late" });
    await assert.rejects(shop.payments.charge(shop.ctx, intent), {
      code: "ERR_PAYMENT_OUTCOME_UNKNOWN",
      retryable: true,
    });
    assert.equal((await shop.find(intent.id)).status, "created");
    shop.turn.clockMs = 60_000;
    await until("the sweeper finds the money", async () => {
      await shop.payments.resolveUnknownPayments(shop.ctx, 10);
      return (await shop.find(intent.id)).status === "captured";
    });
    assert.equal(addUpLog(await bench.log(), shop.tenantId).get(intent.id)?.captures, 1);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("charges nothing late once the payment is cancelled", async () => {
    const shop = openShop(bench, false);
    await bench.control({ lateMs: 900 });
    const intent = await shop.intend({ instrumentToken: "tok_test_charged_late" });
    await assert.rejects(shop.payments.charge(shop.ctx, intent));
    const cancelled = await shop.payments.cancelPayment(shop.ctx, intent.id);
    assert.equal(cancelled.ok && cancelled.value.status, "voided");
    // Both late requests come in and find the id given up.
    await until("both are in", async () => (await bench.control({})).requestsWaiting === 0);
    assert.equal(addUpLog(await bench.log(), shop.tenantId).size, 0);
    const again = await shop.settle(intent);
    assert.equal(again.status, "voided");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("gives back what was charged when the payment is cancelled", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    for (let times = 0; times < 3; times++) {
      const cancelled = await shop.payments.cancelPayment(shop.ctx, paid.id);
      assert.equal(cancelled.ok && cancelled.value.status, "refunded");
    }
    assert.deepEqual(await shop.balances(), { "provider:simulator": 0, receivable: 0 });
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("waits for a slow bank within the time allowed", async () => {
    const shop = openShop(bench);
    await bench.control({ slowMs: 120 });
    const paid = await shop.pay({ instrumentToken: "tok_test_slow" });
    assert.equal(paid.status, "captured");
  });

  it("sends the buyer to confirm, and takes the money when they return", async () => {
    const shop = openShop(bench, false);
    const returnUrl = "https://shop.example/return?order=1";
    const change = { instrumentToken: "tok_test_confirmation", returnUrl };
    const waiting = await shop.pay(change);
    assert.equal(waiting.status, "requires_action");
    assert.ok(waiting.nextActionUrl);
    const page = await (await fetch(waiting.nextActionUrl)).text();
    assert.match(page, /100\.00 EUR/);
    const answered = await fetch(waiting.nextActionUrl, {
      method: "POST",
      body: new URLSearchParams({ decision: "approve" }),
      redirect: "manual",
    });
    assert.equal(answered.status, 303);
    assert.equal(answered.headers.get("location"), `${returnUrl}&payment=${waiting.id}`);
    const refreshed = await shop.payments.refreshPayment(shop.ctx, waiting.id);
    assert.equal(refreshed.ok && refreshed.value.status, "captured");
    assert.equal((await shop.payments.refreshPayment(shop.ctx, waiting.id)).ok, true);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("hears of a buyer who declines on the bank's page by its notice alone", async () => {
    const shop = openShop(bench);
    const waiting = await shop.pay({ instrumentToken: "tok_test_confirmation" });
    await fetch(waiting.nextActionUrl ?? "", {
      method: "POST",
      body: new URLSearchParams({ decision: "decline" }),
    });
    await until(
      "the notice arrives",
      async () => (await shop.find(waiting.id)).status === "failed",
    );
    assert.equal((await shop.find(waiting.id)).failureCode, "confirmation_refused");
  });

  it("gives up a confirmation that nobody makes", async () => {
    const shop = openShop(bench, false);
    const waiting = await shop.pay({ instrumentToken: "tok_test_confirmation" });
    shop.turn.clockMs = 60_000;
    const soon = await shop.payments.resolveUnknownPayments(shop.ctx, 10);
    assert.equal(soon.abandoned, 0);
    shop.turn.clockMs = 60 * 60_000;
    const late = await shop.payments.resolveUnknownPayments(shop.ctx, 10);
    assert.equal(late.abandoned, 1);
    assert.equal((await shop.find(waiting.id)).status, "voided");
    await fetch(waiting.nextActionUrl ?? "", {
      method: "POST",
      body: new URLSearchParams({ decision: "approve" }),
    });
    assert.equal(addUpLog(await bench.log(), shop.tenantId).size, 0);
  });

  it("authorises without taking when told to", async () => {
    const shop = openShop(bench);
    const held = await shop.pay({ captureMode: "manual" });
    assert.equal(held.status, "authorised");
    assert.deepEqual(await shop.balances(), {});
  });

  it("refuses a second intent for the same try of an order", async () => {
    const shop = openShop(bench);
    const orderId = newId<"order">();
    await shop.intend({ orderId });
    await assert.rejects(shop.intend({ orderId }), { code: "ERR_DB_CONSTRAINT" });
    await shop.intend({ orderId, attempt: 2 });
  });

  it("never lets a card number into the database or the bank's log", async () => {
    const shop = openShop(bench);
    const number = "4000000000009045";
    const answer = await fetch(`${bench.bank.url}/tokens`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ number, expMonth: 12, expYear: 2030, cvc: "737" }),
    });
    const { token } = (await answer.json()) as { token: string };
    const paid = await shop.pay({ instrumentToken: token });
    assert.equal(paid.status, "captured");
    await until("both notices are in", async () => (await bench.control({})).webhooksWaiting === 0);
    const tables = await bench.database.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname in ('shared', 'platform', 'control')`,
    );
    assert.ok(tables.length > 10);
    const canary = `%${number}%`;
    for (const { name } of tables) {
      const rows = await bench.database.query(
        `select 1 from ${name} as t where t::text like $1 limit 1`,
        [canary],
      );
      assert.equal(rows.length, 0, `a card number in ${name}`);
    }
    const log = await bench.log();
    assert.equal(log.includes(number), false);
    assert.doesNotMatch(log, /cvc|expYear/);
  });
});
