import type { Context } from "../../kernel/context.ts";
import type { Page } from "../../kernel/page.ts";
import { fail, ok } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { advancePayments, recordSettled } from "./advance.ts";
import { charge } from "./calls.ts";
import {
  cancelPayment,
  capturePayment,
  createPayments as recordPayments,
  refreshPayment,
  refundPayment,
  voidPayment,
} from "./commands.ts";
import type { Payments } from "./contract.ts";
import { resolveDeadLetter, retryDeadLetter } from "./dead-letters.ts";
import { type PaymentsDeps, toKit } from "./deps.ts";
import { findPaymentDetail, listDeadLetters, listPayments } from "./queries.ts";
import { resolveUnknownPayments, settlePayment } from "./sweep.ts";
import { createReceiver } from "./webhooks.ts";

export type { PaymentFailpoint, PaymentLimits, PaymentsDeps } from "./deps.ts";
export { paymentInvariants } from "./invariants.ts";
export { paymentJobs, sweepPaymentsJob } from "./jobs.ts";
export { createManualProvider } from "./providers/manual.ts";
export { createSimulatorProvider, type SimulatorConfig } from "./providers/simulator.ts";
export { paymentRoutes } from "./routes.ts";

/** Builds the module. */
export function createPayments(deps: PaymentsDeps): Payments {
  const kit = toKit(deps);
  const read = <Value>(ctx: Context, work: (tx: TenantTx) => Promise<Value>): Promise<Value> =>
    kit.db.read(ctx.tenantId, work, { name: "payments.read" });
  return {
    createPayments: (tx, ctx, payments) => recordPayments(kit, tx, ctx, payments),
    charge: (ctx, payment) => charge(kit, ctx, payment),
    cancelPayment: (ctx, id) => cancelPayment(kit, ctx, id),
    recordSettled: (tx, settled) => recordSettled(kit.clock, tx, settled),
    advancePayments: (tx, ctx, observations) => advancePayments(kit, tx, ctx, observations),
    capturePayment: (ctx, input) => capturePayment(kit, ctx, input),
    voidPayment: (ctx, input) => voidPayment(kit, ctx, input),
    refundPayment: (ctx, input) => refundPayment(kit, ctx, input),
    refreshPayment: (ctx, id) => refreshPayment(kit, ctx, id),
    receiveWebhook: createReceiver(kit),
    resolveUnknownPayments: (ctx, limit) => resolveUnknownPayments(kit, ctx, limit),
    settlePayment: (ctx, id) => settlePayment(kit, ctx, id),
    async getPayment(ctx, paymentId) {
      const detail = await read(ctx, (tx) => findPaymentDetail(tx, paymentId));
      return detail ? ok(detail) : fail({ code: "payments.not_found", paymentId });
    },
    async listPayments(ctx, filter) {
      return toPage(await read(ctx, (tx) => listPayments(tx, filter)), filter.limit);
    },
    async listDeadLetters(ctx, filter) {
      return toPage(await read(ctx, (tx) => listDeadLetters(tx, filter)), filter.limit);
    },
    retryDeadLetter: (ctx, id) => retryDeadLetter(kit, ctx, id),
    resolveDeadLetter: (ctx, id, resolution) => resolveDeadLetter(kit, ctx, id, resolution),
  };
}

/** One item more than the limit tells of another page, which begins after the last item shown. */
function toPage<Item extends { readonly id: string }>(
  found: readonly Item[],
  limit: number,
): Page<Item> {
  const items = found.slice(0, limit);
  const last = items[items.length - 1];
  return found.length > limit && last ? { items, nextCursor: last.id } : { items };
}
