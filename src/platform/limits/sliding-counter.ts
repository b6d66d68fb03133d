import { type Algorithm, type Ask, grantOf, type LimitState, type Outcome } from "./algorithm.ts";

/**
 * Counts in windows, and lets the last one count as far as it still overlaps the window that ends now;
 * the state is `[start, current, previous]`. Takes the last window as spread evenly: where it was not,
 * up to twice the limit may fall into one window.
 */
export const slidingCounter: Algorithm = {
  take(state, ask, nowMs) {
    const counts = countsAt(state, ask.policy.windowMs, nowMs);
    const granted = grantOf(ask, available(counts, ask, nowMs));
    const after: Counts = { ...counts, current: counts.current + granted };
    const retryAfterMs = granted > 0 ? 0 : retryAfter(counts, ask, nowMs);
    return { ...outcomeOf(after, ask, nowMs), granted, retryAfterMs };
  },
  giveBack(state, ask, nowMs) {
    const { windowMs } = ask.policy;
    const { startMs, current, previous } = countsAt(state, windowMs, nowMs);
    const isCurrent = ask.ticket >= startMs;
    const isPrevious = !isCurrent && ask.ticket >= startMs - windowMs;
    const after = {
      startMs,
      current: isCurrent ? Math.max(0, current - ask.cost) : current,
      previous: isPrevious ? Math.max(0, previous - ask.cost) : previous,
    };
    return { ...outcomeOf(after, ask, nowMs), granted: 0, retryAfterMs: 0 };
  },
};

interface Counts {
  readonly startMs: number;
  readonly current: number;
  readonly previous: number;
}

function countsAt(state: LimitState | undefined, windowMs: number, nowMs: number): Counts {
  const [startMs = nowMs, current = 0, previous = 0] = state ?? [];
  // What counts by now: both, the last one alone, or nothing.
  const counting = nowMs < startMs + windowMs ? current + previous : current;
  const isOver = counting === 0 || nowMs >= startMs + 2 * windowMs;
  if (isOver) return { startMs: nowMs, current: 0, previous: 0 };
  if (nowMs < startMs + windowMs) return { startMs, current, previous };
  return { startMs: startMs + windowMs, current: 0, previous: current };
}

/** All products are of whole numbers below 2^53, so nothing is rounded before the division. */
function available({ startMs, current, previous }: Counts, { policy }: Ask, nowMs: number): number {
  const { limit, windowMs } = policy;
  const overlapMs = windowMs - Math.max(0, nowMs - startMs);
  return Math.max(0, Math.floor(((limit - current) * windowMs - previous * overlapMs) / windowMs));
}

function retryAfter({ startMs, current, previous }: Counts, ask: Ask, nowMs: number): number {
  const { limit, windowMs } = ask.policy;
  const free = limit - current - ask.cost;
  if (free >= 0) {
    // The last window fades: by then it overlaps so little that the rest is free.
    return startMs + windowMs - Math.floor((free * windowMs) / previous) - nowMs;
  }
  const fadedMs = Math.max(0, windowMs - Math.floor(((limit - ask.cost) * windowMs) / current));
  return startMs + windowMs + fadedMs - nowMs;
}

function outcomeOf(counts: Counts, ask: Ask, nowMs: number) {
  const { startMs, current, previous } = counts;
  const windows = current > 0 ? 2 : previous > 0 ? 1 : 0;
  return {
    state: [startMs, current, previous],
    remaining: available(counts, ask, nowMs),
    resetMs: windows === 0 ? 0 : startMs + windows * ask.policy.windowMs - nowMs,
  } satisfies Partial<Outcome>;
}
