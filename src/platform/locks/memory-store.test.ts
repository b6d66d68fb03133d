import assert from "node:assert/strict";
import { it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { leaseStoreSuite } from "./lease-store.fixture.ts";
import { createMemoryLeaseStore } from "./memory-store.ts";

leaseStoreSuite("memory", async () => {
  const store = createMemoryLeaseStore();
  return { store, other: store, stop: async () => {} };
});

it("in memory, leases end by the clock they are given", async () => {
  let nowMs = 1_000_000;
  const store = createMemoryLeaseStore(() => nowMs);
  const first = { name: "a", holder: newId(), leaseMs: 1_000 };
  const lease = await store.take(first);
  nowMs += 999;
  assert.equal(await store.take({ ...first, holder: newId() }), undefined);
  nowMs += 1;
  assert.equal(await store.extend(first), undefined);
  const next = await store.take({ ...first, holder: newId() });
  assert(lease && next && next.token > lease.token);
});
