import type { FailureStatuses } from "../http/route.ts";

/** Why a request with an `Idempotency-Key` was not run. */
export type IdempotencyFailure =
  | {
      /** The key came with another request before. */
      readonly code: "idempotency.key_reused";
      readonly detail: string;
    }
  | {
      /** The same request is being worked on right now; ask again shortly. */
      readonly code: "idempotency.in_flight";
      readonly detail: string;
    };

/** HTTP statuses, as the IETF draft asks. @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
export const idempotencyFailureStatuses: FailureStatuses<IdempotencyFailure> = {
  "idempotency.key_reused": 422,
  "idempotency.in_flight": 409,
};
