import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findOptional, skipWithout } from "../../testing/optional.ts";
import { lru, type MakePolicy, s3Fifo } from "./eviction.ts";
import { hasXz, readBlockTrace, readExpectedMisses, replay } from "./traces.fixture.ts";

/** Rows of libCacheSim, and the policy that has to miss exactly what they say. */
const rows: readonly (readonly [row: string, policy: MakePolicy])[] = [
  ["LRU", lru],
  ["S3FIFO", s3Fifo(2)],
  ["QDLP_FIFO", s3Fifo(1)],
];

describe("eviction of the local store on a recorded trace", () => {
  const skip = skipWithout("real data") || (hasXz() ? false : "needs the program xz");
  const folder = findOptional("real data") ?? "";
  for (const [row, policy] of rows) {
    it(`misses to the unit what libCacheSim's ${row} misses, at every size`, { skip }, () => {
      const trace = readBlockTrace(folder);
      const expected = readExpectedMisses(folder);
      assert.equal(expected.cache_sizes_bytes.length, 8);
      for (const [at, bytesMax] of expected.cache_sizes_bytes.entries()) {
        assert.deepEqual(replay(trace, policy, bytesMax), {
          count: expected.algorithms[row]?.miss_count[at],
          bytes: expected.algorithms[row]?.miss_bytes[at],
        });
      }
    });
  }
});
