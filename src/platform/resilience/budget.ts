/** Limits extra attempts to a share of the calls, so that they cannot multiply an outage. */
export interface RetryBudget {
  /** Counts a first attempt. */
  deposit(): void;
  /** Takes one extra attempt out, if there is one. */
  withdraw(): boolean;
}

/**
 * A bucket that every first attempt fills by `ratio` and every retry empties by one.
 *
 * @param ratio share of retries: 0.1 is one retry for ten calls
 * @param reserve retries allowed before any call was made, and at most saved up
 * @see https://finagle.github.io/blog/2016/02/08/retry-budgets/
 */
export function createRetryBudget(ratio: number, reserve: number): RetryBudget {
  let tokens = reserve;
  return {
    deposit() {
      tokens = Math.min(reserve, tokens + ratio);
    },
    withdraw() {
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
