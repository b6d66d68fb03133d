import type { Id } from "../../kernel/ids.ts";
import type {
  CaptureMode,
  Payment,
  PaymentDeadLetter,
  PaymentDeadLetterId,
  PaymentId,
  PaymentOperation,
  PaymentOperationId,
  PaymentStatus,
  RefundBasis,
} from "./contract.ts";

/** A row of `payments`. */
export interface PaymentRow {
  readonly id: PaymentId;
  readonly order_id: Id<"order">;
  readonly attempt: number;
  readonly provider: string;
  readonly capture_mode: CaptureMode;
  readonly status: PaymentStatus;
  readonly currency: string;
  readonly amount_minor: number;
  readonly authorised_minor: number;
  readonly captured_minor: number;
  readonly refunded_minor: number;
  readonly is_voided: boolean;
  readonly instrument_brand: string | null;
  readonly instrument_last4: string | null;
  readonly provider_reference: string | null;
  readonly failure_code: string | null;
  readonly next_action_url: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly version: number;
}

/** Reads a row of `payments`. */
export function toPayment(row: PaymentRow): Payment {
  const instrument =
    row.instrument_brand !== null && row.instrument_last4 !== null
      ? { instrument: { brand: row.instrument_brand, last4: row.instrument_last4 } }
      : {};
  return {
    id: row.id,
    orderId: row.order_id,
    attempt: row.attempt,
    provider: row.provider,
    captureMode: row.capture_mode,
    status: row.status,
    currency: row.currency,
    amountMinor: row.amount_minor,
    authorisedMinor: row.authorised_minor,
    capturedMinor: row.captured_minor,
    refundedMinor: row.refunded_minor,
    isVoided: row.is_voided,
    ...instrument,
    ...(row.provider_reference === null ? {} : { providerReference: row.provider_reference }),
    ...(row.failure_code === null ? {} : { failureCode: row.failure_code }),
    ...(row.next_action_url === null ? {} : { nextActionUrl: row.next_action_url }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  };
}

/** A row of `payment_operations`. */
export interface OperationRow {
  readonly id: PaymentOperationId;
  readonly payment_id: PaymentId;
  readonly kind: PaymentOperation["kind"];
  readonly amount_minor: number;
  readonly status: PaymentOperation["status"];
  readonly basis: RefundBasis | null;
  readonly reason: string | null;
  readonly failure_code: string | null;
  readonly requested_at: Date;
  readonly settled_at: Date | null;
}

/** Reads a row of `payment_operations`. */
export function toOperation(row: OperationRow): PaymentOperation {
  return {
    id: row.id,
    paymentId: row.payment_id,
    kind: row.kind,
    amountMinor: row.amount_minor,
    status: row.status,
    ...(row.basis === null ? {} : { basis: row.basis }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.failure_code === null ? {} : { failureCode: row.failure_code }),
    requestedAt: row.requested_at,
    ...(row.settled_at === null ? {} : { settledAt: row.settled_at }),
  };
}

/** A row of `payment_dead_letters`. */
export interface DeadLetterRow {
  readonly id: PaymentDeadLetterId;
  readonly payment_id: PaymentId;
  readonly kind: PaymentDeadLetter["kind"];
  readonly detail: Readonly<Record<string, unknown>>;
  readonly raised_at: Date;
  readonly retries: number;
  readonly resolved_at: Date | null;
  readonly resolution: string | null;
}

/** Reads a row of `payment_dead_letters`. */
export function toDeadLetter(row: DeadLetterRow): PaymentDeadLetter {
  return {
    id: row.id,
    paymentId: row.payment_id,
    kind: row.kind,
    detail: row.detail,
    raisedAt: row.raised_at,
    retries: row.retries,
    ...(row.resolved_at === null ? {} : { resolvedAt: row.resolved_at }),
    ...(row.resolution === null ? {} : { resolution: row.resolution }),
  };
}
