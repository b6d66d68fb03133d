import type { Context } from "../../kernel/context.ts";
import type { Id } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import type { Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";

/** Names one intent to take money; made by the caller, idempotency key at the provider. */
export type PaymentId = Id<"payment">;
/** Names one capture, void or refund; made by the caller, idempotency key at the provider. */
export type PaymentOperationId = Id<"payment_operation">;
/** Names a payment problem that waits for a person. */
export type PaymentDeadLetterId = Id<"payment_dead_letter">;

/**
 * States in the order a payment can move through them; it never moves to an earlier one.
 *
 * `failed` stands before `authorised`: should a provider report money after it reported a refusal,
 * the money is the truth.
 */
export const paymentStatuses = [
  "created",
  "requires_action",
  "failed",
  "authorised",
  "voided",
  "partially_captured",
  "captured",
  "partially_refunded",
  "refunded",
] as const;

/** State of a payment: a function of its amounts and flags, never set by hand. */
export type PaymentStatus = (typeof paymentStatuses)[number];

/** `automatic` authorises and captures in one call; `manual` leaves the capture to a later command. */
export type CaptureMode = "automatic" | "manual";

/** What is known about the means of payment; never a card number. */
export interface Instrument {
  readonly brand: string;
  /** Last four digits. */
  readonly last4: string;
}

/** A payment as callers see it. */
export interface Payment {
  readonly id: PaymentId;
  readonly orderId: Id<"order">;
  /** Number of the try to pay the order, from 1. */
  readonly attempt: number;
  readonly provider: string;
  readonly captureMode: CaptureMode;
  readonly status: PaymentStatus;
  /** ISO 4217 code of every amount of this payment. */
  readonly currency: string;
  readonly amountMinor: number;
  readonly authorisedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  /** Whether the uncaptured rest of the authorisation was given up. */
  readonly isVoided: boolean;
  readonly instrument?: Instrument;
  readonly providerReference?: string;
  /** Provider's reason for a refusal: `card_declined`. */
  readonly failureCode?: string;
  /** Page of the provider where the buyer has to confirm (3-D Secure). */
  readonly nextActionUrl?: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Grows with every change, and with every capture, void or refund that is asked for. */
  readonly version: number;
}

/** An intent to take money, as the checkout records it and as the provider is asked. JSON-safe. */
export interface NewPayment {
  readonly id: PaymentId;
  readonly orderId: Id<"order">;
  /** Number of the try, 1 to 100; default 1. A second row for one order and try is a constraint error. */
  readonly attempt?: number;
  /** Name of a provider the module was built with: `simulator`, `manual`. */
  readonly provider: string;
  /** Minor units, 1 or more: an order that costs nothing has no payment. */
  readonly amountMinor: number;
  readonly currency: string;
  /** Default `automatic`. */
  readonly captureMode?: CaptureMode;
  /** Token of the provider's vault; absent where the provider needs none. */
  readonly instrumentToken?: string;
  /** Where the provider sends the buyer's browser after a confirmation page. */
  readonly returnUrl?: string;
}

/** An intent together with who caused it; default: the context of the call. */
export interface AttributedPayment extends NewPayment {
  readonly origin?: EventOrigin;
}

/** A capture, void or refund as the provider knows it. */
export interface ProviderOperation {
  /** The idempotency key it was sent with; the provider's own id if it was not ours. */
  readonly key: string;
  readonly kind: "capture" | "void" | "refund";
  readonly amountMinor: number;
  readonly status: "succeeded" | "failed";
  readonly reference: string;
  readonly failureCode?: string;
}

/**
 * What the provider says about one payment, as of one moment: running totals, not steps. Two of them
 * can be merged in either order, so late and repeated ones are harmless. JSON-safe.
 */
export interface ProviderPayment {
  readonly paymentId: PaymentId;
  readonly reference: string;
  readonly currency: string;
  readonly authorisedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly isVoided: boolean;
  readonly failureCode?: string;
  readonly nextActionUrl?: string;
  readonly instrument?: Instrument;
  readonly operations: readonly ProviderOperation[];
  /** True of a provider that remembers nothing: its operations count, its totals do not. */
  readonly keepsNoTotals?: boolean;
}

/** One call that was made to learn something, for timelines. */
export interface ProviderCall {
  readonly call: "charge" | "authorise" | "capture" | "void" | "refund" | "find" | "webhook";
  readonly outcome: "answered" | "not_found" | "timeout" | "unavailable";
  readonly elapsedMs: number;
}

/** What was learnt about a payment and how; handed to {@link Payments.advancePayments}. JSON-safe. */
export interface PaymentObservation {
  readonly snapshot: ProviderPayment;
  readonly calls: readonly ProviderCall[];
  /** Correlates the events of this observation; default: the context of the call. */
  readonly origin?: EventOrigin;
}

/** What one observation did. */
export type PaymentAdvance =
  | {
      readonly outcome: "advanced" | "unchanged";
      readonly before: Payment;
      readonly after: Payment;
    }
  /** The provider knows a payment of ours that we do not: raised as a dead letter. */
  | { readonly outcome: "unknown_payment"; readonly paymentId: PaymentId };

/** A capture, void or refund as callers see it. */
export interface PaymentOperation {
  readonly id: PaymentOperationId;
  readonly paymentId: PaymentId;
  readonly kind: "capture" | "void" | "refund";
  readonly amountMinor: number;
  readonly status: "pending" | "succeeded" | "failed";
  readonly basis?: RefundBasis;
  readonly reason?: string;
  readonly failureCode?: string;
  readonly requestedAt: Date;
  readonly settledAt?: Date;
}

/**
 * Which account a refund is paid from. `return`: `refunds_payable`, where the return's own posting put
 * it; `cancellation`: `receivable`, because reversing the order left the buyer in credit;
 * `goodwill`: `sales_returns`, because nothing was posted before.
 */
export type RefundBasis = "return" | "cancellation" | "goodwill";

/** One balanced journal for the ledger: entries sum to zero. */
export interface PaymentJournal {
  readonly id: Id<"journal">;
  readonly kind: "payment.captured" | "payment.refunded";
  readonly description: string;
  /** `order:<uuid>`. */
  readonly reference: string;
  readonly occurredAt: Date;
  /** Debits are positive, credits negative, minor units. Accounts: `provider:<name>`, `receivable` … */
  readonly entries: readonly {
    readonly account: string;
    readonly amountMinor: number;
    readonly currency: string;
  }[];
}

/** Something a person has to look at. */
export interface PaymentDeadLetter {
  readonly id: PaymentDeadLetterId;
  readonly paymentId: PaymentId;
  readonly kind:
    | "unknown_payment"
    | "contradiction"
    | "event_mismatch"
    | "unresolved"
    | "misconfigured";
  readonly detail: Readonly<Record<string, unknown>>;
  readonly raisedAt: Date;
  readonly retries: number;
  readonly resolvedAt?: Date;
  readonly resolution?: string;
}

/** Asks to capture money of an authorised payment. */
export interface CapturePayment {
  readonly paymentId: PaymentId;
  readonly operationId: PaymentOperationId;
  /** Minor units; default: all that is authorised and not captured. */
  readonly amountMinor?: number;
}

/** Asks to give back captured money. */
export interface RefundPayment {
  readonly paymentId: PaymentId;
  readonly operationId: PaymentOperationId;
  /** Minor units; default: all that is captured and not refunded. */
  readonly amountMinor?: number;
  readonly basis: RefundBasis;
  readonly reason?: string;
}

/** Asks to give up what is authorised and not captured. */
export interface VoidPayment {
  readonly paymentId: PaymentId;
  readonly operationId: PaymentOperationId;
}

/** Which payments to list. */
export interface ListPayments {
  readonly orderId?: Id<"order">;
  readonly status?: PaymentStatus;
  /** 1 to 100. */
  readonly limit: number;
  /** Id of the last payment of the page before. */
  readonly before?: PaymentId;
}

/** A payment with its captures, voids and refunds, oldest first. */
export interface PaymentDetail {
  readonly payment: Payment;
  readonly operations: readonly PaymentOperation[];
}

/** Where a command on a payment stands: `pending` means the provider's answer is not known yet. */
export interface OperationOutcome {
  readonly payment: Payment;
  readonly operation: PaymentOperation;
}

/** A notice of a provider as it arrived. */
export interface IncomingWebhook {
  readonly provider: string;
  readonly body: Uint8Array;
  readonly header: (name: string) => string | undefined;
}

/** What one sweep found. */
export interface SweepReport {
  readonly asked: number;
  readonly advanced: number;
  readonly resent: number;
  readonly abandoned: number;
  readonly failed: number;
}

export type PaymentNotFound = {
  readonly code: "payments.not_found";
  readonly paymentId: PaymentId;
};
export type OperationFailure =
  | PaymentNotFound
  | {
      readonly code: "payments.wrong_state";
      readonly status: PaymentStatus;
      readonly kind: PaymentOperation["kind"];
    }
  | { readonly code: "payments.bad_amount" }
  | { readonly code: "payments.amount_exceeded"; readonly availableMinor: number }
  | { readonly code: "payments.id_reused"; readonly operationId: PaymentOperationId }
  | { readonly code: "payments.refused"; readonly failureCode: string };
export type RefreshFailure =
  | PaymentNotFound
  | { readonly code: "payments.provider_unavailable"; readonly provider: string };
export type WebhookFailure =
  | { readonly code: "payments.unknown_provider"; readonly provider: string }
  | { readonly code: "payments.bad_signature" }
  | { readonly code: "payments.webhook_too_large" }
  | { readonly code: "payments.bad_webhook"; readonly reason: string };
export type DeadLetterFailure =
  | { readonly code: "payments.dead_letter_not_found"; readonly id: PaymentDeadLetterId }
  | { readonly code: "payments.provider_unavailable"; readonly provider: string }
  | { readonly code: "payments.still_unresolved"; readonly kind: PaymentDeadLetter["kind"] };

/** Everything this module refuses with. */
export type PaymentFailure = OperationFailure | RefreshFailure | WebhookFailure | DeadLetterFailure;

/** HTTP status of each refusal. */
export const paymentFailureStatuses: FailureStatuses<PaymentFailure> = {
  "payments.not_found": 404,
  "payments.wrong_state": 409,
  "payments.bad_amount": 422,
  "payments.amount_exceeded": 422,
  "payments.id_reused": 409,
  "payments.refused": 402,
  "payments.provider_unavailable": 503,
  "payments.unknown_provider": 404,
  "payments.bad_signature": 403,
  "payments.bad_webhook": 400,
  "payments.webhook_too_large": 413,
  "payments.dead_letter_not_found": 404,
  "payments.still_unresolved": 409,
};

/** Codes of operational errors of a provider. */
export type PaymentProviderErrorCode =
  | "ERR_PAYMENT_OUTCOME_UNKNOWN"
  | "ERR_PAYMENT_PROVIDER_UNAVAILABLE"
  | "ERR_PAYMENT_PROVIDER_MISCONFIGURED";

/**
 * The provider could not be asked, or nobody knows what it did. A refusal of the card is no error but
 * a snapshot with a failure code.
 */
export class PaymentProviderError extends Error {
  override readonly name = "PaymentProviderError";
  readonly code: PaymentProviderErrorCode;
  /** Whether trying again later, with the same ids, can succeed. */
  readonly retryable: boolean;

  constructor(code: PaymentProviderErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.retryable = code !== "ERR_PAYMENT_PROVIDER_MISCONFIGURED";
  }
}

/** A payment whose outcome is known before it is recorded: its provider settles in this process. */
export interface SettledPayment {
  readonly payment: NewPayment;
  readonly observation: PaymentObservation;
  readonly origin: EventOrigin;
}

/** A payment that was recorded with its outcome. */
export interface SettledRecord {
  readonly payment: Payment;
  /** What was captured: the caller posts it, alone or joined with what it paid for. */
  readonly journals: readonly PaymentJournal[];
}

/** What the rest of the system may ask of payments. */
export interface Payments {
  /**
   * Records intents in the caller's transaction, one statement for any number; nothing is charged yet.
   * Those whose origin stands for an earlier moment (imports) are dated with it.
   * A second intent for the same order and attempt fails the transaction (ERR_DB_CONSTRAINT).
   */
  createPayments(tx: TenantTx, ctx: EventOrigin, payments: readonly AttributedPayment[]): void;
  /**
   * Asks the provider to take the money of a recorded intent. Call it outside any transaction, after
   * the intent is committed. Safe to repeat: the id is the idempotency key. A timeout is resolved by
   * asking the provider; a refused card is an observation with a failure code.
   *
   * @throws PaymentProviderError retryable when the outcome is still unknown: call again later
   */
  charge(ctx: Context, payment: NewPayment): Promise<PaymentObservation>;
  /**
   * Makes sure that no request with this payment's id can charge any more, and gives back what was
   * charged: the undo of {@link charge}. Runs its own transactions; safe to repeat.
   *
   * @throws PaymentProviderError retryable when the provider cannot be asked: call again later
   */
  cancelPayment(ctx: Context, paymentId: PaymentId): Promise<Result<Payment, PaymentNotFound>>;
  /**
   * Records payments together with their outcome: intent and events at once, one insert for any
   * number. For providers that settle without a call to anywhere. The journals are the caller's to
   * post in the same transaction.
   *
   * @returns the payments as they stand, in order
   */
  recordSettled(tx: TenantTx, settled: readonly SettledPayment[]): readonly SettledRecord[];
  /**
   * Merges observations into their payments under the payments' row locks, posts the journals and
   * appends the events: the one way a payment changes, whoever learnt it. Rows are locked in order
   * of id; the number of statements does not depend on the number of observations.
   *
   * @returns one outcome per observation, in order
   */
  advancePayments(
    tx: TenantTx,
    ctx: EventOrigin,
    observations: readonly PaymentObservation[],
  ): Promise<readonly PaymentAdvance[]>;
  /** Captures money of an authorised payment. Repeating it with the same operation id is the same command. */
  capturePayment(
    ctx: Context,
    input: CapturePayment,
  ): Promise<Result<OperationOutcome, OperationFailure | IdempotencyFailure>>;
  /** Gives up the uncaptured rest of an authorisation. */
  voidPayment(
    ctx: Context,
    input: VoidPayment,
  ): Promise<Result<OperationOutcome, OperationFailure | IdempotencyFailure>>;
  /** Gives captured money back, in part or in full. Repeating it with the same operation id is the same refund. */
  refundPayment(
    ctx: Context,
    input: RefundPayment,
  ): Promise<Result<OperationOutcome, OperationFailure | IdempotencyFailure>>;
  /** Asks the provider how a payment stands and advances it: for the page the buyer returns to. */
  refreshPayment(ctx: Context, paymentId: PaymentId): Promise<Result<Payment, RefreshFailure>>;
  /** Accepts a signed notice of a provider, once. */
  receiveWebhook(
    ctx: Context,
    webhook: IncomingWebhook,
  ): Promise<Result<{ readonly isDuplicate: boolean }, WebhookFailure>>;
  /**
   * Asks the provider about every payment and operation of the tenant that has waited longer than the
   * grace time, sends again what it never received, and gives up intents nobody pursues.
   *
   * @param limit payments looked at, at most
   */
  resolveUnknownPayments(ctx: Context, limit: number): Promise<SweepReport>;
  /**
   * Settles one payment: asks about it if it waits, and goes on with its pending operations.
   *
   * @throws PaymentProviderError while something is still unknown: call again later
   */
  settlePayment(ctx: Context, paymentId: PaymentId): Promise<void>;
  /**
   * Settles one payment: asks about it if it waits, and goes on with its pending operations.
   *
   * @throws PaymentProviderError while something is still unknown: call again later
   */
  settlePayment(ctx: Context, paymentId: PaymentId): Promise<void>;
  getPayment(ctx: Context, id: PaymentId): Promise<Result<PaymentDetail, PaymentNotFound>>;
  /** Newest first. */
  listPayments(ctx: Context, filter: ListPayments): Promise<Page<Payment>>;
  /** Open ones, newest first; limit 1 to 100. */
  listDeadLetters(
    ctx: Context,
    filter: { readonly limit: number; readonly before?: PaymentDeadLetterId },
  ): Promise<Page<PaymentDeadLetter>>;
  /** Asks the provider again about the payment of a dead letter; resolves the letter if that settles it. */
  retryDeadLetter(
    ctx: Context,
    id: PaymentDeadLetterId,
  ): Promise<Result<PaymentDeadLetter, DeadLetterFailure>>;
  /** Closes a dead letter by a person's decision. */
  resolveDeadLetter(
    ctx: Context,
    id: PaymentDeadLetterId,
    resolution: string,
  ): Promise<Result<PaymentDeadLetter, DeadLetterFailure | IdempotencyFailure>>;
}
