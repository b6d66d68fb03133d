import { assert } from "../../kernel/assert.ts";
import { isId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, originOf, type RecordedEvent } from "../../platform/events/events.ts";
import type { Subscription } from "../../platform/events/subscription.ts";
import {
  defineJob,
  enqueueJobs,
  type JobDefinition,
  type JobId,
} from "../../platform/jobs/jobs.ts";
import type { Order, OrderId } from "../orders/contract.ts";
import { renderReceipt } from "./receipt.ts";
import { insertReceipt } from "./store.ts";

/** Queue of the jobs that write documents. */
export const documentsQueue = "documents";

/** What issuing needs; `app.ts` provides it. */
export interface IssuingDeps {
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
    types: ["orders.order_paid", "orders.order_placed"],
    mode: "transactional",
    handle: async (tx, events) => {
      for (const event of events.filter(isPaid)) {
        const orderId = String(event.data["orderId"]);
        enqueueJobs(tx, originOf(event), [
          {
            kind: "receipts.issue",
            queue: documentsQueue,
            id: orderId as JobId,
            payload: { orderId },
          },
        ]);
      }
    },
  };
}

/** An order that is settled at once is placed as paid, and has no step of its own to it. */
function isPaid({ type, data }: RecordedEvent): boolean {
  return type === "orders.order_paid" || data["status"] === "paid";
}

/** Writes the receipt in the commit that completes the job: exactly one, whatever is repeated. */
export function receiptJobs(deps: IssuingDeps): readonly JobDefinition[] {
  const issue = defineJob<{ orderId: string }>({
    kind: "receipts.issue",
    timeoutMs: 30_000,
    async handle({ ctx, job, transact }) {
      const { orderId } = job.payload;
      assert(isId(orderId), "a receipt job names an order");
      const brand = await deps.brandOf(ctx.tenantId);
      await transact(async (tx) => {
        const order = (await deps.findOrders(tx, [orderId as OrderId])).get(orderId as OrderId);
        if (!order) return ok(null);
        const isNew = await insertReceipt(tx, orderId, renderReceipt(order, brand));
        if (isNew) appendEvents(tx, ctx, [issued(order)]);
        return ok(null);
      });
    },
  });
  return [issue];
}

function issued({ id, number }: Order) {
  return {
    type: "receipts.receipt_issued",
    version: 1,
    stream: `order:${id}`,
    data: { orderId: id, number },
  };
}
