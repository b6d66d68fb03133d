import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createBus, settle, setup } from "./cache.fixture.ts";
import { createCache } from "./cache.ts";
import { createFaultyTier } from "./faulty-tier.fixture.ts";
import { createFloors } from "./floors.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

describe("positions", () => {
  it("keep a reader from getting anything older than what it knows of", async () => {
    const { cache, bump, source, loads, tenantId, at } = setup();
    source.isPositioned = true;
    await cache.get(tenantId, "a");
    bump(tenantId, "a");
    assert.equal(cache.get(tenantId, "a"), at("a", 0));
    assert.equal(await cache.get(tenantId, "a", { notBefore: 1 }), at("a", 1));
    assert.equal(cache.get(tenantId, "a", { notBefore: 1 }), at("a", 1));
    assert.equal(loads.length, 2);
  });

  it("are not taken from a load that began before", async () => {
    const { cache, bump, source, loads, tenantId, at } = setup();
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    source.isPositioned = true;
    const early = cache.get(tenantId, "a");
    await nextTurn();
    bump(tenantId, "a");
    const late = cache.get(tenantId, "a", { notBefore: 1 });
    gate.resolve();
    assert.equal(await early, at("a", 0));
    assert.equal(await late, at("a", 1));
    assert.equal(cache.get(tenantId, "a"), at("a", 1));
    assert.equal(loads.length, 2);
  });

  it("load anew what does not say where it stood", async () => {
    const { cache, loads, tenantId, at } = setup();
    await cache.get(tenantId, "a");
    assert.equal(await cache.get(tenantId, "a", { notBefore: 1 }), at("a"));
    assert.equal(loads.length, 2);
  });

  it("tell who asks when the source itself is behind", async () => {
    const { cache, source, tenantId, at } = setup();
    source.isPositioned = true;
    const behind = cache.get(tenantId, "a", { notBefore: 5 });
    const content = cache.get(tenantId, "a");
    await assert.rejects(async () => behind, { code: "ERR_CACHE_BEHIND", retryable: true });
    assert.equal(await content, at("a"));
  });

  it("of an invalidation spare what is not older", async () => {
    const { cache, bump, source, loads, tenantId, at } = setup();
    source.isPositioned = true;
    bump(tenantId, "a");
    await cache.get(tenantId, "a");
    await cache.invalidate(tenantId, { keys: ["a"], position: 1 });
    assert.equal(cache.get(tenantId, "a"), at("a", 1));
    await cache.invalidate(tenantId, { keys: ["a"], position: 2 });
    assert.equal(await cache.get(tenantId, "a"), at("a", 1));
    assert.equal(loads.length, 2);
  });

  it("keep a tier that missed a removal from serving the old value", async () => {
    for (const stale of [{ keys: ["a"] }, { tags: ["t"] }, {}]) {
      const tier = createFaultyTier();
      const { bus, say } = createBus();
      const { cache, config, bump, source, tenantId, at } = setup({
        ...{ tier, invalidations: bus },
        tagsOfKey: () => ["t"],
      });
      source.isPositioned = true;
      await settle(cache, tenantId, "a");
      bump(tenantId, "a");
      const other = createCache(config);
      // The server comes back as it was before, and says that it heard.
      tier.remove = async () => {};
      tier.renew = async () => [];
      say({ cache: "test", tenantId, position: 1, ...stale });
      assert.equal(tier.values.size, 1);
      assert.equal(await other.get(tenantId, "a"), at("a", 1));
      assert.equal(await cache.get(tenantId, "a"), at("a", 1));
    }
  });
});

describe("floors", () => {
  const tenant = newId<"tenant">();
  const other = newId<"tenant">();
  const raise = (
    floors: ReturnType<typeof createFloors>,
    tenantId: TenantId,
    position: number,
    key?: string,
  ) => floors.raise({ cache: "", tenantId, position, ...(key ? { keys: [key] } : {}) }, 0);

  it("hold for their keys and tags only, and never sink", () => {
    const floors = createFloors({ floorsMax: 10, tenantsMax: 10, keepMs: 100 });
    raise(floors, tenant, 5, "a");
    raise(floors, tenant, 3, "a");
    floors.raise({ cache: "", tenantId: tenant, position: 7, tags: ["t"] }, 0);
    assert.equal(floors.of(tenant, "a", [], 99), 5);
    assert.equal(floors.of(tenant, "b", [], 99), Number.NEGATIVE_INFINITY);
    assert.equal(floors.of(tenant, "b", ["t"], 99), 7);
    assert.equal(floors.of(other, "a", ["t"], 99), Number.NEGATIVE_INFINITY);
    assert.equal(floors.of(tenant, "a", ["t"], 100), Number.NEGATIVE_INFINITY);
  });

  it("become one for all of a tenant when it has too many", () => {
    const floors = createFloors({ floorsMax: 3, tenantsMax: 10, keepMs: 100 });
    for (let at = 0; at < 4; at++) raise(floors, tenant, 10 + at, `k${at}`);
    assert.equal(floors.of(tenant, "never named", [], 50), 13);
  });

  it("let nothing old pass for a tenant that had to be forgotten", () => {
    const floors = createFloors({ floorsMax: 3, tenantsMax: 1, keepMs: 100 });
    raise(floors, tenant, 5, "a");
    raise(floors, other, 5, "a");
    assert.equal(floors.of(tenant, "a", [], 99), Number.POSITIVE_INFINITY);
    assert.equal(floors.of(tenant, "a", [], 100), Number.NEGATIVE_INFINITY);
  });
});
