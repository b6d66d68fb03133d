import { assert } from "../../kernel/assert.ts";
import { isId } from "../../kernel/ids.ts";
import { defineJob, type JobDefinition } from "../../platform/jobs/jobs.ts";
import { settlePaymentJob } from "./commands.ts";
import type { PaymentId, Payments } from "./contract.ts";

/** Kind of the job that sweeps one tenant's payments; schedule it per tenant, every 15 to 60 s. */
export const sweepPaymentsJob = "payments.sweep";

/** Payments looked at by one sweep. */
const sweepMax = 200;

/** Jobs of this module: settling one payment, and sweeping all that wait. */
export function paymentJobs(payments: Payments): readonly JobDefinition[] {
  const settle = defineJob<{ paymentId: string }>({
    kind: settlePaymentJob,
    timeoutMs: 60_000,
    backoff: { baseMs: 5_000, maxMs: 300_000 },
    async handle({ ctx, job, signal }) {
      const { paymentId } = job.payload;
      assert(isId(paymentId), "a settle job names a payment");
      await payments.settlePayment({ ...ctx, signal }, paymentId as PaymentId);
    },
  });
  const sweep = defineJob({
    kind: sweepPaymentsJob,
    timeoutMs: 300_000,
    async handle({ ctx, signal }) {
      await payments.resolveUnknownPayments({ ...ctx, signal }, sweepMax);
    },
  });
  return [settle, sweep];
}
