import { assert } from "../../kernel/assert.ts";
import { isId, timeOfId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type IllegalTransition,
  type NewOrder,
  type NotEditable,
  type OrderChange,
  type OrderPatch,
  type OrderRefund,
  type OrderState,
  type OrderStatus,
  orderIdSkewMaxMs,
  orderLinesMax,
  type RefundExceedsTotal,
  type VersionConflict,
} from "./contract.ts";

/** The state machine: the statuses each status may be followed by. */
export const orderTransitions: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  pending: ["confirmed", "paid", "cancelled"],
  confirmed: ["paid", "cancelled"],
  paid: ["fulfilled", "refunded"],
  fulfilled: ["completed", "refunded"],
  completed: ["refunded"],
  cancelled: [],
  refunded: [],
};

/** Whether the state machine has this step. */
export function mayFollow(from: OrderStatus, to: OrderStatus): boolean {
  return orderTransitions[from].includes(to);
}

/**
 * Decides one step of the state machine; on success the version is one higher. A step to refunded
 * gives all the money back.
 *
 * The expected version is looked at first: a caller who decided on old data must read again,
 * whatever the step.
 */
export function decideTransition(
  order: OrderState,
  change: Pick<OrderChange, "to" | "expectedVersion">,
): Result<OrderState, IllegalTransition | VersionConflict> {
  const { id: orderId, status: from } = order;
  const conflict = versionConflict(order, change.expectedVersion);
  if (conflict) return fail(conflict);
  if (!mayFollow(from, change.to)) {
    return fail({ code: "orders.illegal_transition", orderId, from, to: change.to });
  }
  const refundedMinor = change.to === "refunded" ? order.totalMinor : order.refundedMinor;
  return ok({ ...order, status: change.to, refundedMinor, version: order.version + 1 });
}

/** The refusal for a caller who expects another version than the order has, if so. */
export function versionConflict(
  order: OrderState,
  expectedVersion: number | undefined,
): VersionConflict | undefined {
  if (expectedVersion === undefined || expectedVersion === order.version) return undefined;
  const { id: orderId, version } = order;
  return { code: "orders.version_conflict", orderId, expectedVersion, version };
}

/**
 * Decides a refund of part or all of the money. The last part makes the order refunded, in the
 * same version; money of an unpaid or cancelled order cannot go back from here.
 */
export function decideRefund(
  order: OrderState,
  refund: OrderRefund,
): Result<OrderState, IllegalTransition | RefundExceedsTotal> {
  assert(
    Number.isSafeInteger(refund.amountMinor) && refund.amountMinor > 0,
    "a refund is a whole number of minor units above 0",
  );
  const { id: orderId, status: from } = order;
  if (!mayFollow(from, "refunded")) {
    return fail({ code: "orders.illegal_transition", orderId, from, to: "refunded" });
  }
  const refundableMinor = order.totalMinor - order.refundedMinor;
  if (refund.amountMinor > refundableMinor) {
    return fail({ code: "orders.refund_exceeds_total", orderId, refundableMinor });
  }
  const refundedMinor = order.refundedMinor + refund.amountMinor;
  const status = refundedMinor === order.totalMinor ? "refunded" : from;
  return ok({ ...order, refundedMinor, status, version: order.version + 1 });
}

/** Statuses in which nothing has left the house yet. */
const beforeShipping: readonly OrderStatus[] = ["pending", "confirmed", "paid"];

/** Decides an edit: where it goes may change until it is fulfilled, the rest at any time. */
export function decidePatch(order: OrderState, patch: OrderPatch): Result<OrderState, NotEditable> {
  const { id: orderId, status } = order;
  if (patch.shippingAddress !== undefined && !beforeShipping.includes(status)) {
    return fail({ code: "orders.not_editable", orderId, status, field: "shippingAddress" });
  }
  return ok({ ...order, version: order.version + 1 });
}

/** Names of the fields a patch changes, in the order of the contract. */
export function patchedFields(patch: OrderPatch): (keyof OrderPatch)[] {
  const fields = ["email", "shippingAddress", "billingAddress", "metadata"] as const;
  return fields.filter((field) => patch[field] !== undefined);
}

/**
 * Checks what whoever prices an order must guarantee.
 *
 * @throws AssertionError naming the rule that is broken
 */
export function assertNewOrder(order: NewOrder): void {
  const { totals, lines } = order;
  assert(
    lines.length > 0 && lines.length <= orderLinesMax,
    `an order has 1 to ${orderLinesMax} lines`,
  );
  assert(/^[A-Z]{3}$/.test(order.currency), "a currency is three capital letters");
  for (const amount of Object.values(totals)) {
    assert(Number.isSafeInteger(amount) && amount >= 0, "totals are whole minor units, 0 or more");
  }
  assert(
    totals.totalMinor ===
      totals.subtotalMinor -
        totals.discountMinor +
        totals.shippingMinor +
        (order.priceIncludesTax ? 0 : totals.taxMinor),
    "total = subtotal - discount + shipping (+ tax unless included)",
  );
  for (const line of lines) {
    assert(
      Number.isSafeInteger(line.quantity) && line.quantity > 0,
      "a line's quantity is above 0",
    );
  }
  assert(idFits(order.id, order.placedAt), "an order's id carries the time it was placed");
}

/**
 * Whether an id may name an order placed at a moment: a UUIDv7 minted within `orderIdSkewMaxMs` of
 * it. Whoever takes ids from callers asks first.
 */
export function idFits(id: string, placedAt: Date): boolean {
  if (!isId(id) || id[14] !== "7") return false;
  return Math.abs(timeOfId(id).getTime() - placedAt.getTime()) <= orderIdSkewMaxMs;
}
