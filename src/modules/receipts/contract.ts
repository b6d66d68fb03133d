import type { FailureStatuses } from "../../platform/http/route.ts";

/** A receipt is issued shortly after an order is paid; until then there is none. */
export type ReceiptFailure = { readonly code: "receipts.not_found"; readonly orderId: string };

/** HTTP status of each refusal. */
export const receiptFailureStatuses: FailureStatuses<ReceiptFailure> = {
  "receipts.not_found": 404,
};

/** Data of each event type, all version 1. Stream: `order:<id>`. */
export interface ReceiptEvents {
  readonly "receipts.receipt_issued": { readonly orderId: string; readonly number: number };
}

/** The event types of this module. */
export const receiptEventTypes: readonly (keyof ReceiptEvents)[] = ["receipts.receipt_issued"];
