import type { Context } from "../../kernel/context.ts";
import type { Result } from "../../kernel/result.ts";
import type { Asked, OrderId, OrderRefund } from "../../modules/orders/contract.ts";
import type {
  PaymentAdvance,
  PaymentOperationId,
  Payments,
} from "../../modules/payments/contract.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { defineSaga, type Saga, type SagaDefinition } from "../../platform/sagas/sagas.ts";

/** Input of the saga that gives money back. */
export type PayBack =
  | { readonly kind: "cancellation"; readonly orderId: OrderId }
  | {
      readonly kind: "return";
      readonly orderId: OrderId;
      readonly amountMinor: number;
      /** Moment the return stands for, ISO 8601, when history is imported. */
      readonly occurredAt?: string;
    };

/** A refund that the provider or our own state refuses: a person has to look. */
class RefundRefusedError extends Error {
  override readonly name = "RefundRefusedError";
  readonly code = "ERR_REFUND_REFUSED";
  readonly retryable = false;
}

/** Gives money back through the payments of an order: a remote call per payment, each repeatable. */
export function definePayBack(payments: Payments): SagaDefinition<PayBack, null> {
  return defineSaga({
    name: "refunds.pay_back",
    version: 1,
    timeoutMs: 24 * 60 * 60_000,
    async run(saga, input) {
      if (input.kind === "cancellation") await giveUpPayments(payments, saga, input.orderId);
      else await refund(payments, saga, input);
      return null;
    },
  });
}

const retry = { attemptsMax: 20, baseMs: 500, maxMs: 60_000 };

async function giveUpPayments(payments: Payments, saga: Saga, orderId: OrderId): Promise<void> {
  const ctx: Context = { ...saga.ctx, tenantId: saga.tenantId };
  const { items } = await payments.listPayments(ctx, { orderId, limit: 100 });
  for (const { id } of items) {
    await saga.step(`cancel ${id}`, async () => (await payments.cancelPayment(ctx, id)).ok, {
      retry,
    });
  }
}

async function refund(
  payments: Payments,
  saga: Saga,
  input: Extract<PayBack, { kind: "return" }>,
): Promise<void> {
  const ctx: Context = {
    ...saga.ctx,
    tenantId: saga.tenantId,
    ...(input.occurredAt ? { occurredAt: new Date(input.occurredAt) } : {}),
  };
  await saga.step(
    "refund",
    async () => {
      const { items } = await payments.listPayments(ctx, { orderId: input.orderId, limit: 100 });
      const payment = items.find(
        (each) => each.capturedMinor - each.refundedMinor >= input.amountMinor,
      );
      if (!payment) {
        throw new RefundRefusedError(`no payment of order ${input.orderId} has so much left`);
      }
      const result = await payments.refundPayment(ctx, {
        paymentId: payment.id,
        // The run's own id: whatever is repeated, it is one refund.
        operationId: saga.id as string as PaymentOperationId,
        amountMinor: input.amountMinor,
        basis: "return",
      });
      if (!result.ok) throw new RefundRefusedError(JSON.stringify(result.failure));
      return result.value.operation.status;
    },
    { retry },
  );
}

/**
 * Records on the orders what payments gave back, in the transaction in which the payments moved.
 *
 * @param recordRefunds the orders' own function
 */
export async function followRefunds(
  recordRefunds: (
    tx: TenantTx,
    refunds: readonly Asked<OrderRefund>[],
  ) => Promise<readonly Result<unknown>[]>,
  tx: TenantTx,
  origin: EventOrigin,
  advances: readonly PaymentAdvance[],
): Promise<void> {
  const refunds = advances.flatMap((advance) => {
    if (advance.outcome !== "advanced") return [];
    const amountMinor = advance.after.refundedMinor - advance.before.refundedMinor;
    if (amountMinor <= 0) return [];
    return [{ origin, item: { orderId: advance.after.orderId as OrderId, amountMinor } }];
  });
  // Refused for a cancelled order: there the whole order is undone, not a part refunded.
  if (refunds.length > 0) await recordRefunds(tx, refunds);
}
