import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { TenantId } from "../../kernel/ids.ts";
import { lru, type MakePolicy, s3Fifo } from "./eviction.ts";
import { createLocalStore } from "./local-store.ts";

const tenants = ["t1", "t2", "t3"] as TenantId[];

type Step =
  | { readonly do: "get"; readonly tenant: number; readonly key: string }
  | { readonly do: "delete"; readonly tenant: number; readonly key: string }
  | {
      readonly do: "set";
      readonly tenant: number;
      readonly key: string;
      readonly size: number;
      readonly lifeMs: number;
    }
  | { readonly do: "deleteTenant"; readonly tenant: number }
  | { readonly do: "pass"; readonly ms: number };

const tenant = fc.nat(tenants.length - 1);
const key = fc.constantFrom(..."abcdefgh");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("get" as const), tenant, key }) },
  {
    weight: 8,
    arbitrary: fc.record({
      ...{ do: fc.constant("set" as const), tenant, key },
      size: fc.integer({ min: 1, max: 12 }),
      lifeMs: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), tenant, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deleteTenant" as const), tenant }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat(9) }) },
);

const limits = { bytesMax: 30, entriesMax: 6 };
const policies: Readonly<Record<string, MakePolicy>> = {
  lru,
  s3Fifo: s3Fifo(),
  s3FifoOf2: s3Fifo(2),
};

/** What the store must agree with: what was set and has not left. */
interface Reference {
  readonly live: Map<string, { value: number; size: number; endsMs: number }>;
}

describe("the local store", () => {
  for (const [name, policy] of Object.entries(policies)) {
    it(`answers with what was set last or not at all, within its limits, by ${name}`, () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 100, maxLength: 300, size: "max" }), (steps) =>
          run(policy, steps),
        ),
        {
          numRuns: 300,
        },
      );
    });
  }

  it("evicts in the order of use, as a list that is searched does", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 200, size: "max" }), (steps) => {
        const evicted: string[] = [];
        const store = createLocalStore<number>({
          ...{ ...limits, policy: lru },
          onRemoved: (tenantId, key, _, cause) =>
            cause === "evicted" && evicted.push(tenantId + key),
        });
        assert.deepEqual(replayNaively(steps, store), evicted);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses what is larger than itself, and drops what was there before", () => {
    const store = createLocalStore<number>(limits);
    const [tenantId] = tenants as [TenantId];
    assert(store.set(tenantId, "a", 1, { sizeBytes: 30, expiresAtMs: 9 }));
    assert(!store.set(tenantId, "a", 2, { sizeBytes: 31, expiresAtMs: 9 }));
    assert.equal(store.get(tenantId, "a", 0), undefined);
    assert.deepEqual(store.usage(), { bytes: 0, entries: 0 });
  });

  it("lets a scan pass without losing what is used", () => {
    const store = createLocalStore<number>({ bytesMax: 1e9, entriesMax: 100 });
    const [tenantId] = tenants as [TenantId];
    const placing = { sizeBytes: 1, expiresAtMs: Number.POSITIVE_INFINITY };
    for (let hot = 0; hot < 50; hot++) {
      store.set(tenantId, `hot${hot}`, hot, placing);
      store.get(tenantId, `hot${hot}`, 0);
    }
    for (let at = 0; at < 10_000; at++) store.set(tenantId, `scan${at}`, at, placing);
    const kept = Array.from({ length: 50 }, (_, hot) => store.get(tenantId, `hot${hot}`, 0));
    assert.equal(kept.filter((value) => value !== undefined).length, 50);
  });
});

function run(policy: MakePolicy, steps: readonly Step[]): void {
  const reference: Reference = { live: new Map() };
  const store = createLocalStore<number>({
    ...{ ...limits, policy },
    onRemoved(tenantId, key, value, cause) {
      if (cause !== "evicted") return;
      const name = `${tenantId}${key}`;
      assert.equal(reference.live.get(name)?.value, value);
      reference.live.delete(name);
    },
  });
  let nowMs = 0;
  for (const [at, each] of steps.entries()) {
    if (each.do === "pass") nowMs += each.ms;
    else apply(store, reference, { ...each, at, nowMs });
    const bytes = [...reference.live.values()].reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual(store.usage(), { bytes, entries: reference.live.size });
    assert(bytes <= limits.bytesMax && reference.live.size <= limits.entriesMax);
  }
  for (const tenantId of tenants) {
    const listed = [...store.entriesOf(tenantId)].map((entry) => tenantId + entry.key).sort();
    const expected = [...reference.live.keys()].filter((name) => name.startsWith(tenantId)).sort();
    assert.deepEqual(listed, expected);
  }
  store.clear();
  assert.deepEqual(store.usage(), { bytes: 0, entries: 0 });
}

type Timed<Each> = Each & { readonly at: number; readonly nowMs: number };

function apply(
  store: ReturnType<typeof createLocalStore<number>>,
  { live }: Reference,
  each: Timed<Exclude<Step, { do: "pass" }>>,
): void {
  const tenantId = tenants[each.tenant] as TenantId;
  if (each.do === "deleteTenant") {
    const names = [...live.keys()].filter((name) => name.startsWith(tenantId));
    for (const name of names) live.delete(name);
    assert.equal(store.deleteTenant(tenantId), names.length);
    return;
  }
  const name = `${tenantId}${each.key}`;
  const known = live.get(name);
  if (each.do === "set") {
    const endsMs = each.nowMs + each.lifeMs;
    live.delete(name);
    assert(store.set(tenantId, each.key, each.at, { sizeBytes: each.size, expiresAtMs: endsMs }));
    live.set(name, { value: each.at, size: each.size, endsMs });
  } else if (each.do === "get") {
    const expected = known && known.endsMs > each.nowMs ? known.value : undefined;
    assert.equal(store.get(tenantId, each.key, each.nowMs), expected);
  } else {
    live.delete(name);
    assert.equal(store.delete(tenantId, each.key), known !== undefined);
  }
}

/** LRU by a plain list. @returns who was evicted, in order */
function replayNaively(
  steps: readonly Step[],
  store: ReturnType<typeof createLocalStore<number>>,
): readonly string[] {
  let list: { name: string; size: number }[] = [];
  const evicted: string[] = [];
  const touch = (name: string) => {
    const at = list.findIndex((each) => each.name === name);
    if (at >= 0) list.push(...list.splice(at, 1));
    return at >= 0;
  };
  for (const each of steps) {
    if (each.do === "pass") continue;
    const tenantId = tenants[each.tenant] as TenantId;
    if (each.do === "deleteTenant") {
      list = list.filter(({ name }) => !name.startsWith(tenantId));
      store.deleteTenant(tenantId);
      continue;
    }
    const name = tenantId + each.key;
    if (each.do === "get") {
      assert.equal(store.get(tenantId, each.key, 0) !== undefined, touch(name));
      continue;
    }
    list = list.filter((other) => other.name !== name);
    if (each.do === "delete") {
      store.delete(tenantId, each.key);
      continue;
    }
    const bytes = () => list.reduce((sum, { size }) => sum + size, 0);
    while (bytes() + each.size > limits.bytesMax || list.length >= limits.entriesMax) {
      evicted.push(list.shift()?.name ?? "");
    }
    list.push({ name, size: each.size });
    store.set(tenantId, each.key, 1, { sizeBytes: each.size, expiresAtMs: 1 });
  }
  return evicted;
}
