import type { TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type {
  NewPayment,
  Payment,
  PaymentId,
  PaymentOperationId,
  ProviderPayment,
  RefundBasis,
  WebhookFailure,
} from "./contract.ts";

/** Limits of one call to a provider. */
export interface CallLimits {
  /** Moment after which nobody waits, milliseconds of `performance.now()`. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** Asks for the money of an intent. */
export interface ChargeRequest extends CallLimits {
  readonly tenantId: TenantId;
  readonly payment: NewPayment;
}

/** Asks for a capture, void or refund of a payment. */
export interface OperationRequest extends CallLimits {
  readonly tenantId: TenantId;
  /** The payment as last recorded. */
  readonly payment: Payment;
  /** Idempotency key. */
  readonly operationId: PaymentOperationId;
  /** Minor units; 0 for a void. */
  readonly amountMinor: number;
  readonly basis?: RefundBasis;
}

/** Names a payment at a provider. */
export interface FindRequest extends CallLimits {
  readonly tenantId: TenantId;
  readonly paymentId: PaymentId;
}

/** A verified notice. */
export interface ProviderEvent {
  /** Unique per provider and tenant. */
  readonly eventId: string;
  readonly type: string;
  readonly tenantId: string;
  readonly snapshot: ProviderPayment;
}

/** A notice as it arrived. */
export interface RawWebhook {
  /** Exact bytes: the signature covers them. */
  readonly body: Uint8Array;
  readonly header: (name: string) => string | undefined;
  readonly now: Date;
}

/**
 * A payment provider. Every method that moves money may be repeated with the same id and then answers
 * like the first time. Refusals are in the snapshot; errors are {@link PaymentProviderError}:
 * ERR_PAYMENT_OUTCOME_UNKNOWN after a timeout or a lost answer, ERR_PAYMENT_PROVIDER_UNAVAILABLE when
 * nothing was done, ERR_PAYMENT_PROVIDER_MISCONFIGURED when a person has to act.
 */
export interface PaymentProvider {
  /** `simulator`, `manual`: lower case, at most 32 characters. */
  readonly name: string;
  /** Holds the amount without taking it. */
  authorise(request: ChargeRequest): Promise<ProviderPayment>;
  /** Authorises and captures in one. */
  charge(request: ChargeRequest): Promise<ProviderPayment>;
  capture(request: OperationRequest): Promise<ProviderPayment>;
  /**
   * Gives up what is authorised and not captured. Also for an id the provider never saw: once it
   * has answered, no request with that id can charge, however late it arrives.
   */
  void(request: OperationRequest): Promise<ProviderPayment>;
  refund(request: OperationRequest): Promise<ProviderPayment>;
  /** Asks how a payment stands; undefined when the provider never saw it. */
  find(request: FindRequest): Promise<ProviderPayment | undefined>;
  /** Checks a notice's signature and age, then reads it. */
  parseWebhook(webhook: RawWebhook): Result<ProviderEvent, WebhookFailure>;
}
