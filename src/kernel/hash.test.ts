import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mix32, murmur3 } from "./hash.ts";

describe("murmur3", () => {
  it("gives what the published vectors say", () => {
    assert.equal(murmur3(""), 0);
    assert.equal(murmur3("", 1), 0x514e28b7);
    assert.equal(murmur3("", 0xffffffff), 0x81f16f39);
    // Bytes ff ff ff ff, 21 43 65 87, 21 43, 00 00 00 00 and 00 00.
    assert.equal(murmur3("\uffff\uffff"), 0x76293b50);
    assert.equal(murmur3("\u4321\u8765"), 0xf55b516b);
    assert.equal(murmur3("\u4321\u8765", 0x5082edee), 0x2362f9de);
    assert.equal(murmur3("\u4321"), 0xa0f7b07a);
    assert.equal(murmur3("\u0000\u0000"), 0x2362f9de);
    assert.equal(murmur3("\u0000"), 0x30f4c306);
  });

  it("spreads keys that differ in a number evenly, in the upper and in the lower bits", () => {
    const keys = 64_000;
    for (const bucketOf of [(hash: number) => hash >>> 26, (hash: number) => hash & 63]) {
      const buckets = new Array<number>(64).fill(0);
      for (let key = 0; key < keys; key++) {
        const bucket = bucketOf(murmur3(`products:${key}`));
        buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      }
      const expected = keys / 64;
      const chiSquare = buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      // 63 degrees of freedom: 110 is passed by chance once in 5,000 times.
      assert(chiSquare < 110, `chi-square ${chiSquare}`);
    }
  });
});

describe("mix32", () => {
  it("gives no two numbers the same result", () => {
    const results = new Set(Array.from({ length: 100_000 }, (_, value) => mix32(value)));
    assert.equal(results.size, 100_000);
  });
});
