import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { seededRandom } from "../../kernel/random.ts";
import { setup } from "./cache.fixture.ts";
import { createCache } from "./cache.ts";
import { createFaultyTier } from "./faulty-tier.fixture.ts";
import { isRefreshedEarly, spanOf } from "./freshness.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

describe("the life of a value", () => {
  const lifetimes = {
    ttlMs: 1_000,
    missingTtlMs: 100,
    freshMs: 600,
    staleIfErrorMs: 5_000,
    jitter: 0.5,
    earliness: 1,
  };

  it("is shortened at random by no more than its jitter", () => {
    const random = seededRandom(1);
    const arrival = { isMissing: false, ageMs: 0, loadMs: 0 };
    const ends = Array.from(
      { length: 1_000 },
      () => spanOf(lifetimes, arrival, 0, random).goodUntilMs,
    );
    assert(ends.every((end) => end > 500 && end <= 1_000));
    const mean = ends.reduce((sum, end) => sum + end) / ends.length;
    assert(Math.abs(mean - 750) < 20, String(mean));
  });

  it("counts from when it was loaded, not from when it was found", () => {
    const span = spanOf(lifetimes, { isMissing: false, ageMs: 300, loadMs: 0 }, 0, () => 0);
    assert.deepEqual(span, {
      quietUntilMs: 300,
      freshUntilMs: 300,
      goodUntilMs: 700,
      keptUntilMs: 5_700,
    });
  });

  it("of what does not exist is short, and never prolonged", () => {
    const span = spanOf(lifetimes, { isMissing: true, ageMs: 0, loadMs: 0 }, 0, () => 0);
    assert.equal(span.goodUntilMs, 100);
    assert.equal(span.keptUntilMs, 100);
  });

  it("ends early for about one of many readers, and hardly ever before it is quiet no more", () => {
    const random = seededRandom(7);
    const span = spanOf(lifetimes, { isMissing: false, ageMs: 0, loadMs: 20 }, 0, () => 0);
    assert.equal(span.quietUntilMs, 600 - 12 * 20);
    const rounds = 500;
    let early = 0;
    for (let round = 0; round < rounds; round++) {
      // A read a millisecond, until one of them goes ahead.
      for (let nowMs = span.quietUntilMs; nowMs < span.freshUntilMs; nowMs++) {
        if (!isRefreshedEarly(span, 20, nowMs, random)) continue;
        early++;
        break;
      }
    }
    assert(early > rounds * 0.9, `${early} of ${rounds} were refreshed before the end`);
    const atQuiet = Array.from({ length: 10_000 }, () =>
      isRefreshedEarly(span, 20, span.quietUntilMs, random),
    );
    assert(atQuiet.filter(Boolean).length <= 3);
  });
});

describe("a value that gets old", () => {
  it("is answered, and loaded once behind the answer", async () => {
    const { cache, bump, loads, time, tenantId, at } = setup({ freshMs: 500 });
    await cache.get(tenantId, "a");
    bump(tenantId, "a");
    time.nowMs = 499;
    assert.equal(cache.get(tenantId, "a"), at("a", 0));
    await nextTurn();
    assert.equal(loads.length, 1);
    time.nowMs = 500;
    for (let reader = 0; reader < 100; reader++) {
      assert.equal(cache.get(tenantId, "a"), at("a", 0));
    }
    while (loads.length === 1) await nextTurn();
    await nextTurn();
    assert.equal(cache.get(tenantId, "a"), at("a", 1));
    assert.equal(loads.length, 2);
    assert.equal(cache.stats().refreshes, 1);
  });

  it("is refreshed by one of several nodes, and the others find it", async () => {
    const tier = createFaultyTier();
    const { cache, config, bump, loads, time, source, tenantId, at } = setup({
      tier,
      freshMs: 500,
    });
    const other = createCache(config);
    await cache.get(tenantId, "a");
    await other.get(tenantId, "a");
    bump(tenantId, "a");
    time.nowMs = 500;
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    assert.equal(cache.get(tenantId, "a"), at("a", 0));
    while (loads.length === 1) await nextTurn();
    // The other node gives way to the first one's claim.
    assert.equal(other.get(tenantId, "a"), at("a", 0));
    while (tier.calls.filter((call) => call === "claim").length < 3) await nextTurn();
    gate.resolve();
    while (cache.get(tenantId, "a") !== at("a", 1)) await nextTurn();
    time.nowMs = 1_500;
    assert.equal(await other.get(tenantId, "a"), at("a", 1));
    assert.equal(loads.length, 2);
  });

  it("is answered for a while when loading fails, and not after an invalidation", async () => {
    const { cache, source, time, tenantId, at, events } = setup({ staleIfErrorMs: 5_000 });
    await cache.get(tenantId, "a");
    source.fails = true;
    time.nowMs = 1_000;
    assert.equal(await cache.get(tenantId, "a"), at("a"));
    assert(events.some(({ kind }) => kind === "stale_answered"));
    time.nowMs = 5_999;
    assert.equal(await cache.get(tenantId, "a"), at("a"));
    await cache.invalidate(tenantId, { keys: ["a"] });
    await assert.rejects(async () => cache.get(tenantId, "a"), /the source is away/);
  });

  it("is dropped at its very end", async () => {
    const { cache, source, time, tenantId } = setup({ staleIfErrorMs: 5_000 });
    await cache.get(tenantId, "a");
    source.fails = true;
    time.nowMs = 6_000;
    await assert.rejects(async () => cache.get(tenantId, "a"), /the source is away/);
  });
});

describe("loads that fail or hang", () => {
  it("are not repeated for a moment, where that is wanted", async () => {
    const { cache, source, loads, tenantId, at } = setup({ errorTtlMs: 20 });
    source.fails = true;
    await assert.rejects(async () => cache.get(tenantId, "a"), /the source is away/);
    await assert.rejects(async () => cache.get(tenantId, "a"), /the source is away/);
    assert.equal(loads.length, 1);
    source.fails = false;
    while ((await Promise.resolve(cache.get(tenantId, "a")).catch(() => "")) !== at("a")) {
      await nextTurn();
    }
    assert.equal(loads.length, 2);
  });

  it("are given up after their time, and told so", async () => {
    let told: AbortSignal | undefined;
    const { cache, tenantId } = setup({
      loadTimeoutMs: 10,
      load(_, __, signal) {
        told = signal;
        return new Promise(() => {});
      },
    });
    await assert.rejects(async () => cache.get(tenantId, "a"), { code: "ERR_CACHE_LOAD_TIMEOUT" });
    assert(told?.aborted);
  });

  it("that bring too few values are a fault", async () => {
    const { cache, tenantId } = setup({ load: async () => ["one"] });
    await assert.rejects(async () => cache.getMany(tenantId, ["a", "b"]), /one value per key/);
  });

  it("are refused when too many are under way", async () => {
    const { cache, tenantId, at } = setup({ flightsMax: 2 });
    const first = cache.getMany(tenantId, ["a", "b"]);
    await assert.rejects(async () => cache.get(tenantId, "c"), { code: "ERR_CACHE_FULL" });
    assert.deepEqual(await first, [at("a"), at("b")]);
    assert.equal(await cache.get(tenantId, "c"), at("c"));
  });
});
