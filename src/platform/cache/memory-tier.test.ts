import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMemorySharedTier } from "./memory-tier.ts";
import { sharedTierSuite } from "./shared-tier.fixture.ts";

sharedTierSuite("memory", async () => {
  const tier = createMemorySharedTier();
  return { tier, other: tier, stop: async () => {} };
});

describe("a shared tier in memory", () => {
  const entry = (key: string, size: number) => ({ key, bytes: Buffer.alloc(size), ttlMs: 1_000 });

  it("keeps within its bytes: what was longest unused goes first", async () => {
    const tier = createMemorySharedTier({ bytesMax: 3_500 });
    await tier.write([entry("a", 1_000), entry("b", 1_000), entry("c", 1_000)]);
    await tier.read(["a"]);
    await tier.write([entry("d", 1_000)]);
    const kept = await tier.read(["a", "b", "c", "d"]);
    assert.deepEqual(
      kept.map((value) => value !== undefined),
      [true, false, true, true],
    );
    await tier.write([entry("huge", 4_000)]);
    assert.deepEqual(await tier.read(["huge", "d"]), [undefined, undefined]);
  });

  it("counts values and rights to load by the clock it is given", async () => {
    let nowMs = 1_000;
    const tier = createMemorySharedTier({ now: () => nowMs });
    await tier.write([entry("a", 1)]);
    const claim = await tier.claim("b", 500);
    assert(claim);
    nowMs += 499;
    assert.equal(await tier.claim("b", 500), undefined);
    nowMs += 1;
    assert.equal(await tier.fill(claim, entry("b", 1)), false);
    assert((await tier.read(["a"]))[0]);
    nowMs += 500;
    assert.deepEqual(await tier.read(["a"]), [undefined]);
  });

  it("begins no tag again at an older epoch when its clock goes back", async () => {
    let nowMs = 2_000;
    const tier = createMemorySharedTier({ now: () => nowMs });
    const [first = 0] = await tier.epochs(["t"]);
    nowMs = 1_000;
    await tier.renew(["t"]);
    const [second = 0] = await tier.epochs(["t"]);
    assert(second > first);
  });
});
