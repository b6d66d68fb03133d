import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createBus, settle, setup } from "./cache.fixture.ts";
import { type Cache, createCache } from "./cache.ts";
import { createFaultyTier } from "./faulty-tier.fixture.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const isHit = (cache: Cache<string>, tenantId: TenantId, key: string) =>
  !(cache.get(tenantId, key) instanceof Promise);

describe("a cache", () => {
  it("loads what it does not hold, and then answers at once", async () => {
    const { cache, loads, tenantId, at } = setup();
    assert.equal(await cache.get(tenantId, "a"), at("a"));
    assert.equal(cache.get(tenantId, "a"), at("a"));
    assert.deepEqual(loads, [["a"]]);
  });

  it("loads once for a thousand who ask at once", async () => {
    const { cache, loads, tenantId, at } = setup();
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () => cache.get(tenantId, "a")),
    );
    assert(answers.every((answer) => answer === at("a")));
    assert.deepEqual(loads, [["a"]]);
  });

  it("loads together what is missed in one turn, and of getMany only what it does not hold", async () => {
    const { cache, loads, tenantId, at } = setup();
    await Promise.all([cache.get(tenantId, "a"), cache.get(tenantId, "b")]);
    assert.deepEqual(await cache.getMany(tenantId, ["a", "c", "none", "b"]), [
      at("a"),
      at("c"),
      undefined,
      at("b"),
    ]);
    assert.deepEqual(loads, [
      ["a", "b"],
      ["c", "none"],
    ]);
    assert.deepEqual(cache.getMany(tenantId, ["a", "none"]), [at("a"), undefined]);
  });

  for (const tier of [undefined, createFaultyTier()]) {
    it(`keeps tenants apart, ${tier ? "over" : "without"} a tier`, async () => {
      const { cache, config, loads, tenantId, at } = setup(tier ? { tier } : {});
      const other = newId<"tenant">();
      await settle(cache, tenantId, "a");
      await settle(cache, other, "a");
      assert.equal(cache.get(tenantId, "a"), at("a"));
      assert.equal(cache.get(other, "a"), `${other}/a@0`);
      if (tier) {
        const node = createCache(config);
        assert.equal(await node.get(tenantId, "a"), at("a"));
        assert.equal(await node.get(other, "a"), `${other}/a@0`);
        assert.equal(loads.length, 2, "one tenant's value pushed out the other's");
      }
      await cache.invalidate(other);
      assert.equal(cache.get(tenantId, "a"), at("a"));
      assert.equal(await createCache(config).get(other, "a"), `${other}/a@0`);
      assert.equal(loads.length, 3);
    });
  }

  it("tells all who wait that a load failed, and tries again for the next", async () => {
    const { cache, loads, tenantId, at, source } = setup();
    source.fails = true;
    const waiting = [cache.get(tenantId, "a"), cache.get(tenantId, "a")];
    for (const each of waiting) await assert.rejects(async () => each, /the source is away/);
    source.fails = false;
    assert.equal(await cache.get(tenantId, "a"), at("a"));
    assert.equal(loads.length, 2);
  });

  it("forgets after a time, and sooner what does not exist", async () => {
    const { cache, time, tenantId } = setup({ missingTtlMs: 100 });
    await cache.getMany(tenantId, ["a", "none"]);
    time.nowMs = 99;
    assert(isHit(cache, tenantId, "none"));
    time.nowMs = 100;
    assert(!isHit(cache, tenantId, "none"));
    time.nowMs = 999;
    assert(isHit(cache, tenantId, "a"));
    time.nowMs = 1_000;
    assert(!isHit(cache, tenantId, "a"));
  });
});

describe("an invalidation", () => {
  it("of keys, tags or all of a tenant drops just that", async () => {
    const { cache, tenantId } = setup({ tagsOfKey: (key) => [key.slice(0, 1)] });
    const keys = ["a1", "a2", "b1", "b2"];
    const held = () => keys.filter((key) => isHit(cache, tenantId, key));
    await cache.getMany(tenantId, keys);
    await cache.invalidate(tenantId, { keys: ["b2"] });
    assert.deepEqual(held(), ["a1", "a2", "b1"]);
    await cache.getMany(tenantId, keys);
    await cache.invalidate(tenantId, { tags: ["a"] });
    assert.deepEqual(held(), ["b1", "b2"]);
    await cache.getMany(tenantId, keys);
    await cache.invalidate(tenantId);
    assert.deepEqual(held(), []);
  });

  it("during a load: who waited gets what was loaded, and nobody after", async () => {
    const { cache, bump, loads, source, tenantId, at } = setup();
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const early = cache.get(tenantId, "a");
    await nextTurn();
    bump(tenantId, "a");
    await cache.invalidate(tenantId, { keys: ["a"] });
    const late = cache.get(tenantId, "a");
    gate.resolve();
    assert.equal(await early, at("a", 0));
    assert.equal(await late, at("a", 1));
    assert.equal(cache.get(tenantId, "a"), at("a", 1));
    assert.equal(loads.length, 2);
  });

  it("is heard from other nodes, and a doubt drops everything", async () => {
    const { bus, say, doubt, hearers } = createBus();
    const { cache, bump, tenantId, at } = setup({ invalidations: bus });
    await cache.get(tenantId, "a");
    bump(tenantId, "a");
    say({ cache: "another", tenantId });
    assert.equal(cache.get(tenantId, "a"), at("a", 0));
    say({ cache: "test", tenantId, keys: ["a"] });
    assert.equal(await cache.get(tenantId, "a"), at("a", 1));
    bump(tenantId, "a");
    doubt();
    assert.equal(await cache.get(tenantId, "a"), at("a", 2));
    await cache.stop();
    await cache.stop();
    assert.equal(hearers.size, 0);
    bump(tenantId, "a");
    assert.equal(await cache.get(tenantId, "a"), at("a", 3));
  });
});

describe("a cache over a shared tier", () => {
  it("finds what another node loaded", async () => {
    const tier = createFaultyTier();
    const { cache, config, loads, tenantId, at } = setup({ tier });
    const other = createCache(config);
    assert.equal(await cache.get(tenantId, "a"), at("a"));
    assert.equal(await cache.get(tenantId, "none"), undefined);
    assert.deepEqual(await other.getMany(tenantId, ["a", "none"]), [at("a"), undefined]);
    assert.equal(loads.length, 2);
    assert.equal(other.stats().sharedHits, 2);
  });

  it("loads once for all nodes", async () => {
    const tier = createFaultyTier();
    const { cache, config, loads, source, tenantId, at } = setup({ tier });
    const caches = [cache, createCache(config), createCache(config)];
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const answers = Array.from({ length: 999 }, (_, index) =>
      caches[index % 3]?.get(tenantId, "a"),
    );
    while (tier.calls.filter((call) => call === "claim").length < 5) await nextTurn();
    gate.resolve();
    for (const answer of answers) assert.equal(await answer, at("a"));
    assert.equal(loads.length, 1);
  });

  it("does not store what was loaded before a removal by another node", async () => {
    const tier = createFaultyTier();
    const { cache, config, bump, source, tenantId, at } = setup({ tier });
    const other = createCache(config);
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const early = cache.get(tenantId, "a");
    while (!tier.calls.includes("claim")) await nextTurn();
    await nextTurn();
    bump(tenantId, "a");
    await other.invalidate(tenantId, { keys: ["a"] });
    gate.resolve();
    assert.equal(await early, at("a", 0));
    assert.equal(await other.get(tenantId, "a"), at("a", 1));
    assert.equal(await cache.get(tenantId, "a"), at("a", 1));
  });
});
