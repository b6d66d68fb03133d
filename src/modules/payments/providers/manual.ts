import { fail } from "../../../kernel/result.ts";
import type { NewPayment, ProviderPayment } from "../contract.ts";
import type { ChargeRequest, OperationRequest, PaymentProvider } from "../provider.ts";

/**
 * Takes everything at once and in the process itself: for money that comes another way (bank
 * transfer, cash on delivery, imports) and for tests. It remembers nothing: what is recorded is the
 * truth, and repeating a call gives the same answer.
 */
export function createManualProvider(): PaymentProvider {
  return {
    name: "manual",
    authorise: async ({ payment }: ChargeRequest) => taken(payment, 0),
    charge: async ({ payment }: ChargeRequest) => taken(payment, payment.amountMinor),
    capture: async (request) => operated(request, "capture"),
    void: async (request) => operated(request, "void"),
    refund: async (request) => operated(request, "refund"),
    find: async () => undefined,
    parseWebhook: () => fail({ code: "payments.bad_signature" }),
  };
}

function taken(payment: NewPayment, capturedMinor: number): ProviderPayment {
  const { id, currency, amountMinor } = payment;
  return {
    paymentId: id,
    reference: `manual_${id}`,
    currency,
    authorisedMinor: amountMinor,
    capturedMinor,
    refundedMinor: 0,
    isVoided: false,
    operations: [],
  };
}

function operated(
  { payment, operationId, amountMinor }: OperationRequest,
  kind: "capture" | "void" | "refund",
): ProviderPayment {
  const { id, currency, authorisedMinor, capturedMinor, refundedMinor } = payment;
  return {
    paymentId: id,
    reference: `manual_${id}`,
    currency,
    authorisedMinor,
    capturedMinor: capturedMinor + (kind === "capture" ? amountMinor : 0),
    refundedMinor: refundedMinor + (kind === "refund" ? amountMinor : 0),
    keepsNoTotals: true,
    isVoided: payment.isVoided || (kind === "void" && capturedMinor < Math.max(1, authorisedMinor)),
    operations: [
      {
        key: operationId,
        kind,
        amountMinor,
        status: "succeeded",
        reference: `manual_${operationId}`,
      },
    ],
  };
}
