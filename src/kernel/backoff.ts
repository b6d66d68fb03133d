import type { Random } from "./random.ts";

/** Bounds of exponential backoff. */
export interface Backoff {
  /** Wait before the first retry, milliseconds. */
  readonly baseMs: number;
  /** Longest wait, milliseconds. */
  readonly maxMs: number;
}

/**
 * Full-jitter exponential backoff: uniform in [0, min(max, base * 2^attempt)).
 *
 * @param attempt 0 for the first retry
 * @returns milliseconds
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function fullJitter(backoff: Backoff, attempt: number, random: Random): number {
  return random() * Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(attempt, 52));
}
