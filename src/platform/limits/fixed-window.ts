import { type Algorithm, grantOf, type LimitState } from "./algorithm.ts";

/**
 * Counts in windows that begin with the first token; the state is `[start, used]`.
 * Admits up to twice the limit around the edge of two windows.
 */
export const fixedWindow: Algorithm = {
  take(state, ask, nowMs) {
    const { limit, windowMs } = ask.policy;
    const [startMs, used] = windowAt(state, windowMs, nowMs);
    const granted = grantOf(ask, limit - used);
    const resetMs = startMs + windowMs - nowMs;
    return {
      state: [startMs, used + granted],
      granted,
      remaining: Math.max(0, limit - used - granted),
      resetMs: used + granted === 0 ? 0 : resetMs,
      retryAfterMs: granted > 0 ? 0 : resetMs,
    };
  },
  giveBack(state, { policy, cost, ticket }, nowMs) {
    const { limit, windowMs } = policy;
    const [startMs, counted] = windowAt(state, windowMs, nowMs);
    const used = ticket < startMs ? counted : Math.max(0, counted - cost);
    return {
      state: [startMs, used],
      granted: 0,
      remaining: Math.max(0, limit - used),
      resetMs: used === 0 ? 0 : startMs + windowMs - nowMs,
      retryAfterMs: 0,
    };
  },
};

function windowAt(state: LimitState | undefined, windowMs: number, nowMs: number) {
  const [startMs = nowMs, used = 0] = state ?? [];
  const isOver = used === 0 || nowMs >= startMs + windowMs;
  return isOver ? ([nowMs, 0] as const) : ([startMs, used] as const);
}
