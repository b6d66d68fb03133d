import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type BankPayment,
  type Charge,
  type ChargeTerms,
  type Decision,
  decideCharge,
  decideConfirmation,
  decideOperation,
  isRefusal,
  tombstone,
} from "./bank.ts";
import { passesLuhn, readCard, testCards } from "./cards.ts";
import { calmKnobs, turnKnobs } from "./knobs.ts";

const charge: Charge = {
  account: "a",
  paymentId: "p",
  amountMinor: 1_000,
  currency: "EUR",
  captureMode: "manual",
};
const terms: ChargeTerms = {
  reference: "pay_1",
  behaviour: "approved",
  instrument: { brand: "visa", last4: "4242" },
  isDeclined: false,
  confirmationUrl: "http://bank/confirm/pay_1",
};

function decided(decision: ReturnType<typeof decideCharge>): Decision {
  assert.equal(isRefusal(decision), false);
  return decision as Decision;
}

describe("the bank", () => {
  it("moves money once per key, never more than there is", () => {
    const step = fc.record({
      kind: fc.constantFrom("capture" as const, "refund" as const, "void" as const),
      key: fc.integer({ min: 0, max: 5 }).map(String),
      amountMinor: fc.integer({ min: 1, max: 1_200 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let payment: BankPayment = decided(decideCharge(undefined, charge, terms)).payment;
        const sums = { captured: 0, refunded: 0 };
        for (const { kind, key, amountMinor } of steps) {
          const amount = kind === "void" ? 0 : amountMinor;
          const isKnown = payment.operations.some((operation) => operation.key === key);
          const request = { kind, key, amountMinor: amount, reference: "op" };
          const decision = decideOperation(payment, request);
          if (isRefusal(decision)) {
            assert.ok(isKnown, "only a reused key is refused outright");
            continue;
          }
          if (isKnown) assert.deepEqual(decision, { payment, movements: [] });
          for (const movement of decision.movements) {
            if (movement.type === "captured") sums.captured += movement.amountMinor;
            if (movement.type === "refunded") sums.refunded += movement.amountMinor;
          }
          payment = decision.payment;
          assert.ok(payment.refundedMinor <= payment.capturedMinor);
          assert.ok(payment.capturedMinor <= payment.authorisedMinor);
        }
        assert.deepEqual(sums, {
          captured: payment.capturedMinor,
          refunded: payment.refundedMinor,
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it("answers a repeated charge with the payment as it stands, and moves nothing", () => {
    const { payment } = decided(decideCharge(undefined, charge, terms));
    assert.deepEqual(decideCharge(payment, charge, { ...terms, isDeclined: true }), {
      payment,
      movements: [],
    });
    const other = decideCharge(payment, { ...charge, amountMinor: 1_001 }, terms);
    assert.deepEqual(other, { status: 422, code: "key_reused" });
  });

  it("charges nothing under a key that was given up", () => {
    const void_ = { kind: "void", key: "v", amountMinor: 0, reference: "op" } as const;
    const given = decided(decideOperation(tombstone("a", "p", "pay_0"), void_)).payment;
    const late = decided(decideCharge(given, charge, terms));
    assert.equal(late.payment.authorisedMinor, 0);
    assert.equal(late.payment.isVoided, true);
    assert.deepEqual(late.movements, []);
  });

  it("takes a confirmation once", () => {
    const asked = decideCharge(undefined, charge, { ...terms, behaviour: "confirmation" });
    const waiting = decided(asked).payment;
    const approved = decideConfirmation(waiting, true);
    assert.equal(approved.payment.authorisedMinor, 1_000);
    assert.deepEqual(decideConfirmation(approved.payment, false).movements, []);
  });
});

describe("cards", () => {
  const now = new Date("2026-05-15T00:00:00Z");
  const card = { number: "4242 4242 4242 4242", expMonth: 5, expYear: 26, cvc: "123" };
  for (const { number, behaviour } of testCards) {
    it(`knows ${number} as ${behaviour}`, () => {
      assert.ok(passesLuhn(number));
      const read = readCard({ ...card, number }, now);
      assert.ok(!("refused" in read));
      assert.equal(read.behaviour, behaviour);
      assert.equal(JSON.stringify(read).includes(number), false);
    });
  }
  const refusals: readonly [string, Partial<typeof card>][] = [
    ["invalid_number", { number: "4242424242424241" }],
    ["invalid_number", { number: "4242" }],
    ["expired_card", { expMonth: 4 }],
    ["invalid_expiry", { expMonth: 13 }],
    ["invalid_cvc", { cvc: "12" }],
  ];
  for (const [refused, change] of refusals) {
    it(`refuses ${JSON.stringify(change)}`, () => {
      assert.deepEqual(readCard({ ...card, ...change }, now), { refused });
    });
  }
});

describe("knobs", () => {
  it("turn, and refuse what makes no sense", () => {
    const turned = turnKnobs(calmKnobs, { declineRate: 0.5, outage: "hang" });
    assert.deepEqual(turned, { ...calmKnobs, declineRate: 0.5, outage: "hang" });
    assert.deepEqual(turnKnobs(calmKnobs, { declineRate: 1.5 }), { refused: "declineRate" });
    assert.deepEqual(turnKnobs(calmKnobs, { outage: "maybe" }), { refused: "outage" });
    assert.deepEqual(turnKnobs(calmKnobs, { toString: 1 }), { refused: "toString" });
    assert.deepEqual(turnKnobs(calmKnobs, { latencyMs: "5" }), { refused: "latencyMs" });
  });
});
