import type { FailureStatuses } from "../../platform/http/route.ts";

/** Why the operators' commands refuse. */
export type OperationsFailure =
  | { readonly code: "operations.order_not_found"; readonly orderId: string }
  | { readonly code: "operations.saga_not_found"; readonly sagaId: string }
  | { readonly code: "sagas.not_stuck"; readonly sagaId: string }
  | { readonly code: "operations.job_not_found"; readonly jobId: string }
  | { readonly code: "operations.event_not_found"; readonly eventId: string }
  | { readonly code: "operations.bad_cursor" };

/** HTTP status of each refusal. */
export const operationsFailureStatuses: FailureStatuses<OperationsFailure> = {
  "operations.order_not_found": 404,
  "operations.saga_not_found": 404,
  "sagas.not_stuck": 409,
  "operations.job_not_found": 404,
  "operations.event_not_found": 404,
  "operations.bad_cursor": 400,
};
