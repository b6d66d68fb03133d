import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  IllegalTransition,
  LineQuantity,
  NewReturnLine,
  NothingToDo,
  OrderId,
  OrderState,
  RefundExceedsTotal,
  ReturnLine,
  TooManyUnits,
  UnknownLine,
} from "./contract.ts";
import { mayFollow } from "./order.ts";

/** The part of an order's line that fulfilments and returns are decided on. */
export interface LineState {
  readonly orderId: OrderId;
  readonly lineNo: number;
  readonly variantId: string | null;
  readonly sku: string;
  readonly quantity: number;
  readonly totalMinor: number;
  readonly fulfilledQuantity: number;
  readonly returnedQuantity: number;
  readonly returnedMinor: number;
}

/** What a fulfilment or a return comes to: the order and its lines afterwards. */
export interface LinesDecision<Recorded> {
  readonly order: OrderState;
  /** All lines of the order, in order. */
  readonly lines: readonly LineState[];
  /** What is recorded. */
  readonly recorded: readonly Recorded[];
}

/** Units of a line that can still be sent. A unit that came back before it was sent is not owed. */
export function openQuantity(line: LineState): number {
  return line.quantity - Math.max(line.fulfilledQuantity, line.returnedQuantity);
}

/**
 * Decides a fulfilment of a paid order; the one that leaves nothing open makes it fulfilled.
 *
 * @param wanted units per line; undefined takes everything that is open
 */
export function decideFulfilment(
  order: OrderState,
  lines: readonly LineState[],
  wanted: readonly LineQuantity[] | undefined,
): Result<
  LinesDecision<LineQuantity>,
  IllegalTransition | UnknownLine | TooManyUnits | NothingToDo
> {
  const { id: orderId, status: from } = order;
  if (!mayFollow(from, "fulfilled")) {
    return fail({ code: "orders.illegal_transition", orderId, from, to: "fulfilled" });
  }
  const recorded = wanted ? merged(wanted) : openLines(lines);
  if (recorded.length === 0) return fail({ code: "orders.nothing_to_do", orderId });
  const after = new Map(lines.map((line) => [line.lineNo, line]));
  for (const { lineNo, quantity } of recorded) {
    const line = after.get(lineNo);
    if (!line) return fail({ code: "orders.unknown_line", orderId, lineNo });
    const remaining = openQuantity(line);
    if (quantity > remaining) {
      return fail({ code: "orders.too_many_units", orderId, lineNo, remaining });
    }
    after.set(lineNo, { ...line, fulfilledQuantity: line.fulfilledQuantity + quantity });
  }
  const left = [...after.values()];
  const isDone = left.every((line) => openQuantity(line) === 0);
  const status = isDone ? "fulfilled" : from;
  return ok({ order: { ...order, status, version: order.version + 1 }, lines: left, recorded });
}

/** Decides a return of units of an order whose money has arrived; the status stays. */
export function decideReturn(
  order: OrderState,
  lines: readonly LineState[],
  wanted: readonly NewReturnLine[],
): Result<
  LinesDecision<ReturnLine>,
  IllegalTransition | UnknownLine | TooManyUnits | NothingToDo | RefundExceedsTotal
> {
  const { id: orderId, status: from } = order;
  if (!mayFollow(from, "refunded")) {
    return fail({ code: "orders.illegal_transition", orderId, from, to: "refunded" });
  }
  if (wanted.length === 0) return fail({ code: "orders.nothing_to_do", orderId });
  const after = new Map(lines.map((line) => [line.lineNo, line]));
  const recorded: ReturnLine[] = [];
  for (const { lineNo, quantity, refundMinor: asked, restock = true } of wanted) {
    const line = after.get(lineNo);
    if (!line) return fail({ code: "orders.unknown_line", orderId, lineNo });
    const remaining = line.quantity - line.returnedQuantity;
    if (quantity > remaining) {
      return fail({ code: "orders.too_many_units", orderId, lineNo, remaining });
    }
    const refundableMinor = line.totalMinor - line.returnedMinor;
    const refundMinor = asked ?? proportionOf(line, quantity);
    if (refundMinor > refundableMinor) {
      return fail({ code: "orders.refund_exceeds_total", orderId, refundableMinor });
    }
    after.set(lineNo, {
      ...line,
      returnedQuantity: line.returnedQuantity + quantity,
      returnedMinor: line.returnedMinor + refundMinor,
    });
    const { variantId, sku } = line;
    const at = recorded.length + 1;
    recorded.push({
      lineNo: at,
      orderLineNo: lineNo,
      variantId,
      sku,
      quantity,
      refundMinor,
      restock,
    });
  }
  const { version } = order;
  return ok({ order: { ...order, version: version + 1 }, lines: [...after.values()], recorded });
}

/**
 * The part of a line's total that belongs to the next units to come back. Unit for unit the parts
 * sum to the total; after a refund of another amount the rest is what is left.
 */
function proportionOf(line: LineState, quantity: number): number {
  const total = BigInt(line.totalMinor);
  const upTo = BigInt(line.returnedQuantity + quantity);
  const share = Number((total * upTo) / BigInt(line.quantity)) - line.returnedMinor;
  return Math.max(0, share);
}

function openLines(lines: readonly LineState[]): LineQuantity[] {
  return lines
    .map((line) => ({ lineNo: line.lineNo, quantity: openQuantity(line) }))
    .filter(({ quantity }) => quantity > 0);
}

/** One entry per line, so that two entries for one line count together. */
function merged(wanted: readonly LineQuantity[]): LineQuantity[] {
  const sums = new Map<number, number>();
  for (const { lineNo, quantity } of wanted) {
    sums.set(lineNo, (sums.get(lineNo) ?? 0) + quantity);
  }
  return [...sums].map(([lineNo, quantity]) => ({ lineNo, quantity }));
}
