import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Algorithm, type Ask, grantOf, type LimitState } from "./algorithm.ts";
import { concurrency, extendPlace } from "./concurrency.ts";
import { fixedWindow } from "./fixed-window.ts";
import type { LimitAlgorithm, LimitPolicy } from "./policy.ts";
import { slidingCounter } from "./sliding-counter.ts";
import { slidingLog } from "./sliding-log.ts";
import { tokenBucket } from "./token-bucket.ts";

const algorithms: Readonly<Record<LimitAlgorithm, Algorithm>> = {
  fixed_window: fixedWindow,
  sliding_log: slidingLog,
  sliding_counter: slidingCounter,
  token_bucket: tokenBucket,
  concurrency,
};

/** Tokens that were taken, and when. */
interface Taken {
  readonly atMs: number;
  readonly tokens: number;
}

/** An algorithm written down as its definition says, however long it takes. */
type Reference = (policy: LimitPolicy, taken: readonly Taken[], nowMs: number) => number;

const sum = (taken: readonly Taken[]) => taken.reduce((before, { tokens }) => before + tokens, 0);
const between = (taken: readonly Taken[], fromMs: number, toMs: number) =>
  sum(taken.filter(({ atMs }) => atMs >= fromMs && atMs < toMs));

/** Starts of windows: each begins with the first token taken after the one before. */
function startOfWindow(taken: readonly Taken[], windowMs: number): number | undefined {
  let startMs: number | undefined;
  for (const { atMs } of taken) {
    if (startMs === undefined || atMs >= startMs + windowMs) startMs = atMs;
  }
  return startMs;
}

/** Tokens that are there, by the definition of each algorithm. */
const references: Readonly<Record<Exclude<LimitAlgorithm, "concurrency">, Reference>> = {
  fixed_window({ limit, windowMs }, taken, nowMs) {
    const startMs = startOfWindow(taken, windowMs);
    if (startMs === undefined || nowMs >= startMs + windowMs) return limit;
    return limit - between(taken, startMs, Infinity);
  },
  sliding_log: ({ limit, windowMs }, taken, nowMs) =>
    limit - between(taken, nowMs - windowMs + 1, Infinity),
  sliding_counter({ limit, windowMs }, taken, nowMs) {
    // Windows tile the time since the first token, until nothing was taken for two of them.
    let startMs: number | undefined;
    for (const { atMs } of [...taken, { atMs: nowMs }]) {
      if (startMs === undefined || atMs >= startMs + 2 * windowMs) startMs = atMs;
      while (atMs >= startMs + windowMs) startMs += windowMs;
    }
    if (startMs === undefined) return limit;
    const previous = BigInt(between(taken, startMs - windowMs, startMs));
    const current = BigInt(between(taken, startMs, Infinity));
    const overlap = BigInt(startMs + windowMs - nowMs);
    // Most whole tokens n with previous * overlap / window + current + n <= limit.
    let free = 0n;
    const fits = (n: bigint) =>
      previous * overlap + (current + n) * BigInt(windowMs) <= BigInt(limit * windowMs);
    while (fits(free + 1n)) free++;
    return Number(free);
  },
  token_bucket({ limit, windowMs, burst = limit }, taken, nowMs) {
    // Drop by drop: `limit` drops a millisecond, `windowMs` drops are a token.
    const full = burst * windowMs;
    let [level, at] = [full, 0];
    const flow = (untilMs: number) => {
      for (; at < untilMs; at++) level = Math.min(full, level + limit);
    };
    for (const { atMs, tokens } of taken) {
      flow(atMs);
      level -= tokens * windowMs;
    }
    flow(nowMs);
    return Math.floor(level / windowMs);
  },
};

const askOf = (policy: LimitPolicy, cost: number, upTo = cost, ticket = 0): Ask => ({
  policy,
  cost,
  upTo,
  ticket,
});

const policies = (algorithm: LimitAlgorithm) =>
  fc.record({
    name: fc.constant("test"),
    algorithm: fc.constant(algorithm),
    limit: fc.integer({ min: 1, max: 12 }),
    windowMs: fc.integer({ min: 100, max: 400 }),
    ...(algorithm === "token_bucket" ? { burst: fc.integer({ min: 1, max: 20 }) } : {}),
  }) as fc.Arbitrary<LimitPolicy>;

const steps = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 180 }),
    cost: fc.integer({ min: 1, max: 4 }),
    ahead: fc.integer({ min: 0, max: 4 }),
  }),
  { maxLength: 60 },
);

const capacity = ({ limit, burst }: LimitPolicy) => burst ?? limit;

describe("the arithmetic of limits", () => {
  for (const [name, reference] of Object.entries(references)) {
    const algorithm = name as keyof typeof references;
    const { take } = algorithms[algorithm];

    it(`of ${name} admits what its definition admits, to the token`, () => {
      fc.assert(
        fc.property(policies(algorithm), steps, (policy, taking) => {
          const taken: Taken[] = [];
          let state: LimitState | undefined;
          let nowMs = 0;
          for (const { afterMs, cost, ahead } of taking) {
            nowMs += afterMs;
            const ask = askOf(policy, cost, cost + ahead);
            const available = reference(policy, taken, nowMs);
            const outcome = take(state, ask, nowMs);
            assert.equal(outcome.granted, grantOf(ask, available));
            assert.equal(outcome.remaining, available - outcome.granted);
            if (outcome.granted > 0) {
              taken.push({ atMs: nowMs, tokens: outcome.granted });
              state = outcome.state;
            }
          }
        }),
        { numRuns: 400 },
      );
    });

    it(`of ${name} tells to the millisecond when a refused one may come again`, () => {
      fc.assert(
        fc.property(policies(algorithm), steps, (policy, taking) => {
          let state: LimitState | undefined;
          let nowMs = 0;
          for (const { afterMs, cost } of taking) {
            nowMs += afterMs;
            const ask = askOf(policy, Math.min(cost, capacity(policy)));
            const outcome = take(state, ask, nowMs);
            state = outcome.state;
            if (outcome.granted > 0) continue;
            const againMs = nowMs + outcome.retryAfterMs;
            assert(outcome.retryAfterMs > 0);
            assert.equal(take(state, ask, againMs - 1).granted, 0);
            assert.equal(take(state, ask, againMs).granted, ask.cost);
          }
        }),
        { numRuns: 400 },
      );
    });

    it(`of ${name} forgets nothing too early: at its reset the whole limit is there`, () => {
      fc.assert(
        fc.property(policies(algorithm), steps, (policy, taking) => {
          let state: LimitState | undefined;
          let nowMs = 0;
          const all = askOf(policy, capacity(policy));
          for (const { afterMs, cost } of taking) {
            nowMs += afterMs;
            const outcome = take(state, askOf(policy, Math.min(cost, capacity(policy))), nowMs);
            state = outcome.state;
            assert.equal(take(state, all, nowMs + outcome.resetMs).granted, all.cost);
            const isFull = outcome.remaining === capacity(policy);
            if (outcome.resetMs > 0 && !isFull && algorithm !== "token_bucket") {
              assert.equal(take(state, all, nowMs + outcome.resetMs - 1).granted, 0);
            }
          }
        }),
        { numRuns: 200 },
      );
    });

    it(`of ${name} has what was given back at once as if it had not been taken`, () => {
      fc.assert(
        fc.property(policies(algorithm), steps, (policy, taking) => {
          let state: LimitState | undefined;
          let nowMs = 0;
          for (const { afterMs, cost } of taking) {
            nowMs += afterMs;
            const { granted, state: after } = take(state, askOf(policy, cost, cost + 3), nowMs);
            if (granted === 0) continue;
            const { giveBack } = algorithms[algorithm];
            const back = giveBack(after, askOf(policy, granted, granted, nowMs), nowMs);
            const peek = askOf(policy, 1);
            assert.equal(
              take(back.state, peek, nowMs).remaining,
              take(state, peek, nowMs).remaining,
            );
            state = after;
          }
        }),
        { numRuns: 200 },
      );
    });
  }

  it("of a sliding log admits no more than the limit in any window", () => {
    fc.assert(
      fc.property(policies("sliding_log"), steps, (policy, taking) => {
        const taken = play(policy, taking);
        for (const { atMs } of taken) {
          assert(between(taken, atMs, atMs + policy.windowMs) <= policy.limit);
        }
      }),
    );
  });

  it("of windows and their counters admits no more than twice the limit in any window", () => {
    for (const algorithm of ["fixed_window", "sliding_counter"] as const) {
      fc.assert(
        fc.property(policies(algorithm), steps, (policy, taking) => {
          const taken = play(policy, taking);
          for (const { atMs } of taken) {
            assert(between(taken, atMs, atMs + policy.windowMs) <= 2 * policy.limit);
          }
        }),
      );
    }
  });

  it("does not let a clock that was set back fill a bucket twice or empty a log", () => {
    const bucket: LimitPolicy = {
      name: "b",
      algorithm: "token_bucket",
      limit: 10,
      windowMs: 1_000,
    };
    const empty = tokenBucket.take(undefined, askOf(bucket, 10), 5_000).state;
    const back = tokenBucket.take(empty, askOf(bucket, 1), 1_000);
    assert.equal(back.granted, 0);
    assert.equal(tokenBucket.take(back.state, askOf(bucket, 1), 5_000).granted, 0);
    assert.equal(tokenBucket.take(back.state, askOf(bucket, 1), 5_100).granted, 1);
    const log: LimitPolicy = { name: "l", algorithm: "sliding_log", limit: 2, windowMs: 1_000 };
    const one = slidingLog.take(undefined, askOf(log, 1), 5_000).state;
    const two = slidingLog.take(one, askOf(log, 1), 4_900).state;
    assert.equal(slidingLog.take(two, askOf(log, 1), 5_900).granted, 0);
    assert.equal(slidingLog.take(two, askOf(log, 1), 6_000).granted, 1);
  });
});

function play(policy: LimitPolicy, taking: readonly { afterMs: number; cost: number }[]): Taken[] {
  const taken: Taken[] = [];
  let state: LimitState | undefined;
  let nowMs = 0;
  for (const { afterMs, cost } of taking) {
    nowMs += afterMs;
    const outcome = algorithms[policy.algorithm].take(state, askOf(policy, cost), nowMs);
    state = outcome.state;
    if (outcome.granted > 0) taken.push({ atMs: nowMs, tokens: outcome.granted });
  }
  return taken;
}

describe("the arithmetic of places", () => {
  const verbs = fc.constantFrom("take", "extend", "give_back");
  const moves = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 90 }),
      verb: verbs,
      holder: fc.integer({ min: 1, max: 6 }),
    }),
    { maxLength: 60 },
  );

  it("gives them to as many as there are, until they are given back or over", () => {
    fc.assert(
      fc.property(policies("concurrency"), moves, (given, moving) => {
        const policy = { ...given, limit: Math.min(given.limit, 4) };
        const ends = new Map<number, number>();
        let state: LimitState | undefined;
        let nowMs = 0;
        for (const { afterMs, verb, holder } of moving) {
          nowMs += afterMs;
          for (const [other, endMs] of ends) if (endMs <= nowMs) ends.delete(other);
          const ask = askOf(policy, 1, 1, holder);
          const others = [...ends].filter(([other]) => other !== holder).map(([, endMs]) => endMs);
          if (verb === "take") {
            const outcome = concurrency.take(state, ask, nowMs);
            const isFree = others.length < policy.limit;
            assert.equal(outcome.granted, isFree ? 1 : 0);
            assert.equal(outcome.retryAfterMs, isFree ? 0 : Math.min(...others) - nowMs);
            if (isFree) ends.set(holder, nowMs + policy.windowMs);
            else continue;
            state = outcome.state;
          } else if (verb === "extend") {
            state = extendPlace(state, ask, nowMs).state;
            ends.set(holder, nowMs + policy.windowMs);
          } else {
            state = concurrency.giveBack(state, ask, nowMs).state;
            ends.delete(holder);
          }
          const peek = concurrency.giveBack(state, askOf(policy, 1, 1, 99), nowMs);
          assert.equal(peek.remaining, Math.max(0, policy.limit - ends.size));
        }
      }),
      { numRuns: 300 },
    );
  });
});
