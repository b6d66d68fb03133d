import type { Behaviour } from "./cards.ts";

/** A capture, void or refund that was asked for. */
export interface BankOperation {
  readonly key: string;
  readonly kind: "capture" | "void" | "refund";
  readonly amountMinor: number;
  readonly status: "succeeded" | "failed";
  readonly reference: string;
  readonly failureCode?: string;
}

/** A payment at the bank: running totals in minor units. */
export interface BankPayment {
  readonly account: string;
  /** The merchant's id, which is the idempotency key. */
  readonly paymentId: string;
  readonly reference: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly captureMode: "automatic" | "manual";
  readonly authorisedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly isVoided: boolean;
  readonly isWaiting: boolean;
  readonly failureCode?: string;
  readonly nextActionUrl?: string;
  readonly returnUrl?: string;
  readonly behaviour: Behaviour;
  readonly instrument?: { readonly brand: string; readonly last4: string };
  readonly operations: readonly BankOperation[];
}

/** Money that moved, or was refused to. */
export interface Movement {
  readonly type:
    | "authorised"
    | "captured"
    | "refunded"
    | "released"
    | "declined"
    | "refused"
    | "waiting";
  readonly amountMinor: number;
}

/** What a request came to: the payment after it, and what moved; nothing moved for a repeated one. */
export interface Decision {
  readonly payment: BankPayment;
  readonly movements: readonly Movement[];
}

/** A request the bank cannot take as it stands. */
export interface Refusal {
  readonly status: 404 | 409 | 422;
  readonly code: string;
}

/** Asks for money. */
export interface Charge {
  readonly account: string;
  readonly paymentId: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly captureMode: "automatic" | "manual";
  readonly returnUrl?: string;
}

/** What the bank adds to a charge. */
export interface ChargeTerms {
  readonly reference: string;
  readonly behaviour: Behaviour;
  readonly instrument: { readonly brand: string; readonly last4: string };
  /** Refuse whatever the card says. */
  readonly isDeclined: boolean;
  readonly confirmationUrl: string;
}

/** Decides a charge. A key that was used before answers with the payment as it stands. */
export function decideCharge(
  before: BankPayment | undefined,
  charge: Charge,
  terms: ChargeTerms,
): Decision | Refusal {
  if (before) return sameCharge(before, charge);
  const fresh: BankPayment = {
    ...charge,
    reference: terms.reference,
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    isWaiting: false,
    behaviour: terms.behaviour,
    instrument: terms.instrument,
    operations: [],
  };
  const code = declineCode(terms);
  if (code) return declined(fresh, code);
  if (terms.behaviour !== "confirmation") return taken(fresh);
  return {
    payment: { ...fresh, isWaiting: true, nextActionUrl: terms.confirmationUrl },
    movements: [{ type: "waiting", amountMinor: charge.amountMinor }],
  };
}

function sameCharge(before: BankPayment, charge: Charge): Decision | Refusal {
  // A key that was given up before its charge arrived knows no amount: it refuses all of them.
  const isTombstone = before.amountMinor === 0;
  const isSame =
    before.amountMinor === charge.amountMinor &&
    before.currency === charge.currency &&
    before.captureMode === charge.captureMode;
  if (!isSame && !isTombstone) return { status: 422, code: "key_reused" };
  return { payment: before, movements: [] };
}

function declineCode(terms: ChargeTerms): string | undefined {
  if (terms.behaviour === "insufficient_funds") return "insufficient_funds";
  if (terms.behaviour === "card_declined" || terms.isDeclined) return "card_declined";
  return undefined;
}

function declined(payment: BankPayment, failureCode: string): Decision {
  return {
    payment: { ...withoutAction(payment), failureCode },
    movements: [{ type: "declined", amountMinor: payment.amountMinor }],
  };
}

function taken(payment: BankPayment): Decision {
  const { amountMinor } = payment;
  const isCaptured = payment.captureMode === "automatic";
  const authorised: Movement = { type: "authorised", amountMinor };
  return {
    payment: {
      ...withoutAction(payment),
      authorisedMinor: amountMinor,
      capturedMinor: isCaptured ? amountMinor : 0,
    },
    movements: isCaptured ? [authorised, { type: "captured", amountMinor }] : [authorised],
  };
}

function withoutAction({ nextActionUrl: _, ...payment }: BankPayment): BankPayment {
  return { ...payment, isWaiting: false };
}

/** Decides what the buyer answered on the bank's page; a second answer changes nothing. */
export function decideConfirmation(payment: BankPayment, isApproved: boolean): Decision {
  if (!payment.isWaiting) return { payment, movements: [] };
  return isApproved ? taken(payment) : declined(payment, "confirmation_refused");
}

/** Asks for a capture, void or refund. */
export interface OperationRequest {
  readonly kind: BankOperation["kind"];
  readonly key: string;
  readonly amountMinor: number;
  readonly reference: string;
}

/** Decides a capture, void or refund. A refused one is remembered under its key as well. */
export function decideOperation(
  payment: BankPayment,
  request: OperationRequest,
): Decision | Refusal {
  const known = payment.operations.find((operation) => operation.key === request.key);
  if (known) {
    const isSame = known.kind === request.kind && known.amountMinor === request.amountMinor;
    return isSame ? { payment, movements: [] } : { status: 422, code: "key_reused" };
  }
  const failureCode = refusalOf(payment, request);
  const { kind, key, amountMinor, reference } = request;
  const status = failureCode ? "failed" : "succeeded";
  const operation = { key, kind, amountMinor, status, reference } as const;
  if (failureCode) {
    const operations = [...payment.operations, { ...operation, failureCode }];
    return {
      payment: { ...payment, operations },
      movements: [{ type: "refused", amountMinor }],
    };
  }
  return moved({ ...payment, operations: [...payment.operations, operation] }, request);
}

function refusalOf(payment: BankPayment, request: OperationRequest): string | undefined {
  const open = payment.isVoided ? 0 : payment.authorisedMinor - payment.capturedMinor;
  const held = payment.capturedMinor - payment.refundedMinor;
  switch (request.kind) {
    case "capture":
      if (payment.refundedMinor > 0) return "already_refunded";
      return request.amountMinor <= open ? undefined : "amount_too_large";
    case "refund":
      if (payment.behaviour === "refund_refused") return "refund_refused";
      return request.amountMinor <= held ? undefined : "amount_too_large";
    case "void":
      return payment.authorisedMinor > 0 && open === 0 && !payment.isVoided
        ? "nothing_to_void"
        : undefined;
  }
}

function moved(payment: BankPayment, { kind, amountMinor }: OperationRequest): Decision {
  if (kind === "capture") {
    const capturedMinor = payment.capturedMinor + amountMinor;
    return {
      payment: { ...payment, capturedMinor },
      movements: [{ type: "captured", amountMinor }],
    };
  }
  if (kind === "refund") {
    const refundedMinor = payment.refundedMinor + amountMinor;
    return {
      payment: { ...payment, refundedMinor },
      movements: [{ type: "refunded", amountMinor }],
    };
  }
  const released = payment.isVoided ? 0 : payment.authorisedMinor - payment.capturedMinor;
  // A declined key charges nothing any more as it is.
  const isVoided = payment.failureCode === undefined;
  return {
    payment: { ...withoutAction(payment), isVoided },
    movements: [{ type: "released", amountMinor: released }],
  };
}

/** What stands for a key that is given up before the bank ever saw its charge. */
export function tombstone(account: string, paymentId: string, reference: string): BankPayment {
  return {
    account,
    paymentId,
    reference,
    amountMinor: 0,
    currency: "XXX",
    captureMode: "automatic",
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    isWaiting: false,
    behaviour: "approved",
    operations: [],
  };
}

/** Whether a decision is a refusal of the request itself. */
export function isRefusal(decision: Decision | Refusal): decision is Refusal {
  return "code" in decision;
}
