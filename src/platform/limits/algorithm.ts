import type { LimitPolicy } from "./policy.ts";

/** What is known of a key: whole numbers, each algorithm's own. Nothing known: the whole limit is there. */
export type LimitState = readonly number[];

/** What is asked of a key. */
export interface Ask {
  readonly policy: LimitPolicy;
  /** Tokens that must be there, 1 or more. */
  readonly cost: number;
  /** Tokens to take where there are enough of them, `cost` or more. */
  readonly upTo: number;
  /**
   * For `concurrency` who holds the place: a whole number below 2^53, made for this one. For tokens
   * that come back, when they were taken, milliseconds of the store's clock.
   */
  readonly ticket: number;
}

/** What came of it. */
export interface Outcome {
  /** To keep from now on. After a refusal it means the same as before. */
  readonly state: LimitState;
  /** Tokens taken; 0 is a refusal. */
  readonly granted: number;
  /** Tokens that are left. */
  readonly remaining: number;
  /** Until the whole limit is there again if nobody takes more, milliseconds. */
  readonly resetMs: number;
  /** After a refusal: until `cost` tokens are there if nobody takes any, milliseconds; else 0. */
  readonly retryAfterMs: number;
}

/** The arithmetic of a limit: no clock, no I/O. Times are whole milliseconds of one clock. */
export interface Algorithm {
  /** Takes tokens if there are enough. */
  take(state: LimitState | undefined, ask: Ask, nowMs: number): Outcome;
  /** Takes back `cost` tokens that nobody spent, or a place. */
  giveBack(state: LimitState | undefined, ask: Ask, nowMs: number): Outcome;
}

/**
 * How many tokens an ask gets: never more than half of what is left ahead of need, so that the last
 * ones do not lie in one process while another is refused.
 */
export function grantOf({ cost, upTo }: Ask, available: number): number {
  if (available < cost) return 0;
  return Math.min(upTo, Math.max(cost, Math.floor(available / 2)));
}
