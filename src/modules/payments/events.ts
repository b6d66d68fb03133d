import { unreachable } from "../../kernel/assert.ts";
import type { NewEvent } from "../../platform/events/events.ts";
import type { NewPayment, Payment, PaymentOperation, ProviderCall } from "./contract.ts";
import type { PaymentEvents } from "./contract-events.ts";
import type { PaymentStep } from "./payment.ts";
import type { NewDeadLetter } from "./store.ts";

function event<Type extends keyof PaymentEvents>(
  paymentId: string,
  type: Type,
  data: PaymentEvents[Type],
): NewEvent<PaymentEvents[Type]> {
  return { type, version: 1, stream: `payment:${paymentId}`, data };
}

function factsOf({ id, orderId, provider, currency }: Payment | NewPayment) {
  return { paymentId: id, orderId, provider, currency };
}

/** An intent was recorded. */
export function createdEvent(payment: NewPayment): NewEvent {
  const { amountMinor } = payment;
  return event(payment.id, "payments.payment_created", { ...factsOf(payment), amountMinor });
}

/** A payment took a step. */
export function stepEvent(
  payment: Payment,
  step: PaymentStep,
  calls: readonly ProviderCall[],
): NewEvent {
  const { id } = payment;
  const facts = factsOf(payment);
  switch (step.step) {
    case "action_required":
      return event(id, "payments.action_required", {
        ...facts,
        nextActionUrl: step.nextActionUrl,
      });
    case "failed":
      return event(id, "payments.payment_failed", { ...facts, failureCode: step.failureCode });
    case "authorised":
      return event(id, "payments.payment_authorised", {
        ...facts,
        authorisedMinor: payment.authorisedMinor,
      });
    case "captured":
      return event(id, "payments.payment_captured", {
        ...facts,
        amountMinor: step.amountMinor,
        capturedMinor: payment.capturedMinor,
        calls,
      });
    case "voided":
      return event(id, "payments.payment_voided", { ...facts, releasedMinor: step.releasedMinor });
    case "refunded":
      return event(id, "payments.payment_refunded", {
        ...facts,
        amountMinor: step.amountMinor,
        refundedMinor: payment.refundedMinor,
      });
    default:
      return unreachable(step);
  }
}

/** A capture, void or refund was asked for. */
export function operationRequestedEvent(payment: Payment, operation: PaymentOperation): NewEvent {
  const { id: operationId, kind, amountMinor } = operation;
  const facts = factsOf(payment);
  return event(payment.id, "payments.operation_requested", {
    ...facts,
    operationId,
    kind,
    amountMinor,
  });
}

/** The provider refused a capture, void or refund. */
export function operationFailedEvent(payment: Payment, operation: PaymentOperation): NewEvent {
  const { id: operationId, kind, failureCode = "" } = operation;
  const facts = factsOf(payment);
  return event(payment.id, "payments.operation_failed", {
    ...facts,
    operationId,
    kind,
    failureCode,
  });
}

/** A person has to look at a payment. */
export function letterEvent({ paymentId, kind }: NewDeadLetter): NewEvent {
  return event(paymentId, "payments.dead_letter_raised", { paymentId, kind });
}
