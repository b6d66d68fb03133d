import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId, newIdAt } from "../../kernel/ids.ts";
import {
  type NewOrder,
  type OrderId,
  type OrderState,
  type OrderStatus,
  orderIdSkewMaxMs,
  orderStatuses,
} from "./contract.ts";
import {
  assertNewOrder,
  decidePatch,
  decideRefund,
  decideTransition,
  idFits,
  mayFollow,
} from "./order.ts";

const order: OrderState = {
  id: newId<"order">(),
  number: 1001,
  status: "pending",
  version: 1,
  currency: "EUR",
  totalMinor: 1_000,
  refundedMinor: 0,
  customerId: null,
};
const status = fc.constantFrom(...orderStatuses);

/** The state machine once more, as the sentences of the documentation. */
const legal = new Set([
  "pending confirmed",
  "pending paid",
  "pending cancelled",
  "confirmed paid",
  "confirmed cancelled",
  "paid fulfilled",
  "paid refunded",
  "fulfilled completed",
  "fulfilled refunded",
  "completed refunded",
]);

describe("the state machine", () => {
  it("has exactly the documented steps", () => {
    for (const from of orderStatuses) {
      for (const to of orderStatuses) {
        assert.equal(mayFollow(from, to), legal.has(`${from} ${to}`), `${from} -> ${to}`);
      }
    }
  });

  it("never leaves cancelled or refunded", () => {
    fc.assert(
      fc.property(fc.constantFrom<OrderStatus>("cancelled", "refunded"), status, (from, to) => {
        const decision = decideTransition({ ...order, status: from }, { to });
        assert(!decision.ok && decision.failure.code === "orders.illegal_transition");
      }),
    );
  });

  it("agrees with a naive model over any sequence of steps, refunds and expectations", () => {
    const step = fc.record({ kind: fc.constant("step" as const), to: status });
    const refund = fc.record({
      kind: fc.constant("refund" as const),
      amountMinor: fc.integer({ min: 1, max: 700 }),
    });
    const expecting = fc.record({
      kind: fc.constant("expect" as const),
      to: status,
      expectedVersion: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(step, refund, expecting), { maxLength: 12 }), (actions) => {
        let real = order;
        const model = { status: "pending" as OrderStatus, refunded: 0, accepted: 0 };
        for (const action of actions) {
          const result =
            action.kind === "refund"
              ? decideRefund(real, { orderId: real.id, amountMinor: action.amountMinor })
              : decideTransition(real, action);
          if (result.ok) real = result.value;

          let isLegal: boolean;
          if (action.kind === "refund") {
            isLegal =
              legal.has(`${model.status} refunded`) &&
              model.refunded + action.amountMinor <= order.totalMinor;
            if (isLegal) model.refunded += action.amountMinor;
            if (isLegal && model.refunded === order.totalMinor) model.status = "refunded";
          } else {
            const isExpected =
              action.kind === "step" || action.expectedVersion === 1 + model.accepted;
            isLegal = isExpected && legal.has(`${model.status} ${action.to}`);
            if (isLegal) model.status = action.to;
            if (isLegal && action.to === "refunded") model.refunded = order.totalMinor;
          }
          if (isLegal) model.accepted++;

          assert.equal(result.ok, isLegal);
          assert.deepEqual(
            [real.status, real.refundedMinor, real.version],
            [model.status, model.refunded, 1 + model.accepted],
          );
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("looks at the expected version before the step", () => {
    const decision = decideTransition(
      { ...order, version: 3 },
      { to: "refunded", expectedVersion: 2 },
    );
    assert.deepEqual(decision, {
      ok: false,
      failure: {
        code: "orders.version_conflict",
        orderId: order.id,
        expectedVersion: 2,
        version: 3,
      },
    });
  });
});

describe("a refund", () => {
  it("cannot exceed what is left", () => {
    const paid = { ...order, status: "paid" as const, refundedMinor: 900 };
    const decision = decideRefund(paid, { orderId: paid.id, amountMinor: 101 });
    assert(!decision.ok && decision.failure.code === "orders.refund_exceeds_total");
    assert.equal(decision.failure.refundableMinor, 100);
  });
});

describe("an edit", () => {
  it("may correct the delivery address until the order is fulfilled", () => {
    const patch = { shippingAddress: { city: "Berlin" } };
    for (const status of orderStatuses) {
      const isEarly = ["pending", "confirmed", "paid"].includes(status);
      assert.equal(decidePatch({ ...order, status }, patch).ok, isEarly, status);
      assert(decidePatch({ ...order, status }, { email: null }).ok);
    }
  });
});

describe("a new order", () => {
  const at = new Date("2026-03-01T10:00:00Z");
  const good: NewOrder = {
    id: newIdAt<"order">(at),
    number: 1001,
    currency: "EUR",
    totals: {
      subtotalMinor: 1_000,
      discountMinor: 100,
      shippingMinor: 50,
      taxMinor: 190,
      totalMinor: 950,
    },
    priceIncludesTax: true,
    placedAt: at,
    lines: [
      {
        variantId: null,
        sku: "A",
        title: "A",
        quantity: 1,
        unitPriceMinor: 1_000,
        discountMinor: 100,
        taxMinor: 190,
        totalMinor: 900,
      },
    ],
  };

  it("adds up, with tax included or on top", () => {
    assertNewOrder(good);
    const totals = { ...good.totals, totalMinor: 1_140 };
    assertNewOrder({ ...good, priceIncludesTax: false, totals });
  });

  const broken: Record<string, NewOrder> = {
    "no lines": { ...good, lines: [] },
    "a total that does not add up": { ...good, totals: { ...good.totals, totalMinor: 951 } },
    "a negative discount": {
      ...good,
      totals: { ...good.totals, discountMinor: -100, totalMinor: 1_150 },
    },
    "half a cent": { ...good, totals: { ...good.totals, taxMinor: 0.5 } },
    "a line of nothing": { ...good, lines: good.lines.map((line) => ({ ...line, quantity: 0 })) },
    "an id of another day": { ...good, placedAt: new Date("2026-03-02T10:00:00Z") },
  };
  for (const [what, bad] of Object.entries(broken)) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => assertNewOrder(bad), { name: "AssertionError" });
    });
  }

  it("takes ids of its own hour only", () => {
    assert(idFits(newIdAt<"order">(at), at));
    assert(!idFits(newIdAt<"order">(new Date(at.getTime() - orderIdSkewMaxMs - 1)), at));
    assert(!idFits("018f0000-0000-4000-8000-000000000000" as OrderId, at));
    assert(!idFits("nonsense", at));
  });
});
