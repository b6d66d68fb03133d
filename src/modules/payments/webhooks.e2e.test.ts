import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { signatureOf } from "../../simulator/webhooks.ts";
import type { IncomingWebhook, PaymentId } from "./contract.ts";
import {
  openPaymentBench,
  openShop,
  type PaymentBench,
  type Shop,
  until,
} from "./setup.fixture.ts";

const secret = "new webhook secret";

describe("notices of the bank", () => {
  let bench: PaymentBench;
  before(async () => {
    bench = await openPaymentBench();
  });
  after(() => bench.stop());

  const quiet = () =>
    until("the bank has told all", async () => (await bench.control({})).webhooksWaiting === 0);
  const remembered = (shop: Shop) =>
    bench.database.query("select event_id from shared.provider_events where tenant_id = $1", [
      shop.tenantId,
    ]);
  /** A notice as the bank would send it. */
  const notice = (
    shop: Shop,
    { id = "evt_1", paymentId = newId<"payment">() as string, at = new Date(), ...change } = {},
  ): IncomingWebhook => {
    const body = JSON.stringify({
      id,
      type: "payment.captured",
      account: shop.tenantId,
      payment: {
        paymentId,
        reference: "pay_1",
        currency: "EUR",
        authorisedMinor: 10_000,
        capturedMinor: 10_000,
        refundedMinor: 0,
        isVoided: false,
        operations: [],
        ...change,
      },
    });
    const signature = signatureOf(body, at, [secret]);
    return {
      provider: "simulator",
      body: Buffer.from(body),
      header: (name) => (name === "simulator-signature" ? signature : undefined),
    };
  };

  it("arrive twice and out of order, and count once", async () => {
    const shop = openShop(bench);
    await bench.control({ webhookShuffleMs: 60, webhookDelayMs: 0 });
    const paid = await shop.pay({ instrumentToken: "tok_test_noisy_webhooks" });
    assert.equal(paid.status, "captured");
    await quiet();
    assert.equal((await remembered(shop)).length, 2);
    assert.equal((await shop.find(paid.id)).status, "captured");
    assert.deepEqual(await shop.balances(), { "provider:simulator": 10_000, receivable: -10_000 });
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("race the answer: one of the two posts the money", async () => {
    const shop = openShop(bench);
    await bench.control({ webhookShuffleMs: 0, webhookDelayMs: 0 });
    await Promise.all(Array.from({ length: 30 }, () => shop.pay()));
    await quiet();
    assert.deepEqual(await shop.balances(), {
      "provider:simulator": 300_000,
      receivable: -300_000,
    });
    const captured = (await shop.events()).filter((type) => type === "payments.payment_captured");
    assert.equal(captured.length, 30);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("bring the outcome alone when nobody waits for the answer", async () => {
    const shop = openShop(bench);
    const intent = await shop.intend();
    await shop.payments.charge(shop.ctx, intent);
    await until("it is captured", async () => (await shop.find(intent.id)).status === "captured");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("survive a kill of the bank: what was not acknowledged is sent again", async () => {
    const shop = openShop(bench, false);
    await bench.control({ webhookDelayMs: 60_000 });
    const intent = await shop.intend();
    await shop.payments.charge(shop.ctx, intent);
    await bench.killBank();
    bench.shops.set(shop.tenantId, shop);
    await bench.startBank();
    await until("it is captured", async () => (await shop.find(intent.id)).status === "captured");
  });

  it("of an hour ago that come after newer ones change nothing", async () => {
    const shop = openShop(bench, false);
    const paid = await shop.pay();
    await shop.payments.refundPayment(shop.ctx, {
      paymentId: paid.id,
      operationId: newId<"payment_operation">(),
      amountMinor: 100,
      basis: "return",
    });
    const before = await shop.find(paid.id);
    const old = notice(shop, { paymentId: paid.id });
    assert.deepEqual(await shop.payments.receiveWebhook(shop.ctx, old), {
      ok: true,
      value: { isDuplicate: false },
    });
    assert.deepEqual(await shop.find(paid.id), before);
  });

  it("are recognised when fifty copies come at once", async () => {
    const shop = openShop(bench, false);
    const intent = await shop.intend();
    const copy = notice(shop, { paymentId: intent.id });
    const results = await Promise.all(
      Array.from({ length: 50 }, () => shop.payments.receiveWebhook(shop.ctx, copy)),
    );
    const fresh = results.filter((result) => result.ok && !result.value.isDuplicate);
    assert.equal(fresh.length, 1);
    assert.deepEqual(await shop.balances(), { "provider:simulator": 10_000, receivable: -10_000 });
  });

  it("are refused unless the signature is fresh, ours and of this tenant", async () => {
    const shop = openShop(bench, false);
    const stranger = openShop(bench, false);
    const good = notice(shop);
    const send = async (webhook: IncomingWebhook, to = shop) => {
      const received = await to.payments.receiveWebhook(to.ctx, webhook);
      return received.ok ? "taken" : received.failure.code;
    };
    const altered = Buffer.from(good.body.toString().replace("10000", "90000"));
    assert.equal(await send({ ...good, body: altered }), "payments.bad_signature");
    assert.equal(await send({ ...good, header: () => undefined }), "payments.bad_signature");
    const old = notice(shop, { at: new Date(Date.now() - 301_000) });
    assert.equal(await send(old), "payments.bad_signature");
    assert.equal(await send({ ...good, provider: "nobody" }), "payments.unknown_provider");
    assert.equal(await send(good, stranger), "payments.bad_webhook");
    assert.equal(await send(notice(shop, { paymentId: "pay_1" })), "payments.bad_webhook");
    assert.equal((await remembered(shop)).length, 0);
  });

  it("of money nobody asked for reach a person", async () => {
    const shop = openShop(bench, false);
    const paymentId = newId<"payment">();
    await shop.payments.receiveWebhook(shop.ctx, notice(shop, { id: "evt_a", paymentId }));
    await shop.payments.receiveWebhook(shop.ctx, notice(shop, { id: "evt_b", paymentId }));
    const { items } = await shop.payments.listDeadLetters(shop.ctx, { limit: 10 });
    assert.equal(items.length, 1);
    const [letter] = items;
    assert.equal(letter?.kind, "unknown_payment");
    const retried = await shop.payments.retryDeadLetter(shop.ctx, letter?.id as never);
    assert.equal(!retried.ok && retried.failure.code, "payments.still_unresolved");
    const closed = await shop.payments.resolveDeadLetter(shop.ctx, letter?.id as never, "a test");
    assert.equal(closed.ok && closed.value.resolution, "a test");
  });

  it("with one id and two bodies, and those that cannot be true, reach a person", async () => {
    const shop = openShop(bench, false);
    const intent = await shop.intend();
    const { id: paymentId }: { id: PaymentId } = intent;
    const impossible = notice(shop, { id: "evt_1", paymentId, ...{ currency: "USD" } });
    await shop.payments.receiveWebhook(shop.ctx, impossible);
    await shop.payments.receiveWebhook(shop.ctx, notice(shop, { id: "evt_1", paymentId }));
    const { items } = await shop.payments.listDeadLetters(shop.ctx, { limit: 10 });
    assert.deepEqual(items.map(({ kind }) => kind).sort(), ["contradiction", "event_mismatch"]);
    assert.equal((await shop.find(intent.id)).status, "created");
  });

  it("that come after the end of a payment are believed, and reach a person", async () => {
    const shop = openShop(bench, false);
    const failed = await shop.pay({ instrumentToken: "tok_test_card_declined" });
    const late = notice(shop, { id: "evt_late", paymentId: failed.id });
    await shop.payments.receiveWebhook(shop.ctx, late);
    assert.equal((await shop.find(failed.id)).status, "captured");
    const { items } = await shop.payments.listDeadLetters(shop.ctx, { limit: 10 });
    assert.equal(items[0]?.kind, "contradiction");
  });
});
