import type { LimitPolicy } from "./policy.ts";

/** Who decided: the store, tokens taken ahead from it, or this process alone while it is away. */
export type VerdictSource = "store" | "lease" | "fallback";

/** What came of asking for tokens. */
export interface Verdict {
  readonly policy: LimitPolicy;
  /**
   * Whether this limit has enough. Of several asked together all must: else nothing was taken from
   * any.
   */
  readonly isAllowed: boolean;
  /** Tokens of the limit that decided: while the store is away this may be a part of the policy's. */
  readonly limit: number;
  /** Tokens that are left, as far as this process knows. */
  readonly remaining: number;
  /** Until the whole limit is there again, milliseconds. */
  readonly resetMs: number;
  /** After a refusal: when to ask again, milliseconds; else 0. */
  readonly retryAfterMs: number;
  readonly source: VerdictSource;
}

/** Whether everything that was asked for together was allowed, and so taken. */
export function areAllowed(verdicts: readonly Verdict[]): boolean {
  return verdicts.every(({ isAllowed }) => isAllowed);
}
