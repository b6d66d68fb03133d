/** What policies tell their observers. `name` is the policy's. */
export type ResilienceEvent =
  /** It is tried again, after so long; `reason` is the error, or the answer that was none. */
  | {
      readonly kind: "retry";
      readonly name: string;
      /** The attempt that comes: 2 for the first retry. */
      readonly attempt: number;
      readonly waitMs: number;
      readonly reason: unknown;
    }
  /** It would have been tried again, but retries are too many already, or there is no time left. */
  | { readonly kind: "retry_withheld"; readonly name: string; readonly why: "budget" | "deadline" }
  | { readonly kind: "timeout"; readonly name: string; readonly afterMs: number }
  | { readonly kind: "breaker"; readonly name: string; readonly state: BreakerState }
  /** Refused without being done. */
  | { readonly kind: "rejected"; readonly name: string; readonly by: "breaker" | "bulkhead" }
  /** A second attempt was started beside a slow one. */
  | { readonly kind: "hedge"; readonly name: string; readonly afterMs: number }
  /** The second attempt was the faster one. */
  | { readonly kind: "hedge_won"; readonly name: string }
  | { readonly kind: "fallback"; readonly name: string; readonly error: unknown };

/** `half_open` lets a few calls try. */
export type BreakerState = "closed" | "open" | "half_open";

/** Called with every event; must not throw. */
export type OnResilienceEvent = (event: ResilienceEvent) => void;
