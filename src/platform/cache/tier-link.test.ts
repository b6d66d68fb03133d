import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId } from "../../kernel/ids.ts";
import { settle, setup } from "./cache.fixture.ts";
import { createCache } from "./cache.ts";
import { createFaultyTier } from "./faulty-tier.fixture.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const short = { tierTimeoutMs: 20, tierRestMs: 20 };

describe("a shared tier that is away", () => {
  for (const fault of ["isDown", "isPaused"] as const) {
    it(`is done without, and hears of removals before it is read again: ${fault}`, async () => {
      const tier = createFaultyTier();
      const { cache, config, bump, events, tenantId, at } = setup({ tier, ...short });
      await settle(cache, tenantId, "a");
      tier[fault] = true;
      bump(tenantId, "a");
      await cache.invalidate(tenantId, { keys: ["a"] });
      assert.equal(await cache.get(tenantId, "a"), at("a", 1));
      const asked = tier.calls.length;
      assert.equal(await cache.get(tenantId, "b"), at("b"));
      assert.equal(tier.calls.length, asked, "nobody waits for a tier that is known to be away");
      assert.equal(tier.values.size, 1, "the tier has the old value still");
      tier[fault] = false;
      while (!events.some(({ kind }) => kind === "tier_back")) await nextTurn();
      assert.equal(tier.values.size, 0);
      assert.equal(await createCache(config).get(tenantId, "a"), at("a", 1));
    });
  }

  it("has everything in it doubted when it missed too many removals", async () => {
    const tier = createFaultyTier();
    const { cache, config, bump, events, tenantId, at } = setup({ tier, ...short, removalsMax: 3 });
    const keys = ["a", "b", "c", "d", "e"];
    for (const key of keys) await settle(cache, tenantId, key);
    tier.isDown = true;
    for (const key of keys) {
      bump(tenantId, key);
      await cache.invalidate(tenantId, { keys: [key] });
    }
    tier.isDown = false;
    while (!events.some(({ kind }) => kind === "tier_back")) await nextTurn();
    assert.deepEqual(
      await createCache(config).getMany(tenantId, keys),
      keys.map((key) => at(key, 1)),
    );
  });

  it("and forgot everything is filled again", async () => {
    const tier = createFaultyTier();
    const { cache, config, loads, tenantId, at } = setup({ tier });
    await settle(cache, tenantId, "a");
    tier.flush();
    await settle(createCache(config), tenantId, "a");
    assert.equal(await createCache(config).get(tenantId, "a"), at("a"));
    assert.equal(loads.length, 2);
  });
});

describe("bytes in the shared tier", () => {
  it("that are damaged, of another format or of another key are a miss", async () => {
    const tier = createFaultyTier();
    const { cache, config, loads, tenantId, at, events } = setup({ tier });
    const other = newId<"tenant">();
    await settle(cache, other, "a");
    const [theirs] = tier.values.values();
    await settle(cache, tenantId, "a");
    const name = [...tier.values.keys()].find((key) => key.includes(tenantId)) ?? "";
    const good = tier.values.get(name) ?? Buffer.alloc(0);
    const flipped = Buffer.from(good);
    flipped.writeUInt8(good.readUInt8(good.length - 2) ^ 1, good.length - 2);
    const newer = Buffer.from(good);
    newer.writeUInt8(9, 0);
    const garbage = [theirs, flipped, newer, Buffer.alloc(0), Buffer.from("{}"), good.subarray(3)];
    for (const bytes of garbage) {
      tier.values.set(name, bytes as Buffer);
      await settle(createCache(config), tenantId, "a");
      assert.equal(await createCache(config).get(tenantId, "a"), at("a"));
    }
    assert.equal(loads.length, 2 + garbage.length);
    // Seen before the right to load is asked for, and once more when it is had.
    assert.equal(events.filter(({ kind }) => kind === "tier_garbled").length, 2 * garbage.length);
  });

  it("of another version of the program's values are not found", async () => {
    const tier = createFaultyTier();
    const { cache, config, loads, tenantId } = setup({ tier });
    await cache.get(tenantId, "a");
    await createCache({ ...config, version: "2" }).get(tenantId, "a");
    assert.equal(loads.length, 2);
  });

  it("lie under names a tier can take, whatever the key", async () => {
    const tier = createFaultyTier();
    const { cache, tenantId } = setup({ tier, tagsOfKey: () => ["Größe / ✂"] });
    const keys = ["ß", "a b", "x".repeat(1_000), "~", "=", "a\nb"];
    await cache.getMany(tenantId, keys);
    for (const key of keys) await settle(cache, tenantId, key);
    const names = [...tier.values.keys()];
    assert.equal(names.length, 6);
    for (const name of names) assert.match(name, /^[!-~]{1,512}$/);
  });

  it("are not written for a value that cannot be encoded, which is kept in the process", async () => {
    const tier = createFaultyTier();
    const { cache, events, tenantId } = setup({
      tier,
      codec: {
        encode() {
          throw new Error("cannot");
        },
        decode: String,
      },
    });
    await settle(cache, tenantId, "a");
    assert.equal(tier.values.size, 0);
    assert(events.some(({ kind }) => kind === "not_encoded"));
    // The right to load was given back.
    assert(tier.calls.includes("unclaim"));
  });
});

describe("tags of values", () => {
  const tagsOfValue = (_: string, value: string) => [`v${value.at(-1)}`];

  it("drop them on every node", async () => {
    const tier = createFaultyTier();
    const { cache, config, bump, tenantId, at } = setup({ tier, tagsOfValue });
    const other = createCache(config);
    await cache.get(tenantId, "a");
    assert.equal(await other.get(tenantId, "a"), at("a", 0));
    assert.equal(other.stats().sharedHits, 1);
    bump(tenantId, "a");
    await cache.invalidate(tenantId, { tags: ["v0"] });
    assert.equal(await cache.get(tenantId, "a"), at("a", 1));
    assert.equal(await createCache(config).get(tenantId, "a"), at("a", 1));
  });

  it("do not vouch for what was loaded before they were invalidated", async () => {
    const tier = createFaultyTier();
    const { cache, config, bump, source, loads, tenantId, at } = setup({ tier, tagsOfValue });
    const other = createCache(config);
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const early = cache.get(tenantId, "a");
    while (loads.length === 0) await nextTurn();
    bump(tenantId, "a");
    await other.invalidate(tenantId, { tags: ["v0"] });
    gate.resolve();
    assert.equal(await early, at("a", 0));
    assert.equal(await other.get(tenantId, "a"), at("a", 1));
  });
});
