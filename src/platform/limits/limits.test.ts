import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  areAllowed,
  createLimiter,
  type LimitEvent,
  type LimiterConfig,
  type LimitPolicy,
  type LimitStore,
  limitHeaders,
  retryAfterSeconds,
  type StoreCall,
  type Verdict,
} from "./limits.ts";
import { createMemoryLimitStore } from "./memory-store.ts";

const minute: LimitPolicy = {
  name: "minute",
  algorithm: "fixed_window",
  limit: 100,
  windowMs: 60_000,
};
const leased: LimitPolicy = { ...minute, name: "leased", lease: { share: 0.2, ms: 30_000 } };

/** A store far away: the memory's arithmetic, answered later, every call written down. */
function farStore() {
  const memory = createMemoryLimitStore();
  const calls: StoreCall[] = [];
  const state = { isAway: false, isSilent: false };
  const store: LimitStore = {
    async apply(asked) {
      calls.push(...asked);
      if (state.isAway) throw new Error("the store is away");
      if (state.isSilent) await new Promise(() => {});
      await new Promise(setImmediate);
      return memory.apply(asked);
    },
  };
  return { store, calls, state };
}

function setup(change: Partial<LimiterConfig> = {}) {
  const far = farStore();
  const events: LimitEvent[] = [];
  const limiter = createLimiter({
    store: far.store,
    onEvent: (event) => events.push(event),
    ...change,
  });
  return { ...far, limiter, events };
}

async function allowed(taking: readonly (Verdict | Promise<Verdict>)[]): Promise<number> {
  return (await Promise.all(taking)).filter(({ isAllowed }) => isAllowed).length;
}

describe("a limiter", () => {
  it("admits what the limit is, however it is asked, and says what is left", async () => {
    const { limiter } = setup();
    const first = await limiter.take(minute, "a");
    const { resetMs, ...said } = first;
    assert.deepEqual(said, {
      policy: minute,
      isAllowed: true,
      limit: 100,
      remaining: 99,
      retryAfterMs: 0,
      source: "store",
    });
    assert(resetMs > 59_000 && resetMs <= 60_000);
    assert.equal((await limiter.take(minute, "a", 9)).remaining, 90);
    const many = Array.from({ length: 150 }, () => limiter.take(minute, "a"));
    assert.equal(await allowed(many), 90);
    assert.equal((await limiter.take(minute, "b")).remaining, 99);
    await limiter.stop();
  });

  it("answers at once over a store in its own process", () => {
    const limiter = createLimiter({ store: createMemoryLimitStore() });
    for (let at = 0; at < 100; at++) {
      const verdict = limiter.take(minute, "a");
      assert(!(verdict instanceof Promise) && verdict.isAllowed);
    }
    const verdict = limiter.take(minute, "a");
    assert(!(verdict instanceof Promise) && !verdict.isAllowed);
  });

  it("does not ask again about a refusal until it is over", async () => {
    const { limiter, calls } = setup();
    const brief = { ...minute, name: "brief", windowMs: 200 };
    await limiter.take(brief, "a", 100);
    const refused = await limiter.take(brief, "a");
    assert.equal(refused.isAllowed, false);
    const before = calls.length;
    const endsAtMs = performance.now() + refused.retryAfterMs;
    let again = await limiter.take(brief, "a");
    while (!again.isAllowed) {
      assert(again.retryAfterMs <= refused.retryAfterMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
      again = await limiter.take(brief, "a");
    }
    assert(performance.now() >= endsAtMs - 5);
    assert(calls.length <= before + 2, "one question at its end, or two");
    await limiter.stop();
  });

  it("asks about fewer tokens than were refused", async () => {
    const { limiter } = setup();
    await limiter.take(minute, "a", 98);
    assert.equal((await limiter.take(minute, "a", 3)).isAllowed, false);
    assert.equal((await limiter.take(minute, "a", 2)).isAllowed, true);
    await limiter.stop();
  });

  it("refuses policies and questions that make no sense", () => {
    const { limiter } = setup();
    const bad = (change: Partial<LimitPolicy>) =>
      assert.throws(() => limiter.take({ ...minute, name: "bad", ...change }, "a"), /assertion/);
    bad({ limit: 0 });
    bad({ limit: 1.5 });
    bad({ windowMs: 10 });
    bad({ name: "Not a name" });
    bad({ algorithm: "sliding_log", limit: 1_001 });
    bad({ limit: 1_000_000_000, windowMs: 31 * 24 * 60 * 60_000 });
    bad({ lease: { share: 0.6, ms: 1_000 } });
    bad({ lease: { share: 0.1, ms: 61_000 } });
    assert.throws(() => limiter.take(minute, "a", 0), /assertion/);
    assert.throws(() => limiter.take(minute, "a", 101), /assertion/);
    assert.throws(() => limiter.take(minute, ""), /assertion/);
    assert.throws(() => limiter.take(minute, "a".repeat(201)), /assertion/);
    assert.throws(() => limiter.takeAll([]), /assertion/);
    assert.throws(() => limiter.take({ ...minute, limit: 7 }, "a"), /differ/);
  });
});

describe("limits that are asked together", () => {
  const tight: LimitPolicy = { ...minute, name: "tight", limit: 2 };

  it("are one question to the store, and take from none when one refuses", async () => {
    const { limiter, calls } = setup();
    const both = () =>
      limiter.takeAll([
        { policy: minute, key: "a" },
        { policy: tight, key: "b" },
      ]);
    const verdicts = await both();
    assert(areAllowed(verdicts));
    assert.deepEqual(
      verdicts.map(({ policy, remaining }) => [policy.name, remaining]),
      [
        ["minute", 99],
        ["tight", 1],
      ],
    );
    assert.equal(calls.length, 1);
    assert(areAllowed(await both()));
    for (let at = 0; at < 5; at++) {
      const refused = await both();
      assert.deepEqual(
        refused.map(({ policy, isAllowed }) => [policy.name, isAllowed]),
        [["tight", false]],
      );
    }
    assert.equal((await limiter.take(minute, "a")).remaining, 97);
    await limiter.stop();
  });

  it("put tokens back that were taken ahead when another one refuses", async () => {
    const { limiter } = setup();
    // A block of its own by now.
    for (let at = 0; at < 3; at++) await limiter.take(leased, "a");
    const before = (await limiter.take(leased, "a")).remaining;
    await limiter.take(tight, "b", 2);
    for (let at = 0; at < 3; at++) {
      const refused = await limiter.takeAll([
        { policy: leased, key: "a" },
        { policy: tight, key: "b" },
      ]);
      assert(!areAllowed(refused));
    }
    assert.equal((await limiter.take(leased, "a")).remaining, before - 1);
    await limiter.stop();
  });
});

describe("tokens that are taken ahead", () => {
  it("are spent at once, in blocks that grow with demand up to their share", async () => {
    const { limiter, calls } = setup();
    const sources: string[] = [];
    for (let at = 0; at < 60; at++) sources.push((await limiter.take(leased, "a")).source);
    const sizes = calls.map(([ask]) => ask?.upTo);
    assert.deepEqual(sizes.slice(0, 4), [1, 4, 16, 20]);
    assert.equal(sources.filter((source) => source === "store").length, calls.length);
    assert(calls.length <= 6, `${calls.length} questions`);
    await limiter.stop();
  });

  it("are asked for once by many who come at the same moment", async () => {
    const { limiter, calls } = setup();
    // By now a block has 20 tokens; the last one is used up.
    let verdict = await limiter.take(leased, "a");
    while (calls.length < 4) verdict = await limiter.take(leased, "a");
    assert.equal(verdict.source, "store");
    assert.equal(await allowed(Array.from({ length: 19 }, () => limiter.take(leased, "a"))), 19);
    assert.equal(calls.length, 4);
    assert.equal(await allowed(Array.from({ length: 15 }, () => limiter.take(leased, "a"))), 15);
    assert.equal(calls.length, 5);
    await limiter.stop();
  });

  it("never make more than the limit, and lose none of it", async () => {
    const { limiter, store } = setup();
    const other = createLimiter({ store });
    let admitted = 0;
    // Two processes; what one of them has left goes back when it stops.
    for (let at = 0; at < 30; at++) {
      admitted += await allowed([limiter.take(leased, "a"), other.take(leased, "a")]);
    }
    assert.equal(admitted, 60);
    await other.stop();
    const rest = Array.from({ length: 100 }, () => limiter.take(leased, "a"));
    assert.equal(await allowed(rest), 40);
    await limiter.stop();
  });

  it("of a fixed window are not spent in the next one", async () => {
    const { limiter, calls } = setup();
    const brief: LimitPolicy = {
      ...leased,
      name: "brief",
      windowMs: 200,
      lease: { share: 0.5, ms: 200 },
    };
    const first = await limiter.take(brief, "a");
    const endsAtMs = performance.now() + first.resetMs;
    // A block that would last beyond the window, taken late in it.
    while (performance.now() < endsAtMs - 40)
      await new Promise((resolve) => setTimeout(resolve, 1));
    await limiter.take(brief, "a", 2);
    const ahead = await limiter.take(brief, "a");
    assert.equal(ahead.source, "lease");
    while (performance.now() < endsAtMs + 10)
      await new Promise((resolve) => setTimeout(resolve, 1));
    const before = calls.length;
    const next = await limiter.take(brief, "a");
    assert.equal(next.source, "store");
    assert(calls.length > before);
    await limiter.stop();
  });

  it("are given back when they were not spent in time", async () => {
    const { limiter, store } = setup();
    const brief: LimitPolicy = { ...leased, name: "brief", lease: { share: 0.5, ms: 50 } };
    for (let at = 0; at < 8; at++) await limiter.take(brief, "a");
    const nothing = { verb: "give_back", key: "a", cost: 0, upTo: 0, ticket: 0 } as const;
    for (;;) {
      const [[seen] = []] = await store.apply([[{ ...nothing, policy: brief }]]);
      if (seen?.remaining === 100 - 8) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await limiter.stop();
  });
});

describe("a limiter whose store is away", () => {
  const open: LimitPolicy = { ...minute, name: "open", fallback: "open" };

  it("decides alone: a tenth where it must be strict, all of it where it may be open", async () => {
    const { limiter, state, events } = setup();
    state.isAway = true;
    const strict = Array.from({ length: 50 }, () => limiter.take(minute, "a"));
    const opened = Array.from({ length: 150 }, () => limiter.take(open, "a"));
    assert.equal(await allowed(strict), 10);
    assert.equal(await allowed(opened), 100);
    const refused = await limiter.take(minute, "a");
    assert.equal(refused.source, "fallback");
    assert.equal(refused.limit, 10);
    assert(refused.retryAfterMs > 0);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["store_away"],
    );
    await limiter.stop();
  });

  it("waits for a silent store once, then asks it only now and then", async () => {
    const { limiter, state, calls } = setup({ waitMs: 30, pauseMs: 60_000 });
    state.isSilent = true;
    const startedAtMs = performance.now();
    const verdict = await limiter.take(open, "a");
    assert.equal(verdict.source, "fallback");
    assert(performance.now() - startedAtMs >= 29);
    for (let at = 0; at < 20; at++) {
      const next = limiter.take(open, "a");
      assert(!(next instanceof Promise), "nobody waits for a store that is away");
    }
    assert.equal(calls.length, 1);
  });

  it("asks it again by and by, and is back when it answers", async () => {
    const { limiter, state, events, calls } = setup({ waitMs: 20, pauseMs: 1 });
    state.isAway = true;
    await limiter.take(open, "a");
    state.isAway = false;
    let verdict = await limiter.take(open, "a");
    while (verdict.source === "fallback") {
      await new Promise((resolve) => setTimeout(resolve, 1));
      verdict = await limiter.take(open, "a");
    }
    assert.equal(verdict.source, "store");
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["store_away", "store_back"],
    );
    assert.equal(calls.length, 2);
    await limiter.stop();
  });

  it("lets nobody have more than it has alone, and refuses nobody for ever", async () => {
    const { limiter, state } = setup();
    state.isAway = true;
    const large = await limiter.take(minute, "a", 60);
    assert.equal(large.isAllowed, true);
    assert.equal(await allowed([limiter.take(minute, "a", 1)]), 0);
    await limiter.stop();
  });
});

describe("places", () => {
  const places: LimitPolicy = { name: "jobs", algorithm: "concurrency", limit: 2, windowMs: 150 };

  it("are had by as many as there are, and by the next when one is released", async () => {
    const { limiter } = setup();
    const [first, second, third] = await Promise.all(
      [1, 2, 3].map(() => limiter.enter(places, "a")),
    );
    assert(first?.place && second?.place);
    assert.equal(third?.place, undefined);
    assert(third?.verdict.isAllowed === false && third.verdict.retryAfterMs <= 150);
    await first.place.release();
    await first.place.release();
    const next = await limiter.enter(places, "a");
    assert(next.place);
    assert.equal((await limiter.enter(places, "a")).place, undefined);
    await limiter.stop();
    const { limiter: later } = setup();
    await later.stop();
  });

  it("are renewed while they are held", async () => {
    const { limiter, store } = setup();
    const other = createLimiter({ store });
    for (const _ of [1, 2]) assert((await limiter.enter(places, "a")).place);
    const until = performance.now() + 3 * places.windowMs;
    while (performance.now() < until) {
      assert.equal((await other.enter(places, "a")).place, undefined);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await limiter.stop();
    assert((await other.enter(places, "a")).place);
    await other.stop();
  });

  it("are counted here while the store is away, those from before as well", async () => {
    const { limiter, state } = setup();
    const wide: LimitPolicy = {
      ...places,
      name: "wide",
      limit: 3,
      windowMs: 60_000,
      fallback: "open",
    };
    const [first] = [await limiter.enter(wide, "a"), await limiter.enter(wide, "a")];
    state.isAway = true;
    const third = await limiter.enter(wide, "a");
    assert.equal(third.verdict.source, "fallback");
    assert(third.place);
    assert.equal((await limiter.enter(wide, "a")).place, undefined);
    await first?.place?.release();
    assert((await limiter.enter(wide, "a")).place);
    await limiter.stop();
  });
});

describe("headers of limits", () => {
  const verdict: Verdict = {
    policy: minute,
    isAllowed: true,
    limit: 100,
    remaining: 42,
    resetMs: 17_001,
    retryAfterMs: 0,
    source: "store",
  };
  const exports: LimitPolicy = {
    name: "exports",
    algorithm: "concurrency",
    limit: 4,
    windowMs: 30_000,
  };

  it("say what the limits are, what is left, and until when", () => {
    const refused = {
      ...verdict,
      policy: exports,
      isAllowed: false,
      remaining: 0,
      retryAfterMs: 900,
    };
    assert.deepEqual(limitHeaders([verdict, refused]), {
      "ratelimit-policy": '"minute";q=100;w=60, "exports";q=4;qu="concurrent-requests"',
      ratelimit: '"minute";r=42;t=18, "exports";r=0;t=1',
    });
    assert.equal(retryAfterSeconds([verdict, refused]), 1);
    assert.equal(retryAfterSeconds([{ ...refused, retryAfterMs: 61_001 }]), 62);
  });
});
