import type { Algorithm, Ask, LimitState } from "./algorithm.ts";

/**
 * So many at once: who has a place keeps it until it is given back or its time is over. The state is
 * `[holder, end, holder, end, …]`.
 */
export const concurrency: Algorithm = {
  take(state, ask, nowMs) {
    const others = placesAt(state, nowMs, ask.ticket);
    const isFree = others.length / 2 < ask.policy.limit;
    const places = isFree ? [...others, ask.ticket, nowMs + ask.policy.windowMs] : others;
    const retryAfterMs = isFree ? 0 : firstEnd(others) - nowMs;
    return { ...outcomeOf(places, ask, nowMs), granted: isFree ? 1 : 0, retryAfterMs };
  },
  giveBack(state, ask, nowMs) {
    const others = placesAt(state, nowMs, ask.ticket);
    return { ...outcomeOf(others, ask, nowMs), granted: 0, retryAfterMs: 0 };
  },
};

/**
 * Makes a place last from now on. It counts even beyond the limit: its holder is there, whether the
 * store has forgotten it or not.
 */
export const extendPlace: Algorithm["take"] = (state, ask, nowMs) => {
  const others = placesAt(state, nowMs, ask.ticket);
  const places = [...others, ask.ticket, nowMs + ask.policy.windowMs];
  return { ...outcomeOf(places, ask, nowMs), granted: 1, retryAfterMs: 0 };
};

/** Places that somebody else has now. */
function placesAt(state: LimitState | undefined, nowMs: number, holder: number): number[] {
  const places: number[] = [];
  if (!state) return places;
  for (let at = 0; at < state.length; at += 2) {
    const [other = 0, endMs = 0] = [state[at], state[at + 1]];
    if (endMs > nowMs && other !== holder) places.push(other, endMs);
  }
  return places;
}

function firstEnd(places: LimitState): number {
  let first = Number.POSITIVE_INFINITY;
  for (let at = 1; at < places.length; at += 2) first = Math.min(first, places[at] ?? first);
  return first;
}

function outcomeOf(places: LimitState, { policy }: Ask, nowMs: number) {
  let lastMs = nowMs;
  for (let at = 1; at < places.length; at += 2) lastMs = Math.max(lastMs, places[at] ?? lastMs);
  return {
    state: places,
    remaining: Math.max(0, policy.limit - places.length / 2),
    resetMs: lastMs - nowMs,
  };
}
