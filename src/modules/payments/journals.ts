import { newId } from "../../kernel/ids.ts";
import type { Payment, PaymentJournal, PaymentOperation, RefundBasis } from "./contract.ts";

/** Money taken: the provider owes us what the buyer owed. */
export function captureJournal(payment: Payment, amountMinor: number, now: Date): PaymentJournal {
  const { provider, currency } = payment;
  return {
    id: newId<"journal">(),
    kind: "payment.captured",
    description: `Captured by ${provider}`,
    reference: `order:${payment.orderId}`,
    occurredAt: now,
    entries: [
      { account: `provider:${provider}`, amountMinor, currency },
      { account: "receivable", amountMinor: -amountMinor, currency },
    ],
  };
}

const refundAccounts: Readonly<Record<RefundBasis, string>> = {
  return: "refunds_payable",
  cancellation: "receivable",
  goodwill: "sales_returns",
};

/** Money given back, from the account its basis names. */
export function refundJournal(
  payment: Payment,
  { amountMinor, basis }: { readonly amountMinor: number; readonly basis: RefundBasis },
  now: Date,
): PaymentJournal {
  const { provider, currency } = payment;
  return {
    id: newId<"journal">(),
    kind: "payment.refunded",
    description: `Refunded through ${provider} (${basis})`,
    reference: `order:${payment.orderId}`,
    occurredAt: now,
    entries: [
      { account: refundAccounts[basis], amountMinor, currency },
      { account: `provider:${provider}`, amountMinor: -amountMinor, currency },
    ],
  };
}

/**
 * Splits money given back over the refunds that explain it. What none of ours explains was given
 * back at the provider by somebody else and counts as goodwill.
 *
 * @param settled refunds that are known to have succeeded just now
 */
export function explainRefund(
  amountMinor: number,
  settled: readonly Pick<PaymentOperation, "amountMinor" | "basis">[],
): { readonly amountMinor: number; readonly basis: RefundBasis }[] {
  const parts: { amountMinor: number; basis: RefundBasis }[] = [];
  let rest = amountMinor;
  for (const refund of settled) {
    const part = Math.min(rest, refund.amountMinor);
    if (part > 0) parts.push({ amountMinor: part, basis: refund.basis ?? "goodwill" });
    rest -= part;
  }
  if (rest > 0) parts.push({ amountMinor: rest, basis: "goodwill" });
  return parts;
}
