import { type Algorithm, type Ask, grantOf, type LimitState } from "./algorithm.ts";

/**
 * Remembers when every token was taken: never more than the limit in any window. The state is
 * `[time, tokens, time, tokens, …]`, oldest first, one pair a millisecond.
 */
export const slidingLog: Algorithm = {
  take(state, ask, nowMs) {
    const { limit, windowMs } = ask.policy;
    const log = logAt(state, windowMs, nowMs);
    const used = tokensIn(log);
    const granted = grantOf(ask, limit - used);
    const freeAtMs = granted > 0 ? nowMs : untilFree(log, used + ask.cost - limit) + windowMs;
    if (granted > 0) append(log, nowMs, granted);
    return { ...outcomeOf(log, ask, nowMs), granted, retryAfterMs: freeAtMs - nowMs };
  },
  giveBack(state, ask, nowMs) {
    const kept: number[] = [];
    const log = logAt(state, ask.policy.windowMs, nowMs);
    for (let at = 0; at < log.length; at += 2) {
      const [timeMs = 0, tokens = 0] = [log[at], log[at + 1]];
      const left = timeMs === ask.ticket ? tokens - ask.cost : tokens;
      if (left > 0) kept.push(timeMs, left);
    }
    return { ...outcomeOf(kept, ask, nowMs), granted: 0, retryAfterMs: 0 };
  },
};

function outcomeOf(log: LimitState, { policy }: Ask, nowMs: number) {
  const lastMs = log.at(-2);
  return {
    state: log,
    remaining: Math.max(0, policy.limit - tokensIn(log)),
    resetMs: lastMs === undefined ? 0 : lastMs + policy.windowMs - nowMs,
  };
}

/** What is in the window that ends now. */
function logAt(state: LimitState | undefined, windowMs: number, nowMs: number): number[] {
  if (!state) return [];
  let from = 0;
  while (from < state.length && (state[from] ?? 0) + windowMs <= nowMs) from += 2;
  return state.slice(from);
}

function tokensIn(log: LimitState): number {
  let sum = 0;
  for (let at = 1; at < log.length; at += 2) sum += log[at] ?? 0;
  return sum;
}

/** When the last of the `missing` oldest tokens was taken. */
function untilFree(log: LimitState, missing: number): number {
  let freed = 0;
  for (let at = 0; at < log.length; at += 2) {
    freed += log[at + 1] ?? 0;
    if (freed >= missing) return log[at] ?? 0;
  }
  return 0;
}

function append(log: number[], nowMs: number, tokens: number): void {
  // A clock that was set back must not bring the log out of order.
  const last = log.length - 2;
  if (last >= 0 && (log[last] ?? 0) >= nowMs) log[last + 1] = (log[last + 1] ?? 0) + tokens;
  else log.push(nowMs, tokens);
}
