import { assert } from "../../kernel/assert.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import { type AttributedEvent, writeEvents } from "../../platform/events/events.ts";
import type {
  Asked,
  Fulfilment,
  FulfilmentFailure,
  NewFulfilment,
  NewReturn,
  OrderId,
  OrderReturn,
  OrderState,
  ReturnFailure,
} from "./contract.ts";
import { attributed, fulfilmentCreated, orderStepped, returnRecorded } from "./events.ts";
import { decideFulfilment, decideReturn, type LineState } from "./fulfilment.ts";
import { versionConflict } from "./order.ts";
import { lockOrders, type StateChange, updateOrderStates } from "./store.ts";
import {
  findFulfilmentIds,
  findReturnIds,
  insertFulfilments,
  insertReturns,
  readLineStates,
  updateLineStates,
} from "./store-lines.ts";
import { notFound, type OrderEffects } from "./transitions.ts";

/** Orders and their lines while a batch of fulfilments or returns is decided on them. */
interface Working {
  readonly orders: Map<OrderId, OrderState>;
  readonly lines: Map<OrderId, readonly LineState[]>;
  readonly takenIds: Set<string>;
  readonly changed: Map<OrderId, StateChange>;
  readonly events: AttributedEvent[];
}

async function load(
  tx: TenantTx,
  orderIds: readonly OrderId[],
  findIds: Promise<Set<string>>,
): Promise<Working> {
  // Sent behind the lock on the same connection: the lines are read as they are under it.
  const [orders, lines, takenIds] = await Promise.all([
    lockOrders(tx, orderIds),
    orderIds.length > 0 ? readLineStates(tx, orderIds) : new Map<OrderId, LineState[]>(),
    findIds,
  ]);
  return { orders, lines, takenIds, changed: new Map(), events: [] };
}

function keep(
  working: Working,
  order: OrderState,
  lines: readonly LineState[],
  at: Date | undefined,
): void {
  working.orders.set(order.id, order);
  working.lines.set(order.id, lines);
  working.changed.set(order.id, { state: order, at });
}

function save(tx: TenantTx, working: Working): void {
  const { changed, lines } = working;
  updateOrderStates(tx, [...changed.values()]);
  updateLineStates(
    tx,
    [...changed.keys()].flatMap((orderId) => lines.get(orderId) ?? []),
  );
  writeEvents(tx, working.events);
}

/**
 * Records fulfilments of paid orders, in a fixed number of statements for any number; the one that
 * leaves nothing open makes its order fulfilled.
 *
 * @param now stands in for a `createdAt` that is left out
 * @returns one result per fulfilment, in order
 */
export async function recordFulfilments(
  tx: TenantTx,
  wanted: readonly Asked<NewFulfilment>[],
  now: Date,
): Promise<Result<Fulfilment, FulfilmentFailure>[]> {
  if (wanted.length === 0) return [];
  const ids = wanted.map(({ item }) => item.id);
  const orderIds = [...new Set(wanted.map(({ item }) => item.orderId))];
  const working = await load(tx, orderIds, findFulfilmentIds(tx, ids));
  const results = wanted.map((asked) => fulfil(working, asked, now));
  const made = results.flatMap((result) => (result.ok ? [result.value] : []));
  save(tx, working);
  insertFulfilments(tx, made);
  return results;
}

function fulfil(
  working: Working,
  { origin, item: wanted }: Asked<NewFulfilment>,
  now: Date,
): Result<Fulfilment, FulfilmentFailure> {
  const { id, orderId } = wanted;
  const order = working.orders.get(orderId);
  if (!order) return notFound(orderId);
  if (working.takenIds.has(id)) return fail({ code: "orders.duplicate_id", id });
  const conflict = versionConflict(order, wanted.expectedVersion);
  if (conflict) return fail(conflict);
  const decision = decideFulfilment(order, working.lines.get(orderId) ?? [], wanted.lines);
  if (!decision.ok) return decision;
  const { order: after, lines, recorded } = decision.value;
  working.takenIds.add(id);
  keep(working, after, lines, wanted.createdAt);
  const fulfilment: Fulfilment = {
    id,
    orderId,
    carrier: wanted.carrier ?? null,
    trackingCode: wanted.trackingCode ?? null,
    trackingUrl: wanted.trackingUrl ?? null,
    lines: recorded,
    createdAt: wanted.createdAt ?? now,
  };
  const events = [fulfilmentCreated(fulfilment, wanted.createdAt)];
  if (after.status !== order.status) {
    events.push(orderStepped(order, after, wanted.createdAt ? { at: wanted.createdAt } : {}));
  }
  working.events.push(...attributed(origin, events));
  return ok(fulfilment);
}

/** How returns are recorded. */
export interface ReturnOptions {
  /** Stands in for a `createdAt` that is left out. */
  readonly now: Date;
  readonly effects?: OrderEffects;
}

/**
 * Records returns, of orders or without a receipt, in a fixed number of statements for any number.
 * Moves neither stock nor money: effects do, in the same transaction.
 *
 * @returns one result per return, in order
 */
export async function recordReturns(
  tx: TenantTx,
  wanted: readonly Asked<NewReturn>[],
  options: ReturnOptions,
): Promise<Result<OrderReturn, ReturnFailure>[]> {
  if (wanted.length === 0) return [];
  const ids = wanted.map(({ item }) => item.id);
  const orderIds = wanted.flatMap(({ item }) => (item.orderId ? [item.orderId] : []));
  const working = await load(tx, [...new Set(orderIds)], findReturnIds(tx, ids));
  const results = wanted.map((asked) => takeBack(working, asked, options.now));
  const made = results.flatMap((result, index): Asked<OrderReturn>[] => {
    const origin = wanted[index]?.origin;
    return result.ok && origin ? [{ origin, item: result.value }] : [];
  });
  save(tx, working);
  insertReturns(
    tx,
    made.map(({ item }) => item),
  );
  if (made.length > 0) await options.effects?.onReturned?.(tx, made);
  return results;
}

function takeBack(
  working: Working,
  { origin, item: wanted }: Asked<NewReturn>,
  now: Date,
): Result<OrderReturn, ReturnFailure> {
  const { id } = wanted;
  if (working.takenIds.has(id)) return fail({ code: "orders.duplicate_id", id });
  const decided = wanted.orderId === null ? withoutReceipt(wanted) : ofOrder(working, wanted);
  if (!decided.ok) return decided;
  working.takenIds.add(id);
  const made: OrderReturn = {
    id,
    orderId: wanted.orderId,
    ...decided.value,
    refundMinor: decided.value.lines.reduce((sum, line) => sum + line.refundMinor, 0),
    reason: wanted.reason ?? null,
    externalReference: wanted.externalReference ?? null,
    createdAt: wanted.createdAt ?? now,
  };
  working.events.push(...attributed(origin, [returnRecorded(made, wanted.createdAt)]));
  return ok(made);
}

type Decided = Result<Pick<OrderReturn, "currency" | "customerId" | "lines">, ReturnFailure>;

function ofOrder(working: Working, wanted: Extract<NewReturn, { orderId: OrderId }>): Decided {
  const { orderId } = wanted;
  const order = working.orders.get(orderId);
  if (!order) return notFound(orderId);
  const conflict = versionConflict(order, wanted.expectedVersion);
  if (conflict) return fail(conflict);
  const decision = decideReturn(order, working.lines.get(orderId) ?? [], wanted.lines);
  if (!decision.ok) return decision;
  keep(working, decision.value.order, decision.value.lines, wanted.createdAt);
  const { currency, customerId } = order;
  return ok({ currency, customerId, lines: decision.value.recorded });
}

function withoutReceipt(wanted: Extract<NewReturn, { orderId: null }>): Decided {
  const lines = wanted.lines.map(({ restock = true, ...line }, index) => {
    assert(line.quantity > 0 && line.refundMinor >= 0, "a return line has units and no debt");
    return { ...line, restock, lineNo: index + 1, orderLineNo: null };
  });
  assert(lines.length > 0, "a return has at least one line");
  const { currency, customerId = null } = wanted;
  return ok({ currency, customerId, lines });
}
