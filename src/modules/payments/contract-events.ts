import type { Id } from "../../kernel/ids.ts";
import type {
  PaymentDeadLetter,
  PaymentId,
  PaymentOperation,
  PaymentOperationId,
  ProviderCall,
} from "./contract.ts";

interface PaymentFacts {
  readonly paymentId: PaymentId;
  readonly orderId: Id<"order">;
  readonly provider: string;
  readonly currency: string;
}

/** Data of every event this module appends, by type; stream `payment:<id>`, version 1. */
export interface PaymentEvents {
  readonly "payments.payment_created": PaymentFacts & { readonly amountMinor: number };
  readonly "payments.action_required": PaymentFacts & { readonly nextActionUrl: string };
  readonly "payments.payment_failed": PaymentFacts & { readonly failureCode: string };
  readonly "payments.payment_authorised": PaymentFacts & { readonly authorisedMinor: number };
  /** `amountMinor` is what this step captured, `capturedMinor` the total since. */
  readonly "payments.payment_captured": PaymentFacts & {
    readonly amountMinor: number;
    readonly capturedMinor: number;
    readonly calls: readonly ProviderCall[];
  };
  readonly "payments.payment_voided": PaymentFacts & { readonly releasedMinor: number };
  readonly "payments.payment_refunded": PaymentFacts & {
    readonly amountMinor: number;
    readonly refundedMinor: number;
  };
  readonly "payments.operation_requested": PaymentFacts & {
    readonly operationId: PaymentOperationId;
    readonly kind: PaymentOperation["kind"];
    readonly amountMinor: number;
  };
  readonly "payments.operation_failed": PaymentFacts & {
    readonly operationId: PaymentOperationId;
    readonly kind: PaymentOperation["kind"];
    readonly failureCode: string;
  };
  readonly "payments.dead_letter_raised": {
    readonly paymentId: PaymentId;
    readonly kind: PaymentDeadLetter["kind"];
  };
}

/** Every event type of this module. */
export const paymentEventTypes: readonly (keyof PaymentEvents)[] = [
  "payments.payment_created",
  "payments.action_required",
  "payments.payment_failed",
  "payments.payment_authorised",
  "payments.payment_captured",
  "payments.payment_voided",
  "payments.payment_refunded",
  "payments.operation_requested",
  "payments.operation_failed",
  "payments.dead_letter_raised",
];
