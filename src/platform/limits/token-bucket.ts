import { type Algorithm, type Ask, grantOf, type LimitState } from "./algorithm.ts";
import { capacityOf } from "./policy.ts";

/**
 * A bucket of `burst` tokens into which `limit` flow in every window, evenly; filled up when somebody
 * looks. The state is `[level, time]`; the level is in tokens times milliseconds of the window, so that
 * a millisecond's inflow is a whole number and nothing is ever rounded.
 *
 * In any time t it admits at most `burst + limit * t / windowMs`.
 */
export const tokenBucket: Algorithm = {
  take(state, ask, nowMs) {
    const { limit, windowMs } = ask.policy;
    const [level, atMs] = bucketAt(state, ask, nowMs);
    const granted = grantOf(ask, Math.floor(level / windowMs));
    const retryAfterMs = granted > 0 ? 0 : Math.ceil((ask.cost * windowMs - level) / limit);
    return { ...outcomeOf(level - granted * windowMs, atMs, ask), granted, retryAfterMs };
  },
  giveBack(state, ask, nowMs) {
    const [level, atMs] = bucketAt(state, ask, nowMs);
    const { windowMs } = ask.policy;
    const raised = Math.min(capacityOf(ask.policy) * windowMs, level + ask.cost * windowMs);
    return { ...outcomeOf(raised, atMs, ask), granted: 0, retryAfterMs: 0 };
  },
};

function bucketAt(
  state: LimitState | undefined,
  { policy }: Ask,
  nowMs: number,
): readonly [level: number, atMs: number] {
  const full = capacityOf(policy) * policy.windowMs;
  const [level = full, atMs = nowMs] = state ?? [];
  // A clock that was set back fills nothing twice.
  const inflow = Math.max(0, nowMs - atMs) * policy.limit;
  return [Math.min(full, level + inflow), Math.max(atMs, nowMs)];
}

function outcomeOf(level: number, atMs: number, { policy }: Ask) {
  const { limit, windowMs } = policy;
  const missing = capacityOf(policy) * windowMs - level;
  return {
    state: [level, atMs],
    remaining: Math.floor(level / windowMs),
    resetMs: Math.ceil(missing / limit),
  };
}
