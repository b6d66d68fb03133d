import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { addUpLog } from "../../simulator/oracle.ts";
import type { CapturePayment, Payment, RefundBasis } from "./contract.ts";
import type { PaymentFailpoint } from "./deps.ts";
import {
  openPaymentBench,
  openShop,
  type PaymentBench,
  type Shop,
  until,
} from "./setup.fixture.ts";

const operationId = () => newId<"payment_operation">();

/** Stops the world at a named place, once. */
function crashAt(shop: Shop, place: PaymentFailpoint): void {
  shop.turn.failpoint = (name) => {
    if (name !== place) return;
    shop.turn.failpoint = () => {};
    throw new Error(`crashed at ${name}`);
  };
}

describe("captures, voids and refunds", () => {
  let bench: PaymentBench;
  before(async () => {
    bench = await openPaymentBench();
  });
  after(() => bench.stop());

  const refund = (
    shop: Shop,
    payment: Payment,
    amountMinor?: number,
    basis: RefundBasis = "return",
  ) =>
    shop.payments.refundPayment(shop.ctx, {
      paymentId: payment.id,
      operationId: operationId(),
      basis,
      ...(amountMinor === undefined ? {} : { amountMinor }),
    });

  it("captures in parts and gives up the rest", async () => {
    const shop = openShop(bench);
    const held = await shop.pay({ captureMode: "manual" });
    const capture = (amountMinor: number) =>
      shop.payments.capturePayment(shop.ctx, {
        paymentId: held.id,
        operationId: operationId(),
        amountMinor,
      });
    const first = await capture(3_000);
    assert.equal(first.ok && first.value.payment.status, "partially_captured");
    const tooMuch = await capture(7_001);
    assert.deepEqual(!tooMuch.ok && tooMuch.failure, {
      code: "payments.amount_exceeded",
      availableMinor: 7_000,
    });
    const second = await capture(2_000);
    assert.equal(second.ok && second.value.payment.capturedMinor, 5_000);
    const voided = await shop.payments.voidPayment(shop.ctx, {
      paymentId: held.id,
      operationId: operationId(),
    });
    assert.equal(voided.ok && voided.value.payment.status, "captured");
    assert.deepEqual(await shop.balances(), { "provider:simulator": 5_000, receivable: -5_000 });
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("gives up an authorisation as a whole", async () => {
    const shop = openShop(bench);
    const held = await shop.pay({ captureMode: "manual" });
    const input = { paymentId: held.id, operationId: operationId() };
    const voided = await shop.payments.voidPayment(shop.ctx, input);
    assert.equal(voided.ok && voided.value.payment.status, "voided");
    const again = await shop.payments.voidPayment(shop.ctx, input);
    assert.equal(again.ok && again.value.operation.status, "succeeded");
  });

  it("refunds in parts, each from the account its basis names", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    for (const [amountMinor, basis] of [
      [1_000, "return"],
      [2_000, "cancellation"],
      [3_000, "goodwill"],
    ] as const) {
      const refunded = await refund(shop, paid, amountMinor, basis);
      assert.equal(refunded.ok && refunded.value.operation.status, "succeeded");
    }
    const rest = await refund(shop, paid);
    assert.equal(rest.ok && rest.value.payment.status, "refunded");
    assert.deepEqual(await shop.balances(), {
      "provider:simulator": 0,
      receivable: -8_000,
      refunds_payable: 5_000,
      sales_returns: 3_000,
    });
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("is one refund however often the same id is sent, also at the same moment", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    const input = {
      paymentId: paid.id,
      operationId: operationId(),
      amountMinor: 4_000,
      basis: "return",
    } as const;
    const results = await Promise.all(
      Array.from({ length: 8 }, () => shop.payments.refundPayment(shop.ctx, input)),
    );
    for (const result of results)
      assert.equal(result.ok && result.value.operation.amountMinor, 4_000);
    assert.equal((await shop.find(paid.id)).refundedMinor, 4_000);
    const other = await shop.payments.refundPayment(shop.ctx, { ...input, amountMinor: 1 });
    assert.equal(!other.ok && other.failure.code, "payments.id_reused");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("never refunds more than was captured, whoever races whom", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    const results = await Promise.all(Array.from({ length: 6 }, () => refund(shop, paid, 3_000)));
    assert.equal(results.filter(({ ok }) => ok).length, 3);
    assert.equal((await shop.find(paid.id)).refundedMinor, 9_000);
    assert.deepEqual(await shop.quarrels(), []);
  });

  for (const provider of ["simulator", "manual"]) {
    it(`counts a rival's refund that commits while the next one waits (${provider})`, async () => {
      const shop = openShop(bench);
      const paid = await shop.pay({ provider });
      const reached = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      shop.turn.failpoint = (name) => {
        if (name !== "payments.before_intent") return;
        shop.turn.failpoint = () => {};
        reached.resolve();
        return released.promise;
      };
      const first = refund(shop, paid, 6_000);
      await reached.promise;
      const second = refund(shop, paid, 6_000);
      await until("the second waits for the lock", async () => {
        const waiting = await bench.database.query(
          `select 1 from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
      released.resolve();
      assert.equal((await first).ok, true);
      const refused = await second;
      assert.deepEqual(!refused.ok && refused.failure, {
        code: "payments.amount_exceeded",
        availableMinor: 4_000,
      });
      assert.equal((await shop.find(paid.id)).refundedMinor, 6_000);
      assert.deepEqual(await shop.quarrels(), []);
    });
  }

  it("gives the provider's refusal of a refund back as a value, and leaves the money", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay({ instrumentToken: "tok_test_refund_refused" });
    const refused = await refund(shop, paid, 500);
    assert.deepEqual(!refused.ok && refused.failure, {
      code: "payments.refused",
      failureCode: "refund_refused",
    });
    const detail = await shop.payments.getPayment(shop.ctx, paid.id);
    assert.equal(detail.ok && detail.value.operations[0]?.status, "failed");
    assert.deepEqual(await shop.balances(), { "provider:simulator": 10_000, receivable: -10_000 });
    assert.ok((await shop.events()).includes("payments.operation_failed"));
    // What was refused does not block a later try.
    assert.equal((await refund(shop, paid, 10_000)).ok, false);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("does not know another tenant's payment", async () => {
    const paid = await openShop(bench).pay();
    const stranger = openShop(bench);
    const input: CapturePayment = { paymentId: paid.id, operationId: operationId() };
    for (const result of [
      await stranger.payments.capturePayment(stranger.ctx, input),
      await stranger.payments.getPayment(stranger.ctx, paid.id),
      await stranger.payments.refreshPayment(stranger.ctx, paid.id),
      await stranger.payments.cancelPayment(stranger.ctx, paid.id),
    ]) {
      assert.equal(!result.ok && result.failure.code, "payments.not_found");
    }
  });

  for (const place of [
    "payments.before_call",
    "payments.after_call",
    "payments.before_record",
  ] as const) {
    it(`finishes a refund that crashed at ${place}, once`, async () => {
      const shop = openShop(bench, false);
      const paid = await shop.pay();
      crashAt(shop, place);
      await assert.rejects(refund(shop, paid, 2_500), { message: `crashed at ${place}` });
      assert.equal((await shop.find(paid.id)).refundedMinor, 0);
      shop.turn.clockMs = 60_000;
      const swept = await shop.payments.resolveUnknownPayments(shop.ctx, 10);
      assert.equal(swept.resent, 1);
      assert.equal((await shop.find(paid.id)).refundedMinor, 2_500);
      assert.deepEqual(await shop.quarrels(), []);
    });

    it(`finds out about a charge that crashed at ${place}`, async () => {
      const shop = openShop(bench, false);
      const intent = await shop.intend();
      crashAt(shop, place);
      const isCharged = place !== "payments.before_call";
      const crash = { message: `crashed at ${place}` };
      if (place !== "payments.before_record") {
        await assert.rejects(shop.payments.charge(shop.ctx, intent), crash);
      } else {
        await shop.payments.charge(shop.ctx, intent);
        await assert.rejects(shop.payments.refreshPayment(shop.ctx, intent.id), crash);
      }
      assert.equal((await shop.find(intent.id)).status, "created");
      // Nobody pursues it: found if it was charged, given up at the bank if it never was.
      shop.turn.clockMs = 60 * 60_000;
      await shop.payments.resolveUnknownPayments(shop.ctx, 10);
      const status = isCharged ? "captured" : "voided";
      assert.equal((await shop.find(intent.id)).status, status);
      assert.equal((await shop.settle(intent)).status, status);
      assert.equal(addUpLog(await bench.log(), shop.tenantId).size, isCharged ? 1 : 0);
      assert.deepEqual(await shop.quarrels(), []);
    });
  }

  it("answers that a refund goes on while the bank is silent, and finishes it", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    await bench.control({ outage: "refuse" });
    const pending = await refund(shop, paid, 700);
    assert.equal(pending.ok && pending.value.operation.status, "pending");
    await assert.rejects(shop.payments.settlePayment(shop.ctx, paid.id), {
      code: "ERR_PAYMENT_PROVIDER_UNAVAILABLE",
    });
    await bench.control({ outage: "none" });
    await shop.payments.settlePayment(shop.ctx, paid.id);
    assert.equal((await shop.find(paid.id)).refundedMinor, 700);
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("tells a person when the bank stays silent, and settles it when they try again", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    await bench.control({ outage: "refuse" });
    await refund(shop, paid, 800);
    shop.turn.clockMs = 2 * 60 * 60_000;
    const swept = await shop.payments.resolveUnknownPayments(shop.ctx, 10);
    assert.equal(swept.failed, 1);
    const { items } = await shop.payments.listDeadLetters(shop.ctx, { limit: 10 });
    assert.deepEqual(
      items.map(({ kind }) => kind),
      ["unresolved"],
    );
    const letter = items[0];
    assert.ok(letter);
    const early = await shop.payments.retryDeadLetter(shop.ctx, letter.id);
    assert.equal(!early.ok && early.failure.code, "payments.provider_unavailable");
    await bench.control({ outage: "none" });
    const retried = await shop.payments.retryDeadLetter(shop.ctx, letter.id);
    assert.equal(retried.ok && retried.value.retries, 2);
    assert.equal((await shop.find(paid.id)).refundedMinor, 800);
    assert.deepEqual((await shop.payments.listDeadLetters(shop.ctx, { limit: 10 })).items, []);
    const gone = await shop.payments.retryDeadLetter(shop.ctx, letter.id);
    assert.equal(!gone.ok && gone.failure.code, "payments.dead_letter_not_found");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("takes and gives back by hand without any bank, exactly, also at the same moment", async () => {
    const shop = openShop(bench);
    const manual = { provider: "manual", amountMinor: 1_000 };
    const paid = await shop.pay(manual);
    assert.equal(paid.status, "captured");
    const results = await Promise.all([300, 300, 300, 300].map((part) => refund(shop, paid, part)));
    assert.equal(results.filter(({ ok }) => ok).length, 3);
    assert.equal((await shop.find(paid.id)).refundedMinor, 900);
    const held = await shop.pay({ ...manual, captureMode: "manual" });
    await Promise.all(
      [100, 200].map((amountMinor) =>
        shop.payments.capturePayment(shop.ctx, {
          paymentId: held.id,
          operationId: operationId(),
          amountMinor,
        }),
      ),
    );
    assert.equal((await shop.find(held.id)).capturedMinor, 300);
    const cancelled = await shop.payments.cancelPayment(shop.ctx, held.id);
    assert.equal(cancelled.ok && cancelled.value.status, "refunded");
    assert.deepEqual(await shop.balances(), {
      "provider:manual": 100,
      receivable: -1_000,
      refunds_payable: 900,
    });
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("counts nothing that a provider without a memory says it did not do", async () => {
    const shop = openShop(bench);
    const paid = await shop.pay();
    await bench.control({ outage: "refuse" });
    const pending = await refund(shop, paid, 400);
    await bench.control({ outage: "none" });
    assert.ok(pending.ok);
    const snapshot = {
      paymentId: paid.id,
      reference: "by hand",
      currency: "EUR",
      authorisedMinor: 0,
      capturedMinor: 0,
      refundedMinor: 0,
      isVoided: false,
      keepsNoTotals: true,
      operations: [
        {
          key: pending.value.operation.id,
          kind: "refund",
          amountMinor: 400,
          status: "failed",
          reference: "by hand",
          failureCode: "no_cash",
        },
      ],
    } as const;
    await bench.db.commit(shop.tenantId, (tx) =>
      shop.payments.advancePayments(tx, shop.ctx, [{ snapshot, calls: [] }]),
    );
    assert.equal((await shop.find(paid.id)).refundedMinor, 0);
    const detail = await shop.payments.getPayment(shop.ctx, paid.id);
    assert.equal(detail.ok && detail.value.operations[0]?.status, "failed");
    assert.deepEqual(await shop.quarrels(), []);
  });

  it("dates imported history with its own time, in payments, journals and events", async () => {
    const shop = openShop(bench);
    const occurredAt = new Date("2011-01-05T10:00:00Z");
    const then = { ...shop.ctx, occurredAt };
    const intent = {
      id: newId<"payment">(),
      orderId: newId<"order">(),
      provider: "manual",
      amountMinor: 500,
      currency: "GBP",
    };
    const observation = await shop.payments.charge(then, intent);
    await bench.db.commit(shop.tenantId, async (tx) => {
      shop.payments.createPayments(tx, shop.ctx, [{ ...intent, origin: then }]);
      await shop.payments.advancePayments(tx, shop.ctx, [{ ...observation, origin: then }]);
    });
    const paid = await shop.find(intent.id);
    assert.deepEqual([paid.createdAt, paid.updatedAt], [occurredAt, occurredAt]);
    const refunded = await shop.payments.refundPayment(then, {
      paymentId: intent.id,
      operationId: operationId(),
      basis: "return",
    });
    assert.deepEqual(refunded.ok && refunded.value.operation.requestedAt, occurredAt);
    const dates = await bench.database.query<{ at: Date }>(
      `select occurred_at as at from shared.ledger_journals where tenant_id = $1
       union all select occurred_at from platform.events where tenant_id = $1
       union all select settled_at from shared.payment_operations where tenant_id = $1`,
      [shop.tenantId],
    );
    assert.ok(dates.length >= 7);
    for (const { at } of dates) assert.deepEqual(at, occurredAt);
  });

  it("needs the same number of statements for one payment and for fifty", async () => {
    const shop = openShop(bench);
    const count = async (size: number) => {
      const intents = await Promise.all(
        Array.from({ length: size }, () => shop.intend({ provider: "manual" })),
      );
      const observations = await Promise.all(
        intents.map((intent) => shop.payments.charge(shop.ctx, intent)),
      );
      let statements = 0;
      await bench.db.commit(shop.tenantId, async (tx) => {
        const counting = {
          ...tx,
          rows: ((statement) => {
            statements++;
            return tx.rows(statement);
          }) as typeof tx.rows,
          write: ((statement) => {
            statements++;
            tx.write(statement);
          }) as typeof tx.write,
        };
        await shop.payments.advancePayments(counting, shop.ctx, observations);
      });
      return statements;
    };
    assert.equal(await count(1), await count(50));
    await until("nothing is left", async () => (await shop.quarrels()).length === 0);
  });
});
