import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { type Random, seededRandom } from "../../kernel/random.ts";
import { type Cache, type CacheConfig, createCache, type Invalidation } from "./cache.ts";
import { createFaultyTier, type FaultyTier } from "./faulty-tier.fixture.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const keys = ["a1", "a2", "b1", "b2"];
const tenants = [newId<"tenant">(), newId<"tenant">()];

/** The truth: how often each key changed, and at which positions. */
function createSource(random: Random, isPositioned: boolean) {
  const positions = new Map(tenants.map((tenantId) => [tenantId, 0]));
  const changes = new Map<string, number[]>();
  const changesOf = (tenantId: TenantId, key: string) => changes.get(`${tenantId}/${key}`) ?? [];
  const positionOf = (tenantId: TenantId) => positions.get(tenantId) ?? 0;
  return {
    positionOf,
    change(tenantId: TenantId, key: string): number {
      const position = positionOf(tenantId) + 1;
      positions.set(tenantId, position);
      changes.set(`${tenantId}/${key}`, [...changesOf(tenantId, key), position]);
      return position;
    },
    /** How often a key had changed at a position. */
    versionAt: (tenantId: TenantId, key: string, position: number) =>
      changesOf(tenantId, key).filter((at) => at <= position).length,
    load: (async (tenantId, wanted) => {
      await turns(random, 4);
      if (random() < 0.05) throw new Error("the source is away");
      const asOf = positionOf(tenantId);
      if (random() < 0.3) await turns(random, 2);
      const values = wanted.map((key) => `${tenantId}/${key}@${changesOf(tenantId, key).length}`);
      await turns(random, 6);
      return isPositioned ? { values, asOf } : values;
    }) satisfies CacheConfig<string>["load"],
  };
}

async function turns(random: Random, max: number): Promise<void> {
  for (let left = Math.floor(random() * (max + 1)); left > 0; left--) await nextTurn();
}

const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[Math.floor(random() * items.length)] as Item;

/** A node, and up to which position it has heard of changes of each key. */
interface Node {
  readonly cache: Cache<string>;
  readonly heard: Map<string, number>;
  readonly say: (invalidation: Invalidation) => void;
}

function createNode(config: CacheConfig<string>): Node {
  let hear: (invalidations: readonly Invalidation[]) => void = () => {};
  const invalidations = {
    listen(hearer: typeof hear) {
      hear = hearer;
      return () => {};
    },
    onDoubt: () => () => {},
  };
  const cache = createCache({ ...config, invalidations });
  return { cache, heard: new Map(), say: (invalidation) => hear([invalidation]) };
}

/** Damages what lies in the tier: flips a bit, or mixes up two keys. */
function damage(tier: FaultyTier, random: Random): void {
  const names = [...tier.values.keys()];
  if (names.length === 0) return;
  const [name, other] = [pick(random, names), pick(random, names)];
  const bytes = tier.values.get(name) ?? Buffer.alloc(0);
  if (random() < 0.5) {
    const flipped = Buffer.from(bytes);
    const at = Math.floor(random() * flipped.length);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
    tier.values.set(name, flipped);
  } else {
    tier.values.set(other, bytes);
  }
}

interface World {
  readonly random: Random;
  readonly isPositioned: boolean;
  readonly source: ReturnType<typeof createSource>;
  readonly tier: FaultyTier;
  readonly nodes: readonly Node[];
  readonly time: { nowMs: number };
  readonly seen: { answers: number; failures: number };
}

async function read({ random, source, nodes, isPositioned, seen }: World): Promise<void> {
  const [node, tenantId, key] = [pick(random, nodes), pick(random, tenants), pick(random, keys)];
  const known = source.positionOf(tenantId);
  const notBefore = isPositioned && random() < 0.3 ? Math.ceil(known * random()) : undefined;
  const least = Math.max(
    source.versionAt(tenantId, key, node.heard.get(`${tenantId}/${key}`) ?? 0),
    notBefore === undefined ? 0 : source.versionAt(tenantId, key, notBefore),
  );
  let answer: string | undefined;
  try {
    answer = await node.cache.get(
      tenantId,
      key,
      notBefore === undefined ? undefined : { notBefore },
    );
  } catch (error) {
    assert.match(String(error), /the source is away/);
    seen.failures++;
    return;
  }
  seen.answers++;
  const [name, version] = (answer ?? "").split("@");
  assert.equal(name, `${tenantId}/${key}`);
  assert(
    Number(version) >= least,
    `${answer} is older than version ${least}, asked for was ${notBefore}`,
  );
  assert(Number(version) <= source.versionAt(tenantId, key, Number.POSITIVE_INFINITY));
}

async function change({ random, source, nodes, isPositioned }: World): Promise<void> {
  const [tenantId, key] = [pick(random, tenants), pick(random, keys)];
  const position = source.change(tenantId, key);
  const stale = pick(random, [{ keys: [key] }, { tags: [key.slice(0, 1)] }, {}]);
  for (const node of nodes) {
    await turns(random, 3);
    const where = isPositioned ? { position } : {};
    node.say({ cache: "sim", tenantId, ...stale, ...where });
    const name = `${tenantId}/${key}`;
    node.heard.set(name, Math.max(position, node.heard.get(name) ?? 0));
  }
}

/** A server that hears nothing for a while, and says it did: a copy of the tier from before takes over. */
async function beReplaced({ random, tier }: World): Promise<void> {
  const { remove, renew } = tier;
  tier.remove = async () => {};
  tier.renew = async () => [];
  await turns(random, 20);
  tier.remove = remove;
  tier.renew = renew;
}

async function trouble(world: World): Promise<void> {
  const { random, tier, time, isPositioned } = world;
  const kind = random();
  if (kind < 0.4) time.nowMs += random() * 400;
  else if (kind < 0.6) damage(tier, random);
  else if (kind < 0.7) isPositioned ? await beReplaced(world) : tier.flush();
  else {
    tier.isDown = true;
    await turns(random, 20);
    tier.isDown = false;
  }
}

async function act(world: World): Promise<void> {
  for (let step = 0; step < 120; step++) {
    const dice = world.random();
    if (dice < 0.8) await read(world);
    else if (dice < 0.93) await change(world);
    else await trouble(world);
    await turns(world.random, 2);
  }
}

async function simulate(seed: number, isPositioned: boolean): Promise<World> {
  const random = seededRandom(seed);
  const tier = createFaultyTier();
  tier.before = () => turns(random, 3);
  const time = { nowMs: 0 };
  const source = createSource(random, isPositioned);
  const config: CacheConfig<string> = {
    ...{ name: "sim", ttlMs: 1_000, freshMs: 500, staleIfErrorMs: 500, random, load: source.load },
    ...{ tier, tierRestMs: 1, waitMs: 50, entriesMax: 5, now: () => time.nowMs },
    ...(seed % 2 === 0
      ? { tagsOfKey: (key: string) => [key.slice(0, 1)] }
      : { tagsOfValue: (key: string) => [key.slice(0, 1)] }),
  };
  const nodes = [createNode(config), createNode(config), createNode(config)];
  const seen = { answers: 0, failures: 0 };
  const world = { random, isPositioned, source, tier, nodes, time, seen };
  await Promise.all(Array.from({ length: 8 }, () => act(world)));
  return world;
}

describe("nodes over a tier that loses, delays and garbles", () => {
  const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
  for (const isPositioned of [false, true]) {
    const what = isPositioned ? "positions, and a tier that misses removals" : "plain removals";
    it(`never answer older than they heard, nor another tenant's: ${what}`, async () => {
      let sharedHits = 0;
      for (const seed of seeds) {
        const { seen, nodes } = await simulate(seed, isPositioned).catch((error) => {
          throw new Error(`seed ${seed}: ${error}`, { cause: error });
        });
        assert(seen.answers > 500, `seed ${seed}: ${seen.answers} answers`);
        for (const { cache } of nodes) sharedHits += cache.stats().sharedHits;
      }
      assert(sharedHits > 100, `${sharedHits} found in the tier`);
    });
  }
});
