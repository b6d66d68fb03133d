import { assert } from "../../kernel/assert.ts";
import { isId, type TenantId } from "../../kernel/ids.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { splitsOnDataErrors } from "../../platform/db/errors.ts";
import { type EventOrigin, originOf, writeEvents } from "../../platform/events/events.ts";
import type { Subscription } from "../../platform/events/subscription.ts";
import {
  defineJob,
  enqueueJobs,
  type JobDefinition,
  type JobId,
} from "../../platform/jobs/jobs.ts";
import type { Order, OrderId } from "../orders/contract.ts";
import { renderReceipt } from "./receipt.ts";
import { insertReceipts } from "./store.ts";

/** Queue of the jobs that write documents. */
export const documentsQueue = "documents";

/** What issuing needs; `app.ts` provides it. */
export interface IssuingDeps {
  readonly db: Db;
  readonly findOrders: (
    tx: TenantTx,
    ids: readonly OrderId[],
  ) => Promise<ReadonlyMap<OrderId, Order>>;
  readonly brandOf: (tenantId: string) => Promise<string>;
}

/** Asks for a receipt of every order that is paid; the job has the order's own id. */
export function receiptSubscription(): Subscription {
  return {
    name: "receipts.issue",
    types: ["orders.order_paid"],
    mode: "transactional",
    // Nobody waits for a receipt: those of a busy moment are written together.
    restMs: 150,
    handle: async (tx, events) => {
      const [first] = events;
      if (!first) return;
      const jobs = events.map((event) => {
        const orderId = String(event.data["orderId"]);
        const origin = originOf(event);
        const job = { kind: "receipts.issue", queue: documentsQueue, payload: { orderId } };
        return { ...job, id: orderId as JobId, origin };
      });
      enqueueJobs(tx, originOf(first), jobs);
    },
  };
}

/** A job that waits for its receipt. */
interface Issue {
  readonly origin: EventOrigin;
  readonly orderId: OrderId;
}

const issuesMax = 200;

/**
 * Writes receipts, those of a moment in one commit. A job that is run again finds its receipt and
 * adds nothing: exactly one, whatever is repeated.
 */
export function receiptJobs(deps: IssuingDeps): readonly JobDefinition[] {
  const issues: Coalescer<Issue, undefined> = createCoalescer({
    name: "receipts.issue",
    batchMax: issuesMax,
    inFlightMax: 1,
    waitingMax: 10_000,
    // An order that cannot be rendered fails alone.
    isSplittable: splitsOnDataErrors,
    run: (tenantId, batch) => issueReceipts(deps, tenantId as TenantId, batch),
  });
  const issue = defineJob<{ orderId: string }>({
    kind: "receipts.issue",
    timeoutMs: 30_000,
    async handle({ ctx, job }) {
      const { orderId } = job.payload;
      assert(isId(orderId), "a receipt job names an order");
      await issues.submit(ctx.tenantId, { origin: ctx, orderId: orderId as OrderId });
    },
  });
  return [issue];
}

async function issueReceipts(
  deps: IssuingDeps,
  tenantId: TenantId,
  batch: readonly Issue[],
): Promise<undefined[]> {
  const brand = await deps.brandOf(tenantId);
  await deps.db.commit(
    tenantId,
    async (tx) => {
      const orders = await deps.findOrders(
        tx,
        batch.map(({ orderId }) => orderId),
      );
      // Two jobs of one order are one receipt and one event.
      const origins = new Map(batch.map(({ origin, orderId }) => [orderId, origin]));
      const found = [...origins].flatMap(([orderId, origin]) => {
        const order = orders.get(orderId);
        return order ? [{ origin, order }] : [];
      });
      const isNew = await insertReceipts(
        tx,
        found.map(({ order }) => ({ orderId: order.id, document: renderReceipt(order, brand) })),
      );
      writeEvents(
        tx,
        found
          .filter(({ order }) => isNew.has(order.id))
          .map(({ origin, order }) => ({ origin, event: issued(order) })),
      );
    },
    { name: "receipts.issue" },
  );
  return batch.map(() => undefined);
}

function issued({ id, number }: Order) {
  return {
    type: "receipts.receipt_issued",
    version: 1,
    stream: `order:${id}`,
    data: { orderId: id, number },
  };
}
