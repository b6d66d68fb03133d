import type { Clock } from "../../kernel/clock.ts";
import type { Context } from "../../kernel/context.ts";
import { ok, type Result } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import type { BadCursor } from "../../platform/http/cursor.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type { JobDefinition } from "../../platform/jobs/jobs.ts";
import {
  applyBatchJob,
  applyChanges,
  applyChangesLater,
  deleteOldBatches,
  getBatch,
} from "./batch.ts";
import { type CommandDeps, editOrder, fulfilOrder, returnGoods, stepOrder } from "./commands.ts";
import type { OrderId, OrderNotFound } from "./contract.ts";
import { type ExportFormat, exportOrders } from "./export.ts";
import {
  createSharedReads,
  type ListOrders,
  listOrders,
  listOrdersAsJson,
  type OrderPage,
} from "./lists.ts";
import { createOrderNumbers, type OrderNumbers } from "./numbers.ts";
import { findOrderDetail, type OrderDetail, type OrderFilter } from "./queries.ts";
import { readTimeline, type TimelineEntry, type TimelinePart } from "./timeline.ts";
import { notFound, type OrderEffects } from "./transitions.ts";

export type { BatchOutcome, ChangeOutcome, OrderBatch } from "./batch.ts";
export type { ListedOrder, ListOrders, OrderPage } from "./lists.ts";
export type { OrderNumbers } from "./numbers.ts";
export { idFits, mayFollow, orderTransitions } from "./order.ts";
export { recordFulfilments, recordReturns } from "./parcels.ts";
export { findOrders, type OrderDetail, type OrderFilter } from "./queries.ts";
export { orderRoutes } from "./routes.ts";
export { findOrderIds, lockOrders } from "./store.ts";
export type { TimelineEntry, TimelinePart } from "./timeline.ts";
export {
  insertOrders,
  type OrderEffects,
  recordRefunds,
  transitionOrders,
} from "./transitions.ts";

/** What orders need from outside; `app.ts` provides it. */
export interface OrdersDeps {
  readonly db: Db;
  /** Units of work that honour `Idempotency-Key`. */
  readonly work: UnitOfWork;
  readonly clock: Clock;
  /** What cancelling and returning do to stock, payments and ledger, in the same transaction. */
  readonly effects?: OrderEffects;
  /** What other modules add to an order's timeline. */
  readonly timelineParts?: readonly TimelinePart[];
}

type Bound<Command> = Command extends (deps: CommandDeps, ...rest: infer Rest) => infer Outcome
  ? (...rest: Rest) => Outcome
  : never;

/**
 * What the rest of the system may ask of orders. Functions for shared transactions
 * (`insertOrders`, `transitionOrders` …) are exported beside it.
 */
export interface Orders {
  readonly numbers: OrderNumbers;
  list(ctx: Context, query: ListOrders): Promise<Result<OrderPage, BadCursor>>;
  /** Like `list`, without lines, as the JSON text of the answer. */
  listAsJson(ctx: Context, query: ListOrders): Promise<Result<string, BadCursor>>;
  get(ctx: Context, orderId: OrderId): Promise<Result<OrderDetail, OrderNotFound>>;
  timeline(ctx: Context, orderId: OrderId): Promise<Result<TimelineEntry[], OrderNotFound>>;
  /** Streams orders as text, oldest first; see `exportOrders`. */
  export(ctx: Context, filter: OrderFilter, format: ExportFormat): AsyncIterable<string>;
  readonly edit: Bound<typeof editOrder>;
  readonly step: Bound<typeof stepOrder>;
  readonly fulfil: Bound<typeof fulfilOrder>;
  readonly returnGoods: Bound<typeof returnGoods>;
  readonly applyChanges: Bound<typeof applyChanges>;
  readonly applyChangesLater: Bound<typeof applyChangesLater>;
  readonly getBatch: Bound<typeof getBatch>;
  /** Deletes finished background batches of a tenant; for housekeeping. */
  readonly deleteOldBatches: Bound<typeof deleteOldBatches>;
  /** Handlers of the module's jobs. */
  readonly jobs: readonly JobDefinition[];
}

/** Builds the module. */
export function createOrders(deps: OrdersDeps): Orders {
  const { db, work, clock, effects = {}, timelineParts = [] } = deps;
  const commandDeps: CommandDeps = { db, work, clock, effects };
  const reads = createSharedReads(db);
  return {
    numbers: createOrderNumbers(db),
    list: (ctx, query) => listOrders({ db, reads, clock }, ctx, query),
    listAsJson: (ctx, query) => listOrdersAsJson({ db, reads, clock }, ctx, query),
    async get({ tenantId }, orderId) {
      const detail = await reads.read(tenantId, `order ${orderId}`, (tx) =>
        findOrderDetail(tx, orderId),
      );
      return detail ? ok(detail) : notFound(orderId);
    },
    async timeline({ tenantId }, orderId) {
      const entries = await db.read(tenantId, (tx) => readTimeline(tx, orderId, timelineParts), {
        name: "orders.timeline",
      });
      // An order exists from its first event on.
      return entries.length > 0 ? ok(entries) : notFound(orderId);
    },
    export: (ctx, filter, format) => exportOrders(db, ctx, { filter, format, now: clock() }),
    edit: (...rest) => editOrder(commandDeps, ...rest),
    step: (...rest) => stepOrder(commandDeps, ...rest),
    fulfil: (...rest) => fulfilOrder(commandDeps, ...rest),
    returnGoods: (...rest) => returnGoods(commandDeps, ...rest),
    applyChanges: (...rest) => applyChanges(commandDeps, ...rest),
    applyChangesLater: (...rest) => applyChangesLater(commandDeps, ...rest),
    getBatch: (...rest) => getBatch(commandDeps, ...rest),
    deleteOldBatches: (...rest) => deleteOldBatches(commandDeps, ...rest),
    jobs: [applyBatchJob(commandDeps)],
  };
}
