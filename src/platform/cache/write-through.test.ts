import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createCache } from "./cache.ts";
import { createFaultyTier } from "./faulty-tier.fixture.ts";
import type { SharedTier } from "./shared-tier.ts";
import type { Put } from "./write-through.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const setup = (tier?: SharedTier) => {
  const rows = new Map<string, string>();
  const tenantId = newId<"tenant">();
  const source = {
    beforeWrite: async (_puts: readonly Put<string>[]) => {},
    afterWrite: async (_puts: readonly Put<string>[]) => {},
    loads: 0,
  };
  const make = () =>
    createCache<string>({
      name: "test",
      ttlMs: 1_000,
      ...(tier ? { tier } : {}),
      async load(_, keys) {
        source.loads++;
        return keys.map((key) => rows.get(key));
      },
      async write(_: TenantId, puts) {
        await source.beforeWrite(puts);
        for (const { key, value } of puts) {
          if (value === undefined) rows.delete(key);
          else rows.set(key, value);
        }
        await source.afterWrite(puts);
        return undefined;
      },
    });
  return { rows, tenantId, source, make, cache: make() };
};

describe("writing through", () => {
  for (const tier of [undefined, createFaultyTier()]) {
    const where = tier ? "over a tier" : "without a tier";

    it(`answers what was written, without a load, ${where}`, async () => {
      const { cache, rows, tenantId, source } = setup(tier);
      await cache.put(tenantId, "a", "1");
      assert.equal(rows.get("a"), "1");
      assert.equal(cache.get(tenantId, "a"), "1");
      await cache.put(tenantId, "a", undefined);
      assert.equal(cache.get(tenantId, "a"), undefined);
      assert.equal(source.loads, 0);
    });

    it(`keeps nothing when the write fails, which may have been done, ${where}`, async () => {
      const { cache, tenantId, source } = setup(tier);
      await cache.put(tenantId, "a", "1");
      source.afterWrite = async () => {
        throw new Error("the answer was lost");
      };
      await assert.rejects(cache.put(tenantId, "a", "2"), /the answer was lost/);
      assert.equal(await cache.get(tenantId, "a"), "2");
    });

    it(`keeps nothing of two writes that overlap, ${where}`, async () => {
      const { cache, rows, tenantId, source } = setup(tier);
      const gate = Promise.withResolvers<void>();
      source.beforeWrite = ([put]) => (put?.value === "1" ? gate.promise : Promise.resolve());
      const first = cache.put(tenantId, "a", "1");
      await cache.put(tenantId, "a", "2");
      assert.equal(await cache.get(tenantId, "a"), "2");
      gate.resolve();
      await first;
      assert.equal(rows.get("a"), "1");
      assert.equal(await cache.get(tenantId, "a"), "1");
    });

    it(`does not keep a write that another one followed before it ended, ${where}`, async () => {
      const { cache, rows, tenantId, source } = setup(tier);
      const gate = Promise.withResolvers<void>();
      source.afterWrite = ([put]) => (put?.value === "1" ? gate.promise : Promise.resolve());
      const first = cache.put(tenantId, "a", "1");
      while (rows.get("a") !== "1") await nextTurn();
      await cache.put(tenantId, "a", "2");
      gate.resolve();
      await first;
      assert.equal(await cache.get(tenantId, "a"), "2");
    });

    it(`drops what was loaded while it was written, ${where}`, async () => {
      const { cache, tenantId, source, rows } = setup(tier);
      rows.set("a", "0");
      const gate = Promise.withResolvers<void>();
      source.beforeWrite = () => gate.promise;
      const writing = cache.put(tenantId, "b", "1");
      const reading = cache.get(tenantId, "b");
      await nextTurn();
      gate.resolve();
      await writing;
      await reading;
      assert.equal(await cache.get(tenantId, "b"), "1");
    });
  }

  it("is kept in the tier for other nodes", async () => {
    const { cache, make, tenantId, source } = setup(createFaultyTier());
    await cache.put(tenantId, "a", "1");
    assert.equal(await make().get(tenantId, "a"), "1");
    assert.equal(source.loads, 0);
  });

  it("by two nodes at once leaves the tier empty, never old", async () => {
    const tier = createFaultyTier();
    const { cache, make, rows, tenantId, source } = setup(tier);
    const gate = Promise.withResolvers<void>();
    source.afterWrite = ([put]) => (put?.value === "1" ? gate.promise : Promise.resolve());
    const first = cache.put(tenantId, "a", "1");
    while (rows.get("a") !== "1") await nextTurn();
    await make().put(tenantId, "a", "2");
    gate.resolve();
    await first;
    assert.equal(rows.get("a"), "2");
    assert.equal(tier.values.size, 0);
    assert.equal(await make().get(tenantId, "a"), "2");
  });

  it("leaves nothing old in the tier when its process ends in the middle", async () => {
    const tier = createFaultyTier();
    const { cache, rows, tenantId, source } = setup(tier);
    await cache.put(tenantId, "a", "1");
    source.afterWrite = () => new Promise(() => {});
    void cache.put(tenantId, "a", "2");
    while (rows.get("a") !== "2") await nextTurn();
    assert.equal(tier.values.size, 0);
  });
});
