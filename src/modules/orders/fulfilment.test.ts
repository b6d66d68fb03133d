import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import type { OrderState } from "./contract.ts";
import { decideFulfilment, decideReturn, type LineState, openQuantity } from "./fulfilment.ts";

const orderId = newId<"order">();
const paid: OrderState = {
  id: orderId,
  number: 1001,
  status: "paid",
  version: 1,
  currency: "EUR",
  totalMinor: 10_000,
  refundedMinor: 0,
  customerId: null,
};
const line = (lineNo: number, quantity: number, totalMinor = 1_000): LineState => ({
  orderId,
  lineNo,
  variantId: null,
  sku: `SKU-${lineNo}`,
  quantity,
  totalMinor,
  fulfilledQuantity: 0,
  returnedQuantity: 0,
  returnedMinor: 0,
});

describe("a fulfilment", () => {
  it("takes everything that is open when no lines are named", () => {
    const lines = [{ ...line(1, 3), fulfilledQuantity: 1 }, line(2, 2)];
    const decision = decideFulfilment(paid, lines, undefined);
    assert(decision.ok);
    assert.equal(decision.value.order.status, "fulfilled");
    assert.deepEqual(decision.value.recorded, [
      { lineNo: 1, quantity: 2 },
      { lineNo: 2, quantity: 2 },
    ]);
  });

  it("counts two entries of one line together", () => {
    const wanted = [
      { lineNo: 1, quantity: 2 },
      { lineNo: 1, quantity: 2 },
    ];
    const decision = decideFulfilment(paid, [line(1, 3)], wanted);
    assert(!decision.ok);
    assert.deepEqual(decision.failure, {
      code: "orders.too_many_units",
      orderId,
      lineNo: 1,
      remaining: 3,
    });
  });

  it("is refused for an order that is not paid", () => {
    for (const status of ["pending", "confirmed", "fulfilled", "cancelled"] as const) {
      const decision = decideFulfilment({ ...paid, status }, [line(1, 1)], undefined);
      assert(!decision.ok && decision.failure.code === "orders.illegal_transition");
    }
  });
});

describe("a return", () => {
  it("gives a line's total back to the last unit, whatever the rounding", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 99_999 }),
        (quantity, totalMinor) => {
          let lines: readonly LineState[] = [line(1, quantity, totalMinor)];
          let refunded = 0;
          for (let unit = 0; unit < quantity; unit++) {
            const decision = decideReturn(paid, lines, [{ lineNo: 1, quantity: 1 }]);
            assert(decision.ok);
            lines = decision.value.lines;
            refunded += decision.value.recorded[0]?.refundMinor ?? 0;
          }
          assert.equal(refunded, totalMinor);
          const more = decideReturn(paid, lines, [{ lineNo: 1, quantity: 1 }]);
          assert(!more.ok && more.failure.code === "orders.too_many_units");
        },
      ),
    );
  });

  it("cannot give back more than the line cost", () => {
    const wanted = [{ lineNo: 1, quantity: 1, refundMinor: 1_001 }];
    const decision = decideReturn(paid, [line(1, 2)], wanted);
    assert(!decision.ok && decision.failure.code === "orders.refund_exceeds_total");
  });
});

describe("fulfilments and returns", () => {
  it("agree with a naive count of units over any sequence", () => {
    const action = fc.record({
      kind: fc.constantFrom("send" as const, "return" as const),
      lineNo: fc.integer({ min: 1, max: 3 }),
      quantity: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 15 }), (actions) => {
        let order = paid;
        let lines: readonly LineState[] = [line(1, 3), line(2, 5)];
        const sent = [0, 0];
        const back = [0, 0];
        const bought = [3, 5];
        for (const { kind, lineNo, quantity } of actions) {
          const at = lineNo - 1;
          const result =
            kind === "send"
              ? decideFulfilment(order, lines, [{ lineNo, quantity }])
              : decideReturn(order, lines, [{ lineNo, quantity }]);
          const has = bought[at] ?? 0;
          const owed = has - Math.max(sent[at] ?? 0, back[at] ?? 0);
          const isOpen = order.status === "paid";
          const isLegal =
            kind === "send" ? isOpen && quantity <= owed : quantity <= has - (back[at] ?? 0);
          assert.equal(result.ok, isLegal && at < 2);
          if (!result.ok) continue;
          if (kind === "send") sent[at] = (sent[at] ?? 0) + quantity;
          else back[at] = (back[at] ?? 0) + quantity;
          ({ order, lines } = result.value);
          assert.deepEqual(
            lines.map((one) => [one.fulfilledQuantity, one.returnedQuantity]),
            sent.map((units, index) => [units, back[index]]),
          );
          if (kind === "send") {
            const isDone = lines.every((one) => openQuantity(one) === 0);
            assert.equal(order.status, isDone ? "fulfilled" : "paid");
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
