import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  OperationFailure,
  Payment,
  PaymentDeadLetter,
  PaymentOperation,
  PaymentStatus,
  ProviderPayment,
} from "./contract.ts";
import { paymentStatuses } from "./contract.ts";

/** What decides a payment's state. */
export type PaymentFigures = Pick<
  Payment,
  | "authorisedMinor"
  | "capturedMinor"
  | "refundedMinor"
  | "isVoided"
  | "failureCode"
  | "nextActionUrl"
>;

/** The state that a payment's figures amount to. */
export function statusOf(figures: PaymentFigures): PaymentStatus {
  const { authorisedMinor, capturedMinor, refundedMinor, isVoided } = figures;
  if (capturedMinor > 0) {
    if (refundedMinor === capturedMinor) return "refunded";
    if (refundedMinor > 0) return "partially_refunded";
    return capturedMinor === authorisedMinor || isVoided ? "captured" : "partially_captured";
  }
  if (isVoided) return "voided";
  if (authorisedMinor > 0) return "authorised";
  if (figures.failureCode !== undefined) return "failed";
  return figures.nextActionUrl === undefined ? "created" : "requires_action";
}

/** Place of a state in the order payments move through. */
export function rankOf(status: PaymentStatus): number {
  return paymentStatuses.indexOf(status);
}

/** One step a payment took. Amounts are what the step added, minor units. */
export type PaymentStep =
  | { readonly step: "action_required"; readonly nextActionUrl: string }
  | { readonly step: "failed"; readonly failureCode: string }
  | { readonly step: "authorised"; readonly amountMinor: number }
  | { readonly step: "captured"; readonly amountMinor: number }
  | { readonly step: "voided"; readonly releasedMinor: number }
  | { readonly step: "refunded"; readonly amountMinor: number };

/** A payment after an observation. */
export interface Merged {
  readonly payment: Payment;
  /** Whether anything changed; then the version has grown by one. */
  readonly isChanged: boolean;
  readonly steps: readonly PaymentStep[];
  /** What a person has to look at. */
  readonly trouble?: {
    readonly kind: PaymentDeadLetter["kind"];
    readonly detail: Readonly<Record<string, unknown>>;
  };
}

/**
 * Merges what the provider says into what is recorded: the larger of each running total, and the flags
 * of both. The order and the number of observations make no difference, and nothing ever goes
 * back. An observation that cannot be true changes nothing and is reported.
 */
export function merge(before: Payment, seen: ProviderPayment, now: Date): Merged {
  const impossible = impossibilityOf(before, seen);
  if (impossible) {
    const detail = { reason: impossible, snapshot: seen };
    return {
      payment: before,
      isChanged: false,
      steps: [],
      trouble: { kind: "contradiction", detail },
    };
  }
  const figures = mergeFigures(before, seen);
  const { nextActionUrl, failureCode, ...amounts } = figures;
  const status = statusOf(figures);
  const { nextActionUrl: _, ...kept } = before;
  const known = {
    ...kept,
    ...amounts,
    status,
    ...(failureCode === undefined ? {} : { failureCode }),
    // A confirmation page is of use only while somebody has to confirm.
    ...(status === "requires_action" && nextActionUrl !== undefined ? { nextActionUrl } : {}),
    ...(before.instrument || !seen.instrument ? {} : { instrument: seen.instrument }),
    ...(before.providerReference ? {} : { providerReference: seen.reference }),
  };
  if (!isDifferent(before, known)) return { payment: before, isChanged: false, steps: [] };
  const after: Payment = { ...known, version: before.version + 1, updatedAt: now };
  return {
    payment: after,
    isChanged: true,
    steps: stepsBetween(before, after),
    ...lateMoney(before, after),
  };
}

function mergeFigures(before: Payment, seen: ProviderPayment): PaymentFigures {
  const failureCode = before.failureCode ?? seen.failureCode;
  const nextActionUrl = before.nextActionUrl ?? seen.nextActionUrl;
  return {
    authorisedMinor: Math.max(before.authorisedMinor, seen.authorisedMinor),
    capturedMinor: Math.max(before.capturedMinor, seen.capturedMinor),
    refundedMinor: Math.max(before.refundedMinor, seen.refundedMinor),
    isVoided: before.isVoided || seen.isVoided,
    ...(failureCode === undefined ? {} : { failureCode }),
    ...(nextActionUrl === undefined ? {} : { nextActionUrl }),
  };
}

function impossibilityOf(before: Payment, seen: ProviderPayment): string | undefined {
  const amounts = [seen.authorisedMinor, seen.capturedMinor, seen.refundedMinor];
  if (amounts.some((amount) => !Number.isSafeInteger(amount) || amount < 0)) return "bad_amount";
  if (seen.paymentId !== before.id) return "other_payment";
  if (amounts.some((amount) => amount > 0) && seen.currency !== before.currency) {
    return "other_currency";
  }
  if (seen.authorisedMinor > before.amountMinor) return "authorised_too_much";
  if (seen.capturedMinor > seen.authorisedMinor) return "captured_too_much";
  if (seen.refundedMinor > seen.capturedMinor) return "refunded_too_much";
  return undefined;
}

function isDifferent(before: Payment, after: Omit<Payment, "version" | "updatedAt">): boolean {
  return (
    before.status !== after.status ||
    before.authorisedMinor !== after.authorisedMinor ||
    before.capturedMinor !== after.capturedMinor ||
    before.refundedMinor !== after.refundedMinor ||
    before.isVoided !== after.isVoided ||
    before.failureCode !== after.failureCode ||
    before.nextActionUrl !== after.nextActionUrl ||
    before.instrument !== after.instrument ||
    before.providerReference !== after.providerReference
  );
}

function stepsBetween(before: Payment, after: Payment): PaymentStep[] {
  const steps: PaymentStep[] = [];
  const authorised = after.authorisedMinor - before.authorisedMinor;
  const captured = after.capturedMinor - before.capturedMinor;
  const refunded = after.refundedMinor - before.refundedMinor;
  if (after.status === "requires_action" && before.status !== "requires_action") {
    steps.push({ step: "action_required", nextActionUrl: after.nextActionUrl ?? "" });
  }
  if (after.status === "failed" && before.status !== "failed") {
    steps.push({ step: "failed", failureCode: after.failureCode ?? "" });
  }
  // Taken at once: the capture tells it all.
  if (authorised > captured) steps.push({ step: "authorised", amountMinor: authorised });
  if (captured > 0) steps.push({ step: "captured", amountMinor: captured });
  if (after.isVoided && !before.isVoided) {
    const releasedMinor = after.authorisedMinor - after.capturedMinor;
    steps.push({ step: "voided", releasedMinor });
  }
  if (refunded > 0) steps.push({ step: "refunded", amountMinor: refunded });
  return steps;
}

/** Money that came after the payment had been reported as failed or given up. */
function lateMoney(before: Payment, after: Payment): Pick<Merged, "trouble"> {
  const isOver = before.status === "failed" || before.status === "voided";
  if (!isOver || after.capturedMinor === before.capturedMinor) return {};
  const detail = { reason: "captured_after_the_end", was: before.status };
  return { trouble: { kind: "contradiction", detail } };
}

/** Asks for a capture, void or refund of a locked payment. */
export interface OperationIntent {
  readonly kind: PaymentOperation["kind"];
  /** Minor units; undefined takes all there is. Ignored for a void. */
  readonly amountMinor: number | undefined;
}

/**
 * Decides whether a capture, void or refund may be asked of the provider, and for how much.
 *
 * @param pending operations of the payment whose outcome is not known yet: their amounts are taken
 * @returns minor units; 0 for a void
 */
export function decideOperation(
  payment: Payment,
  pending: readonly PaymentOperation[],
  { kind, amountMinor }: OperationIntent,
): Result<number, OperationFailure> {
  const wrongState = fail({ code: "payments.wrong_state", status: payment.status, kind } as const);
  if (!isAllowed(payment.status, kind)) return wrongState;
  if (kind === "void") return pending.length > 0 || payment.isVoided ? wrongState : ok(0);
  const isGivenUp = payment.isVoided || pending.some((operation) => operation.kind === "void");
  if (kind === "capture" && isGivenUp) return wrongState;
  const taken = pending
    .filter((operation) => operation.kind === kind)
    .reduce((sum, operation) => sum + operation.amountMinor, 0);
  const whole =
    kind === "capture"
      ? payment.authorisedMinor - payment.capturedMinor
      : payment.capturedMinor - payment.refundedMinor;
  const availableMinor = whole - taken;
  const wanted = amountMinor ?? availableMinor;
  if (!Number.isSafeInteger(wanted) || wanted < 0) return fail({ code: "payments.bad_amount" });
  if (wanted === 0 && amountMinor === 0) return fail({ code: "payments.bad_amount" });
  if (wanted === 0) return wrongState;
  if (wanted > availableMinor) return fail({ code: "payments.amount_exceeded", availableMinor });
  return ok(wanted);
}

const allowed: Readonly<Record<PaymentOperation["kind"], readonly PaymentStatus[]>> = {
  capture: ["authorised", "partially_captured"],
  void: ["authorised", "partially_captured"],
  // A refund of a partial capture first needs the rest captured or given up.
  refund: ["captured", "partially_refunded"],
};

function isAllowed(status: PaymentStatus, kind: PaymentOperation["kind"]): boolean {
  return allowed[kind].includes(status);
}
