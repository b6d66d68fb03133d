import { v5 } from "uuid";
import { assert } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin, writeEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import { enqueueJobs } from "../../platform/jobs/jobs.ts";
import { advancePayments } from "./advance.ts";
import { enquire, operate } from "./calls.ts";
import {
  type AttributedPayment,
  type CapturePayment,
  type OperationFailure,
  type OperationOutcome,
  type Payment,
  type PaymentAdvance,
  type PaymentId,
  type PaymentNotFound,
  type PaymentObservation,
  type PaymentOperation,
  type PaymentOperationId,
  PaymentProviderError,
  type RefreshFailure,
  type RefundPayment,
  type VoidPayment,
} from "./contract.ts";
import { type Kit, moneyWork } from "./deps.ts";
import { createdEvent, letterEvent, operationRequestedEvent } from "./events.ts";
import { decideOperation } from "./payment.ts";
import { findPayment } from "./queries.ts";
import {
  claimPayment,
  findOperation,
  insertDeadLetters,
  insertOperation,
  insertPayments,
  type NewDeadLetter,
  type NewOperation,
  pendingOperations,
} from "./store.ts";

/** Kind of the job that pursues one payment until its outcome is known. */
export const settlePaymentJob = "payments.settle";

/** See `Payments.createPayments`. */
export function createPayments(
  { clock }: Pick<Kit, "clock">,
  tx: TenantTx,
  ctx: EventOrigin,
  payments: readonly AttributedPayment[],
): void {
  if (payments.length === 0) return;
  const now = clock();
  const attributed = payments.map(({ origin, ...payment }) => ({
    origin: origin ?? ctx.byStream?.(`payment:${payment.id}`) ?? ctx,
    payment,
  }));
  insertPayments(
    tx,
    attributed.map(({ origin, payment }) => ({ payment, createdAt: origin.occurredAt ?? now })),
  );
  writeEvents(
    tx,
    attributed.map(({ origin, payment }) => ({ origin, event: createdEvent(payment) })),
  );
}

/** See `Payments.capturePayment`. */
export function capturePayment(
  kit: Kit,
  ctx: Context,
  { paymentId, operationId, amountMinor }: CapturePayment,
): Promise<OperationResult> {
  return requestOperation(kit, ctx, { paymentId, id: operationId, kind: "capture", amountMinor });
}

/** See `Payments.voidPayment`. */
export function voidPayment(
  kit: Kit,
  ctx: Context,
  { paymentId, operationId }: VoidPayment,
): Promise<OperationResult> {
  const kind = "void";
  return requestOperation(kit, ctx, { paymentId, id: operationId, kind, amountMinor: undefined });
}

/** See `Payments.refundPayment`. */
export function refundPayment(
  kit: Kit,
  ctx: Context,
  { paymentId, operationId, amountMinor, basis, reason }: RefundPayment,
): Promise<OperationResult> {
  const details = { basis, ...(reason === undefined ? {} : { reason }) };
  return requestOperation(kit, ctx, {
    paymentId,
    id: operationId,
    kind: "refund",
    amountMinor,
    ...details,
  });
}

type OperationResult = Result<OperationOutcome, OperationFailure | IdempotencyFailure>;

type OperationCommand = Omit<NewOperation, "amountMinor"> & {
  readonly amountMinor: number | undefined;
};

/** Records the intent, commits, calls the provider, records what it said. */
async function requestOperation(
  kit: Kit,
  ctx: Context,
  command: OperationCommand,
): Promise<OperationResult> {
  const intended = await recordIntent(kit, ctx, command);
  if (!intended.ok) return intended;
  const { payment, operation } = intended.value;
  if (operation.status !== "pending") return outcomeOf(payment, operation);
  const pursued = await pursueOperation(kit, ctx, payment, operation);
  return outcomeOf(pursued.payment, pursued.operation);
}

function outcomeOf(
  payment: Payment,
  operation: PaymentOperation,
): Result<OperationOutcome, OperationFailure> {
  if (operation.status !== "failed") return ok({ payment, operation });
  return fail({ code: "payments.refused", failureCode: operation.failureCode ?? "refused" });
}

function recordIntent(kit: Kit, ctx: Context, command: OperationCommand): Promise<OperationResult> {
  const work = async (tx: TenantTx): Promise<OperationResult> => {
    const [payment, known, pending] = await Promise.all([
      claimPayment(tx, command.paymentId),
      findOperation(tx, command.id),
      pendingOperations(tx, [command.paymentId]),
    ]);
    if (known && !isSame(known, command)) {
      return fail({ code: "payments.id_reused", operationId: command.id });
    }
    if (!payment) return fail({ code: "payments.not_found", paymentId: command.paymentId });
    if (known) return ok({ payment, operation: known });
    const amount = decideOperation(payment, pending, command);
    if (!amount.ok) return amount;
    const now = kit.clock();
    const intent = { ...command, amountMinor: amount.value };
    const operation = await insertOperation(tx, intent, ctx.occurredAt ?? now);
    appendEvents(tx, ctx, [operationRequestedEvent(payment, operation)]);
    enqueueJobs(tx, ctx, [
      {
        kind: settlePaymentJob,
        payload: { paymentId: payment.id },
        runAt: new Date(now.getTime() + kit.bounds.graceMs),
        uniqueKey: `payment:${payment.id}`,
        attemptsMax: 50,
      },
    ]);
    await kit.reach("payments.before_intent");
    return ok({ payment, operation });
  };
  const options = { ...moneyWork, name: `payments.${command.kind}` };
  return kit.uow.transact(ctx, work, options);
}

function isSame(known: PaymentOperation, command: OperationCommand): boolean {
  return (
    known.paymentId === command.paymentId &&
    known.kind === command.kind &&
    known.basis === command.basis &&
    (command.amountMinor === undefined || known.amountMinor === command.amountMinor)
  );
}

/**
 * Calls the provider about a pending operation and records what it says. An answer that does not come
 * leaves it pending: its job and the sweeper go on.
 */
export async function pursueOperation(
  kit: Kit,
  ctx: Context,
  payment: Payment,
  operation: PaymentOperation,
): Promise<OperationOutcome & { readonly error?: PaymentProviderError }> {
  try {
    const observation = await operate(kit, ctx, payment, operation);
    return await recordOperation(kit, ctx, observation, operation);
  } catch (error) {
    if (!(error instanceof PaymentProviderError)) throw error;
    if (!error.retryable) await raiseLetters(kit, ctx, [misconfigured(payment, error)]);
    return { payment, operation, error };
  }
}

async function recordOperation(
  kit: Kit,
  ctx: Context,
  observation: PaymentObservation,
  operation: PaymentOperation,
): Promise<OperationOutcome> {
  return recordWith(kit, ctx, [observation], async (tx, [advance]) => {
    assert(advance && "after" in advance, "a recorded operation has a recorded payment");
    const after = await findOperation(tx, operation.id);
    assert(after, "an operation is never deleted");
    return { payment: advance.after, operation: after };
  });
}

/** Advances payments in a transaction of this module's own, and lets the order follow in it. */
export function recordWith<Value>(
  kit: Kit,
  ctx: Context,
  observations: readonly PaymentObservation[],
  then: (tx: TenantTx, advances: readonly PaymentAdvance[]) => Promise<Value>,
): Promise<Value> {
  const work = async (tx: TenantTx): Promise<Value> => {
    const advances = await advancePayments(kit, tx, ctx, observations);
    await kit.onAdvanced?.(tx, ctx, advances);
    const value = await then(tx, advances);
    await kit.reach("payments.before_record");
    return value;
  };
  return kit.db.commit(ctx.tenantId, work, { ...moneyWork, name: "payments.record" });
}

/** See `Payments.refreshPayment`. */
export async function refreshPayment(
  kit: Kit,
  ctx: Context,
  paymentId: PaymentId,
): Promise<Result<Payment, RefreshFailure>> {
  const payment = await kit.db.read(ctx.tenantId, (tx) => findPayment(tx, paymentId));
  if (!payment) return fail({ code: "payments.not_found", paymentId });
  try {
    const observation = await enquire(kit, ctx, payment);
    if (!observation) return ok(payment);
    return ok(await record(kit, ctx, payment, observation));
  } catch (error) {
    if (!(error instanceof PaymentProviderError)) throw error;
    return fail({ code: "payments.provider_unavailable", provider: payment.provider });
  }
}

function record(
  kit: Kit,
  ctx: Context,
  payment: Payment,
  observation: PaymentObservation,
): Promise<Payment> {
  return recordWith(kit, ctx, [observation], async (_, [advance]) =>
    advance && "after" in advance ? advance.after : payment,
  );
}

/** See `Payments.cancelPayment`. */
export async function cancelPayment(
  kit: Kit,
  ctx: Context,
  paymentId: PaymentId,
): Promise<Result<Payment, PaymentNotFound>> {
  const payment = await kit.db.read(ctx.tenantId, (tx) => findPayment(tx, paymentId));
  if (!payment) return fail({ code: "payments.not_found", paymentId });
  if (isOver(payment)) return ok(payment);
  // Moves no money, so it needs no recorded intent; the payment's own id is its key.
  const giveUp = { id: derivedId(paymentId, "void"), kind: "void", amountMinor: 0 } as const;
  const after = await record(kit, ctx, payment, await operate(kit, ctx, payment, giveUp));
  if (after.capturedMinor === after.refundedMinor) return ok(after);
  const refund = { paymentId, operationId: derivedId(paymentId, "refund"), basis: "cancellation" };
  // A step of its own under its own id: the caller's key stands for something larger.
  const { idempotency: _, ...own } = ctx;
  const refunded = await refundPayment(kit, own, refund as RefundPayment);
  if (refunded.ok) return ok(refunded.value.payment);
  // Somebody refunds it already, or the provider refuses to: the payment says how it stands.
  const now = await kit.db.read(ctx.tenantId, (tx) => findPayment(tx, paymentId));
  return ok(now ?? after);
}

/** Whether nothing can be charged under a payment's id any more, and nothing is left to give back. */
function isOver({ status }: Payment): boolean {
  return status === "failed" || status === "voided" || status === "refunded";
}

/** The id of a step that a payment has at most one of: whoever repeats it repeats the same. */
export function derivedId(paymentId: PaymentId, step: "void" | "refund"): PaymentOperationId {
  return v5(`cancel ${step}`, paymentId) as PaymentOperationId;
}

/** Tells a person, in a transaction of its own. */
export function raiseLetters(
  kit: Kit,
  ctx: Context,
  letters: readonly NewDeadLetter[],
): Promise<void> {
  const work = async (tx: TenantTx) => {
    insertDeadLetters(tx, letters);
    appendEvents(tx, ctx, letters.map(letterEvent));
  };
  return kit.db.commit(ctx.tenantId, work, { name: "payments.raise_dead_letter" });
}

/** A provider that refuses to talk to us as we are configured. */
export function misconfigured(payment: Payment, error: PaymentProviderError): NewDeadLetter {
  const detail = { provider: payment.provider, message: error.message };
  return { paymentId: payment.id, kind: "misconfigured", detail };
}
