import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type {
  NewOrder,
  OrderChange,
  OrderId,
  OrderRefund,
  OrderReturn,
  OrderState,
  OrderStatus,
  RefundFailure,
  TransitionFailure,
} from "./contract.ts";
import { orderPlaced, orderStepped, refundRecorded } from "./events.ts";
import { assertNewOrder, decideRefund, decideTransition } from "./order.ts";
import {
  insertLineRows,
  insertOrderRows,
  lockOrders,
  type StateChange,
  updateOrderStates,
} from "./store.ts";
import { fulfilAllLines } from "./store-lines.ts";

/**
 * What else happens in the transaction of a change to orders: stock, payments and ledger follow
 * here. Whatever an effect throws undoes the change. Orders are locked already: effects lock
 * after orders, in the global order.
 */
export interface OrderEffects {
  /** Called once with all orders that became cancelled. */
  readonly onCancelled?: (
    tx: TenantTx,
    origin: EventOrigin,
    orders: readonly OrderState[],
  ) => Promise<void>;
  /** Called once with all returns that were recorded. */
  readonly onReturned?: (
    tx: TenantTx,
    origin: EventOrigin,
    returns: readonly OrderReturn[],
  ) => Promise<void>;
}

/**
 * Writes new orders with their lines and events, in two statements and the events' own; nothing is
 * awaited. An id that exists fails the transaction.
 *
 * @throws AssertionError when an order does not add up (see `assertNewOrder`)
 */
export function insertOrders(tx: TenantTx, origin: EventOrigin, orders: readonly NewOrder[]): void {
  if (orders.length === 0) return;
  for (const order of orders) assertNewOrder(order);
  insertOrderRows(tx, orders);
  insertLineRows(tx, orders);
  appendEvents(tx, origin, orders.flatMap(orderPlaced));
}

/**
 * Takes steps of the state machine for any number of orders in a fixed number of statements: locks
 * in order of id, decides in the order given, writes once. Several steps of one order follow each
 * other. A step to fulfilled marks every open unit as sent, without a parcel.
 *
 * @returns one result per change, in order: the state after it, or why it was refused
 */
export async function transitionOrders(
  tx: TenantTx,
  origin: EventOrigin,
  changes: readonly OrderChange[],
  effects: OrderEffects = {},
): Promise<Result<OrderState, TransitionFailure>[]> {
  const orders = await lockOrders(
    tx,
    changes.map((change) => change.orderId),
  );
  const decided = decideEach(orders, changes, decideTransition);
  updateOrderStates(tx, decided.written);
  appendEvents(
    tx,
    origin,
    decided.accepted.map(({ before, after, change }) => orderStepped(before, after, change)),
  );
  const becoming = (status: OrderStatus) =>
    decided.accepted.flatMap(({ after }) => (after.status === status ? [after] : []));
  fulfilAllLines(
    tx,
    becoming("fulfilled").map((order) => order.id),
  );
  const cancelled = becoming("cancelled");
  if (cancelled.length > 0) await effects.onCancelled?.(tx, origin, cancelled);
  return decided.results;
}

/**
 * Records that money of orders went back, set-based like {@link transitionOrders}; an order whose
 * whole total has gone back becomes refunded. Moves no money: payments do, in the same transaction.
 *
 * @returns one result per refund, in order: the state after it, or why it was refused
 */
export async function recordRefunds(
  tx: TenantTx,
  origin: EventOrigin,
  refunds: readonly OrderRefund[],
): Promise<Result<OrderState, RefundFailure>[]> {
  const orders = await lockOrders(
    tx,
    refunds.map((refund) => refund.orderId),
  );
  const decided = decideEach(orders, refunds, decideRefund);
  updateOrderStates(tx, decided.written);
  appendEvents(
    tx,
    origin,
    decided.accepted.flatMap(({ before, after, change }) => {
      const recorded = refundRecorded(after, change);
      const step = { ...change, to: "refunded" as OrderStatus };
      return after.status === before.status
        ? [recorded]
        : [recorded, orderStepped(before, after, step)];
    }),
  );
  return decided.results;
}

interface Accepted<Change> {
  readonly before: OrderState;
  readonly after: OrderState;
  readonly change: Change;
}

interface Decisions<Change, F extends { readonly code: string }> {
  readonly results: Result<OrderState, F>[];
  readonly accepted: readonly Accepted<Change>[];
  /** The last state of each order that changed. */
  readonly written: readonly StateChange[];
}

/** Decides changes in the order given, each on what the ones before it left. */
function decideEach<
  Change extends { readonly orderId: OrderId; readonly at?: Date },
  F extends { readonly code: string },
>(
  orders: ReadonlyMap<OrderId, OrderState>,
  changes: readonly Change[],
  decide: (order: OrderState, change: Change) => Result<OrderState, F>,
): Decisions<Change, F | { readonly code: "orders.not_found"; readonly orderId: string }> {
  const current = new Map(orders);
  const accepted: Accepted<Change>[] = [];
  const written = new Map<OrderId, StateChange>();
  const results = changes.map((change) => {
    const { orderId } = change;
    const before = current.get(orderId);
    if (!before) return fail({ code: "orders.not_found", orderId });
    const decision = decide(before, change);
    if (!decision.ok) return decision;
    const after = decision.value;
    current.set(orderId, after);
    written.set(orderId, { state: after, at: change.at });
    accepted.push({ before, after, change });
    return ok(after);
  });
  return { results, accepted, written: [...written.values()] };
}
