import { type Failed, fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import { type NewEvent, writeEvents } from "../../platform/events/events.ts";
import type {
  Asked,
  NewOrder,
  OrderChange,
  OrderId,
  OrderNotFound,
  OrderRefund,
  OrderReturn,
  OrderState,
  OrderStatus,
  RefundFailure,
  TransitionFailure,
} from "./contract.ts";
import { attributed, orderPlaced, orderStepped, refundRecorded } from "./events.ts";
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
 * here. Whatever an effect throws undoes the change. The orders are locked already.
 */
export interface OrderEffects {
  /** Called once with all orders that became cancelled. */
  readonly onCancelled?: (tx: TenantTx, orders: readonly Asked<OrderState>[]) => Promise<unknown>;
  /** Called once with all returns that were recorded. */
  readonly onReturned?: (tx: TenantTx, returns: readonly Asked<OrderReturn>[]) => Promise<unknown>;
}

/**
 * Writes new orders with their lines and events, in two statements and the events' own; nothing is
 * awaited. An id that exists fails the transaction.
 *
 * @throws AssertionError when an order does not add up (see `assertNewOrder`)
 */
export function insertOrders(tx: TenantTx, asked: readonly Asked<NewOrder>[]): void {
  if (asked.length === 0) return;
  const orders = asked.map(({ item }) => item);
  for (const order of orders) assertNewOrder(order);
  insertOrderRows(tx, orders);
  insertLineRows(tx, orders);
  writeEvents(
    tx,
    asked.flatMap(({ origin, item }) => attributed(origin, orderPlaced(item))),
  );
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
  changes: readonly Asked<OrderChange>[],
  effects: OrderEffects = {},
): Promise<Result<OrderState, TransitionFailure>[]> {
  const orders = await lockOrders(
    tx,
    changes.map(({ item }) => item.orderId),
  );
  const decided = decideEach(orders, changes, decideTransition);
  updateOrderStates(tx, decided.written);
  recordEvents(tx, decided.accepted, ({ before, after, asked }) => [
    orderStepped(before, after, asked.item),
  ]);
  const becoming = (status: OrderStatus): Asked<OrderState>[] =>
    decided.accepted
      .filter(({ after }) => after.status === status)
      .map(({ after, asked }) => ({ origin: asked.origin, item: after }));
  fulfilAllLines(
    tx,
    becoming("fulfilled").map(({ item }) => item.id),
  );
  const cancelled = becoming("cancelled");
  if (cancelled.length > 0) await effects.onCancelled?.(tx, cancelled);
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
  refunds: readonly Asked<OrderRefund>[],
): Promise<Result<OrderState, RefundFailure>[]> {
  const orders = await lockOrders(
    tx,
    refunds.map(({ item }) => item.orderId),
  );
  const decided = decideEach(orders, refunds, decideRefund);
  updateOrderStates(tx, decided.written);
  recordEvents(tx, decided.accepted, ({ before, after, asked }) => {
    const recorded = refundRecorded(after, asked.item);
    if (after.status === before.status) return [recorded];
    return [recorded, orderStepped(before, after, asked.item)];
  });
  return decided.results;
}

interface Accepted<Change> {
  readonly before: OrderState;
  readonly after: OrderState;
  readonly asked: Asked<Change>;
}

function recordEvents<Change>(
  tx: TenantTx,
  accepted: readonly Accepted<Change>[],
  eventsOf: (step: Accepted<Change>) => readonly NewEvent[],
): void {
  writeEvents(
    tx,
    accepted.flatMap((step) => attributed(step.asked.origin, eventsOf(step))),
  );
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
  changes: readonly Asked<Change>[],
  decide: (order: OrderState, change: Change) => Result<OrderState, F>,
): Decisions<Change, F | OrderNotFound> {
  const current = new Map(orders);
  const accepted: Accepted<Change>[] = [];
  const written = new Map<OrderId, StateChange>();
  const results = changes.map((asked): Result<OrderState, F | OrderNotFound> => {
    const { orderId, at } = asked.item;
    const before = current.get(orderId);
    if (!before) return notFound(orderId);
    const decision = decide(before, asked.item);
    if (!decision.ok) return decision;
    const after = decision.value;
    current.set(orderId, after);
    written.set(orderId, { state: after, at });
    accepted.push({ before, after, asked });
    return ok(after);
  });
  return { results, accepted, written: [...written.values()] };
}

/** The refusal of an id that names no order of the tenant. */
export function notFound(orderId: string): Failed<OrderNotFound> {
  return fail({ code: "orders.not_found", orderId });
}
