import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Ledger } from "../../modules/ledger/index.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import type { Orders } from "../../modules/orders/index.ts";
import type { Payments } from "../../modules/payments/contract.ts";
import type { Db } from "../../platform/db/db.ts";
import { eventsOfStreams } from "../../platform/events/queries.ts";
import type { Subscriptions } from "../../platform/events/subscriptions.ts";
import type { LiveStreams } from "../../platform/http/live-streams.ts";
import type { JobId, Jobs } from "../../platform/jobs/jobs.ts";
import type { SagaId, Sagas } from "../../platform/sagas/sagas.ts";
import type { OperationsFailure } from "./contract.ts";
import { type Overview, readOverview } from "./overview.ts";
import { type TimelineEntry, tellTimeline } from "./timeline.ts";

export type { Overview } from "./overview.ts";
export type { TimelineEntry } from "./timeline.ts";

/** What operators look at: everything, read only, plus the platform's own switches. */
export interface OperationsDeps {
  readonly db: Db;
  readonly orders: Pick<Orders, "get">;
  readonly payments: Pick<Payments, "listPayments" | "getPayment">;
  readonly ledger: Pick<Ledger, "listJournals">;
  readonly sagas: Sagas;
  readonly subscriptions: Subscriptions;
  readonly jobs: Jobs;
  /** Live views of this process. */
  readonly streams: LiveStreams;
}

/** The operators' views. */
export interface Operations extends OperationsDeps {
  /** The whole story of an order, oldest first. */
  timeline(
    ctx: Context,
    orderId: OrderId,
  ): Promise<Result<readonly TimelineEntry[], OperationsFailure>>;
  /** Today's figures of a brand. */
  overview(ctx: Context): Promise<Overview>;
}

/** Builds the process. */
export function createOperations(deps: OperationsDeps): Operations {
  return {
    ...deps,
    timeline: (ctx, orderId) => readTimeline(deps, ctx, orderId),
    overview: (ctx) => deps.db.read(ctx.tenantId, readOverview, { name: "operations.overview" }),
  };
}

async function readTimeline(
  deps: OperationsDeps,
  ctx: Context,
  orderId: OrderId,
): Promise<Result<readonly TimelineEntry[], OperationsFailure>> {
  const { tenantId } = ctx;
  const [order, found, saga, journals, job] = await Promise.all([
    deps.orders.get(ctx, orderId),
    deps.payments.listPayments(ctx, { orderId, limit: 20 }),
    deps.sagas.find(tenantId, orderId as string as SagaId),
    deps.ledger.listJournals(tenantId, { reference: `order:${orderId}`, limit: 100 }),
    deps.jobs.find(ctx, orderId as string as JobId),
  ]);
  if (!order.ok) return fail({ code: "operations.order_not_found", orderId });
  const details = await Promise.all(found.items.map(({ id }) => deps.payments.getPayment(ctx, id)));
  const streams = [
    `order:${orderId}`,
    `reservation:${orderId}`,
    ...found.items.map(({ id }) => `payment:${id}`),
  ];
  const events = await deps.db.read(tenantId, (tx) => eventsOfStreams(tx, streams), {
    name: "operations.timeline",
  });
  return ok(
    tellTimeline({
      events,
      saga,
      payments: details.flatMap((detail) => (detail.ok ? [detail.value] : [])),
      journals: journals.ok ? journals.value.items : [],
      jobs: job
        ? [
            {
              id: job.id,
              kind: job.kind,
              state: job.state,
              at: job.at ?? job.enqueuedAt,
              requestId: job.origin.requestId,
              detail: { attempt: job.attempt, ...(job.detail ? { detail: job.detail } : {}) },
            },
          ]
        : [],
    }),
  );
}
