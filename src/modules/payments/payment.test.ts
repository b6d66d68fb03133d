import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import type { Payment, PaymentOperation, PaymentStatus, ProviderPayment } from "./contract.ts";
import { explainRefund } from "./journals.ts";
import { decideOperation, merge, rankOf } from "./payment.ts";

const now = new Date("2026-01-01T00:00:00Z");
const id = newId<"payment">();

function fresh(amountMinor: number): Payment {
  return {
    id,
    orderId: newId<"order">(),
    attempt: 1,
    provider: "bank",
    captureMode: "manual",
    status: "created",
    currency: "EUR",
    amountMinor,
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    createdAt: now,
    updatedAt: now,
    version: 1,
  };
}

function snapshot(change: Partial<ProviderPayment> = {}): ProviderPayment {
  return {
    paymentId: id,
    reference: "pay_1",
    currency: "EUR",
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    operations: [],
    ...change,
  };
}

/** A bank written step by step, without any merging: the reference. */
interface NaiveBank {
  status: PaymentStatus;
  authorised: number;
  captured: number;
  refunded: number;
  voided: boolean;
  failed: boolean;
  waiting: boolean;
}

type Wish =
  | { readonly wish: "wait" | "fail" | "authorise" | "void" }
  | { readonly wish: "capture" | "refund"; readonly share: number };

function grant(bank: NaiveBank, wish: Wish, amount: number): void {
  const isFresh = bank.status === "created" || bank.status === "requires_action";
  const part = "share" in wish ? wish.share : 0;
  switch (wish.wish) {
    case "wait":
      if (bank.status !== "created") return;
      bank.waiting = true;
      bank.status = "requires_action";
      return;
    case "fail":
      if (!isFresh) return;
      bank.failed = true;
      bank.status = "failed";
      return;
    case "authorise":
      if (!isFresh) return;
      bank.authorised = amount;
      bank.status = "authorised";
      return;
    case "void":
      if (bank.status === "partially_captured") bank.status = "captured";
      else if (isFresh || bank.status === "authorised") bank.status = "voided";
      else return;
      bank.voided = true;
      return;
    case "capture": {
      if (bank.status !== "authorised" && bank.status !== "partially_captured") return;
      const taken = Math.ceil((bank.authorised - bank.captured) * part);
      if (taken === 0) return;
      bank.captured += taken;
      bank.status = bank.captured === bank.authorised ? "captured" : "partially_captured";
      return;
    }
    case "refund": {
      if (bank.status !== "captured" && bank.status !== "partially_refunded") return;
      const given = Math.ceil((bank.captured - bank.refunded) * part);
      if (given === 0) return;
      bank.refunded += given;
      bank.status = bank.refunded === bank.captured ? "refunded" : "partially_refunded";
    }
  }
}

function shown(bank: NaiveBank): ProviderPayment {
  return snapshot({
    authorisedMinor: bank.authorised,
    capturedMinor: bank.captured,
    refundedMinor: bank.refunded,
    isVoided: bank.voided,
    ...(bank.failed ? { failureCode: "card_declined" } : {}),
    ...(bank.waiting ? { nextActionUrl: "https://bank.example/confirm" } : {}),
  });
}

const wishes: fc.Arbitrary<Wish> = fc.oneof(
  fc.constantFrom<Wish>(
    { wish: "wait" },
    { wish: "fail" },
    { wish: "authorise" },
    { wish: "void" },
  ),
  fc.record({
    wish: fc.constantFrom("authorise", "capture", "refund") as fc.Arbitrary<"capture">,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

describe("merging what the provider says", () => {
  it("ends like a naive bank, whatever the order, number and repetition of the notices", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(wishes, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 24 }),
        (amount, history, deliveries) => {
          const bank: NaiveBank = {
            status: "created",
            authorised: 0,
            captured: 0,
            refunded: 0,
            voided: false,
            failed: false,
            waiting: false,
          };
          const notices = history.map((wish) => {
            grant(bank, wish, amount);
            return shown(bank);
          });
          const last = notices.length - 1;
          const order = [...deliveries.map((pick) => pick % notices.length), last];
          order.sort((a, b) => ((a * 7 + amount) % 5) - ((b * 7 + amount) % 5));
          let payment = fresh(amount);
          const moved = { captured: 0, refunded: 0 };
          for (const index of order) {
            const merged = merge(payment, notices[index] as ProviderPayment, now);
            assert.ok(rankOf(merged.payment.status) >= rankOf(payment.status), "only forward");
            assert.equal(merged.payment.version, payment.version + (merged.isChanged ? 1 : 0));
            for (const step of merged.steps) {
              if (step.step === "captured") moved.captured += step.amountMinor;
              if (step.step === "refunded") moved.refunded += step.amountMinor;
            }
            payment = merged.payment;
            assert.ok(payment.refundedMinor <= payment.capturedMinor);
            assert.ok(payment.capturedMinor <= payment.authorisedMinor);
            assert.ok(payment.authorisedMinor <= payment.amountMinor);
          }
          assert.deepEqual(
            [payment.status, payment.capturedMinor, payment.refundedMinor],
            [bank.status, bank.captured, bank.refunded],
          );
          // What the journals post is what the bank moved, to the minor unit, once.
          assert.deepEqual(moved, { captured: bank.captured, refunded: bank.refunded });
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("changes nothing when it hears the same twice", () => {
    const seen = snapshot({ authorisedMinor: 100, capturedMinor: 100 });
    const once = merge(fresh(100), seen, now);
    const twice = merge(once.payment, seen, now);
    assert.equal(twice.isChanged, false);
    assert.deepEqual(twice.steps, []);
    assert.equal(twice.payment, once.payment);
  });

  const impossible: readonly [string, Partial<ProviderPayment>][] = [
    ["more than was asked for", { authorisedMinor: 101 }],
    ["a capture beyond the authorisation", { authorisedMinor: 50, capturedMinor: 60 }],
    ["a refund beyond the capture", { authorisedMinor: 90, capturedMinor: 50, refundedMinor: 51 }],
    ["another currency", { authorisedMinor: 50, currency: "USD" }],
    ["another payment", { paymentId: newId<"payment">() }],
    ["half a cent", { authorisedMinor: 0.5 }],
  ];
  for (const [what, change] of impossible) {
    it(`does not believe ${what}`, () => {
      const before = fresh(100);
      const merged = merge(before, snapshot(change), now);
      assert.equal(merged.payment, before);
      assert.equal(merged.trouble?.kind, "contradiction");
    });
  }

  it("believes money that comes after a refusal, and tells a person", () => {
    const failed = merge(fresh(100), snapshot({ failureCode: "card_declined" }), now).payment;
    const late = merge(failed, snapshot({ authorisedMinor: 100, capturedMinor: 100 }), now);
    assert.equal(late.payment.status, "captured");
    assert.equal(late.trouble?.kind, "contradiction");
  });

  it("shows the confirmation page only while somebody has to confirm", () => {
    const page = { nextActionUrl: "https://bank.example/confirm" };
    const waiting = merge(fresh(100), snapshot(page), now).payment;
    assert.equal(waiting.status, "requires_action");
    assert.equal(waiting.nextActionUrl, page.nextActionUrl);
    const taken = snapshot({ ...page, authorisedMinor: 100, capturedMinor: 100 });
    assert.equal(merge(waiting, taken, now).payment.nextActionUrl, undefined);
  });
});

describe("asking for captures, voids and refunds", () => {
  const captured = merge(fresh(100), snapshot({ authorisedMinor: 100, capturedMinor: 100 }), now);
  const authorised = merge(fresh(100), snapshot({ authorisedMinor: 100 }), now);
  const pending = (kind: PaymentOperation["kind"], amountMinor: number): PaymentOperation => ({
    id: newId<"payment_operation">(),
    paymentId: id,
    kind,
    amountMinor,
    status: "pending",
    requestedAt: now,
  });

  it("refunds at most what is captured, pending refunds included", () => {
    const first = [pending("refund", 60)];
    const ask = (amountMinor?: number) =>
      decideOperation(captured.payment, first, { kind: "refund", amountMinor });
    assert.deepEqual(ask(41), {
      ok: false,
      failure: { code: "payments.amount_exceeded", availableMinor: 40 },
    });
    assert.deepEqual(ask(40), { ok: true, value: 40 });
    assert.deepEqual(ask(), { ok: true, value: 40 });
  });

  for (const amountMinor of [0, -1, 1.5, Number.NaN]) {
    it(`refuses the amount ${amountMinor}`, () => {
      const asked = decideOperation(captured.payment, [], { kind: "refund", amountMinor });
      assert.equal(!asked.ok && asked.failure.code, "payments.bad_amount");
    });
  }

  it("refuses what the state does not allow", () => {
    const refusals = [
      decideOperation(authorised.payment, [], { kind: "refund", amountMinor: 1 }),
      decideOperation(captured.payment, [], { kind: "capture", amountMinor: 1 }),
      decideOperation(captured.payment, [], { kind: "void", amountMinor: undefined }),
      decideOperation(fresh(100), [], { kind: "capture", amountMinor: 1 }),
    ];
    for (const refusal of refusals) {
      assert.equal(!refusal.ok && refusal.failure.code, "payments.wrong_state");
    }
  });

  it("captures nothing once the rest is being given up", () => {
    const asked = decideOperation(authorised.payment, [pending("void", 0)], {
      kind: "capture",
      amountMinor: 10,
    });
    assert.equal(!asked.ok && asked.failure.code, "payments.wrong_state");
  });
});

describe("explaining a refund", () => {
  it("splits it over the refunds that were asked for, the rest is goodwill", () => {
    const settled = [
      { amountMinor: 30, basis: "return" },
      { amountMinor: 20, basis: "cancellation" },
    ] as const;
    assert.deepEqual(explainRefund(60, settled), [
      { amountMinor: 30, basis: "return" },
      { amountMinor: 20, basis: "cancellation" },
      { amountMinor: 10, basis: "goodwill" },
    ]);
    assert.deepEqual(explainRefund(10, settled), [{ amountMinor: 10, basis: "return" }]);
  });
});
