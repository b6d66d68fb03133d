import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fullJitter } from "./backoff.ts";
import { seededRandom } from "./random.ts";

describe("the seeded generator", () => {
  it("gives the same sequence for the same seed, within its range", () => {
    const draw = (seed: number) => Array.from({ length: 100 }, seededRandom(seed));
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert(draw(7).every((value) => value >= 0 && value < 1));
  });
});

describe("full jitter", () => {
  it("stays below the doubling bound and the maximum", () => {
    const backoff = { baseMs: 10, maxMs: 100 };
    assert.equal(fullJitter(backoff, 0, () => 0.999_999) < 10, true);
    assert.equal(
      fullJitter(backoff, 2, () => 0.5),
      20,
    );
    assert.equal(
      fullJitter(backoff, 99, () => 1),
      100,
    );
  });
});
