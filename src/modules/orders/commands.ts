import type { Clock } from "../../kernel/clock.ts";
import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { writeEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type {
  FulfilmentFailure,
  NewFulfilment,
  NewReturn,
  OrderChange,
  OrderId,
  OrderNotFound,
  OrderPatch,
  OrderReturn,
  PatchFailure,
  ReturnFailure,
  StaleVersion,
  TransitionFailure,
} from "./contract.ts";
import { attributed, orderEdited } from "./events.ts";
import { decidePatch } from "./order.ts";
import { recordFulfilments, recordReturns } from "./parcels.ts";
import { findOrderDetail, type OrderDetail } from "./queries.ts";
import { lockOrders, updateOrderFields } from "./store.ts";
import { notFound, type OrderEffects, transitionOrders } from "./transitions.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly db: Db;
  readonly work: UnitOfWork;
  readonly clock: Clock;
  readonly effects: OrderEffects;
}

/** The version a caller saw: from `If-Match`, so another one is `orders.stale_version`. */
export interface Precondition {
  readonly ifMatch?: number | undefined;
}

/** An edit of an order by hand. */
export interface EditOrder extends Precondition {
  readonly orderId: OrderId;
  readonly patch: OrderPatch;
}

/** Edits an order and records `orders.order_edited`. */
export function editOrder(
  deps: CommandDeps,
  ctx: Context,
  { orderId, patch, ifMatch }: EditOrder,
): Promise<Result<OrderDetail, PatchFailure | IdempotencyFailure>> {
  return deps.work.transact<OrderDetail, PatchFailure>(
    ctx,
    async (tx) => {
      const order = (await lockOrders(tx, [orderId])).get(orderId);
      if (!order) return notFound(orderId);
      const { version } = order;
      if (ifMatch !== undefined && ifMatch !== version) {
        return fail({ code: "orders.stale_version", orderId, version });
      }
      const decision = decidePatch(order, patch);
      if (!decision.ok) return decision;
      updateOrderFields(tx, decision.value, patch);
      writeEvents(tx, attributed(ctx, [orderEdited(decision.value, patch)]));
      return readBack(tx, orderId);
    },
    { name: "orders.edit" },
  );
}

/** Takes one step of the state machine; see `transitionOrders` for many. */
export function stepOrder(
  deps: CommandDeps,
  ctx: Context,
  { ifMatch, ...change }: OrderChange & Precondition,
): Promise<Result<OrderDetail, TransitionFailure | StaleVersion | IdempotencyFailure>> {
  return deps.work.transact<OrderDetail, TransitionFailure | StaleVersion>(
    ctx,
    async (tx) => {
      const item = ifMatch === undefined ? change : { ...change, expectedVersion: ifMatch };
      const results = await transitionOrders(tx, [{ origin: ctx, item }], deps.effects);
      return answer(tx, results[0], change.orderId, ifMatch);
    },
    { name: "orders.step" },
  );
}

/** Records a fulfilment of one order; see `recordFulfilments` for many. */
export function fulfilOrder(
  deps: CommandDeps,
  ctx: Context,
  { ifMatch, ...wanted }: NewFulfilment & Precondition,
): Promise<Result<OrderDetail, FulfilmentFailure | StaleVersion | IdempotencyFailure>> {
  return deps.work.transact<OrderDetail, FulfilmentFailure | StaleVersion>(
    ctx,
    async (tx) => {
      const item = ifMatch === undefined ? wanted : { ...wanted, expectedVersion: ifMatch };
      const results = await recordFulfilments(tx, [{ origin: ctx, item }], deps.clock());
      return answer(tx, results[0], wanted.orderId, ifMatch);
    },
    { name: "orders.fulfil" },
  );
}

/** Records a return, of an order or without a receipt; see `recordReturns` for many. */
export function returnGoods(
  deps: CommandDeps,
  ctx: Context,
  item: NewReturn,
): Promise<Result<OrderReturn, ReturnFailure | IdempotencyFailure>> {
  return deps.work.transact<OrderReturn, ReturnFailure>(
    ctx,
    async (tx) => {
      const options = { now: deps.clock(), effects: deps.effects };
      const [result] = await recordReturns(tx, [{ origin: ctx, item }], options);
      return result ?? notFound(String(item.orderId));
    },
    { name: "orders.return" },
  );
}

/** The order as it is after the change; a conflict with `If-Match` is a stale version. */
async function answer<F extends { readonly code: string }>(
  tx: TenantTx,
  result: Result<unknown, F> | undefined,
  orderId: OrderId,
  ifMatch: number | undefined,
): Promise<Result<OrderDetail, F | StaleVersion | OrderNotFound>> {
  if (!result) return notFound(orderId);
  if (result.ok) return readBack(tx, orderId);
  const { failure } = result;
  if (ifMatch === undefined || failure.code !== "orders.version_conflict") return result;
  const { version } = failure as F & { readonly version: number };
  return fail({ code: "orders.stale_version", orderId, version });
}

async function readBack(
  tx: TenantTx,
  orderId: OrderId,
): Promise<Result<OrderDetail, OrderNotFound>> {
  const detail = await findOrderDetail(tx, orderId);
  return detail ? ok(detail) : notFound(orderId);
}
