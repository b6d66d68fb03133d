import { setTimeout as delay } from "node:timers/promises";

/** How long and how often to look. */
export interface Patience {
  /** Give up after this many milliseconds. */
  readonly timeoutMs: number;
  /** Milliseconds between two looks; 20 unless said otherwise. */
  readonly everyMs?: number;
  /** Gives up at once when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks until `condition` holds. Other processes give no signal when they change their state, so
 * this polls.
 *
 * @returns whether it came to hold before the time was over or the signal aborted
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { timeoutMs, everyMs = 20, signal }: Patience,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() >= end || signal?.aborted) return false;
    await delay(everyMs);
  }
}
