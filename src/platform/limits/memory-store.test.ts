import assert from "node:assert/strict";
import { it } from "node:test";
import { limitStoreSuite } from "./limit-store.fixture.ts";
import { createMemoryLimitStore } from "./memory-store.ts";
import type { LimitPolicy } from "./policy.ts";

limitStoreSuite("memory", async () => {
  const store = createMemoryLimitStore();
  return { store, other: store, stop: async () => {} };
});

it("limits in memory go by the clock they are given, and forget keys that are over", () => {
  let nowMs = 1_000_000;
  const store = createMemoryLimitStore(() => nowMs);
  const policy: LimitPolicy = { name: "a", algorithm: "fixed_window", limit: 1, windowMs: 1_000 };
  const take = (key: string) => {
    const asked = { verb: "take", policy, key, cost: 1, upTo: 1, ticket: 0 } as const;
    return store.apply([[asked]])[0]?.[0]?.isGranted;
  };
  assert.equal(take("x"), true);
  nowMs += 999;
  assert.equal(take("x"), false);
  nowMs += 1;
  assert.equal(take("x"), true);
  for (let at = 0; at < 10_000; at++) {
    assert.equal(take(`key ${at}`), true);
    nowMs += 1;
  }
  assert(store.size() < 3_000, `${store.size()} keys are kept`);
});
