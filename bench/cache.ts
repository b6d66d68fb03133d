import { existsSync } from "node:fs";
import { newId, type TenantId } from "../src/kernel/ids.ts";
import { seededRandom } from "../src/kernel/random.ts";
import { createCache, createLocalStore } from "../src/platform/cache/cache.ts";
import {
  hasXz,
  readBlockTrace,
  readExpectedMisses,
  readShopTrace,
  replay,
} from "../src/platform/cache/traces.fixture.ts";
import { findOptional } from "../src/testing/optional.ts";
import { policies } from "./eviction/policies.ts";
import { type BenchOptions, type BenchResult, round } from "./harness.ts";
import { compareShared, type SharedReport } from "./load/cache-shared.ts";

interface Row {
  readonly [column: string]: string | number;
  readonly what: string;
  readonly subject: string;
}

/** A product as a cache holds it. */
interface Item {
  readonly id: string;
  readonly title: string;
}

const entries = 10_000;
const tenantCount = 10;

/** Ten tenants with a thousand products each, asked for by popularity. */
function createRequests() {
  const random = seededRandom(42);
  const tenants = Array.from({ length: tenantCount }, () => newId<"tenant">());
  const keys = Array.from({ length: entries / tenantCount }, () => newId());
  const all = tenants.flatMap((tenantId) => keys.map((key) => ({ tenantId, key })));
  const items = all.map(({ tenantId, key }) => ({ tenantId, key, joined: `${tenantId}:${key}` }));
  // The square prefers the first ones: half of the requests for 29 % of the products.
  const order = Int32Array.from({ length: 1 << 17 }, () =>
    Math.floor(random() ** 1.79 * items.length),
  );
  return { items, order };
}

type Requests = ReturnType<typeof createRequests>;
type Request = Requests["items"][number];

/** Something that is asked for again and again. */
interface Subject {
  readonly name: string;
  readonly call: (request: Request) => unknown;
}

/** Rounds of each subject, in turns: whoever else uses the machine disturbs all of them alike. */
const rounds = 5;

/** @returns calls a second of each subject, in its best round */
function measureSync({ items, order }: Requests, ms: number, subjects: readonly Subject[]) {
  const best = subjects.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { call }] of subjects.entries()) {
      const begin = performance.now();
      let calls = 0;
      let found = 0;
      while (performance.now() - begin < ms / rounds) {
        for (const at of order) if (call(items[at] as Request) !== undefined) found++;
        calls += order.length;
      }
      if (found === 0) throw new Error("nothing was found");
      const perSecond = Math.round((calls / (performance.now() - begin)) * 1_000);
      best[index] = Math.max(best[index] ?? 0, perSecond);
    }
  }
  return best;
}

/** The same for calls that are awaited, one after the other. */
async function measureAsync(
  { items, order }: Requests,
  ms: number,
  subjects: readonly Subject[],
): Promise<readonly number[]> {
  const best = subjects.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { call }] of subjects.entries()) {
      const begin = performance.now();
      let calls = 0;
      while (performance.now() - begin < ms / rounds) {
        for (let at = 0; at < 4_096; at++, calls++) {
          await call(items[order[calls % order.length] as number] as Request);
        }
      }
      const perSecond = Math.round((calls / (performance.now() - begin)) * 1_000);
      best[index] = Math.max(best[index] ?? 0, perSecond);
    }
  }
  return best;
}

/** Hits of the local store and of the whole cache beside the libraries people use. */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const ms = quick ? 1_000 : 4_000;
  const notes: string[] = [];
  const rows: Row[] = [];
  const note = (row: Row) => {
    log(Object.values(row).join(", "));
    rows.push(row);
  };
  const requests = createRequests();
  const peers = await openPeers(notes);
  const { ours, map, ratios: raw } = await compareHits(requests, ms, peers, note);
  const half = compareHalf(requests, ms, peers?.half ?? [], note);
  const loading = await compareLoading(requests, ms, peers?.loading ?? [], note);
  await compareStampedes(peers?.loading ?? [], note);
  compareEviction(quick, notes, note);
  const shared = await compareShared(ms, log);
  notes.push(...shared.notes);
  const ratios = [...raw, ...half, ...loading, ...ratiosOf(shared)];
  return {
    bench: "cache",
    ours,
    unit: "hits a second in the process, through the whole cache",
    peers: Object.fromEntries(
      rows
        .filter(({ subject }) => subject !== "Map" && !subject.startsWith("ours"))
        .filter(({ what }) => what === "get" || what === "get, awaited")
        .map(({ subject, perSecond }) => [subject, Number(perSecond)]),
    ),
    ratio: ratios.length > 0 ? round(Math.min(...ratios.map(({ ratio }) => ratio))) : null,
    limit: map,
    ofLimit: round(ours / map),
    rows,
    notes: [
      ...ratios.map(({ beside, ratio }) => `${round(ratio)} x ${beside}`),
      "peers get tenant and key as one text that was made before; ours takes both apart",
      "the limit is a get of a Map with that text",
      ...notes,
    ],
  };
}

function ratiosOf({ rows }: SharedReport): readonly Ratio[] {
  return rows.map(({ what, peerName, ours, peer, ratio }) => ({
    beside: `${peerName}: ${what} (${ours} beside ${peer})`,
    ratio,
  }));
}

interface Ratio {
  readonly beside: string;
  readonly ratio: number;
}

interface RawPeer {
  readonly name: string;
  readonly get: (key: string) => unknown;
  readonly set: (key: string, value: unknown) => unknown;
}

interface LoadingPeer {
  readonly name: string;
  readonly get: (key: string) => unknown;
}

interface Peers {
  readonly raw: readonly RawPeer[];
  readonly half: readonly RawPeer[];
  readonly loading: readonly LoadingPeer[];
}

/** How often peers loaded each key, for the stampede. */
const peerLoads = new Map<string, number>();

async function openPeers(notes: string[]): Promise<Peers | undefined> {
  if (!existsSync(new URL("./node_modules/lru-cache", import.meta.url))) {
    notes.push("peers left out: npm ci in bench/ brings them");
    return undefined;
  }
  const file = new URL("./peers/cache/in-process.js", import.meta.url);
  const { createSubjects } = (await import(file.href)) as {
    createSubjects: (entriesMax: number, load: (key: string) => Promise<Item>) => Peers;
  };
  return createSubjects(entries * 2, async (key) => {
    peerLoads.set(key, (peerLoads.get(key) ?? 0) + 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return itemOf(key);
  });
}

const itemOf = (key: string): Item => ({ id: key, title: `Product ${key}` });

const hour = 3_600_000;

/** Opens a cache that holds everything that will be asked for. */
async function openFilled({ items }: Requests) {
  const cache = createCache<Item>({
    ...{ name: "bench", ttlMs: hour, entriesMax: entries * 2, bytesMax: 1e9 },
    load: async (_, keys) => keys.map(itemOf),
  });
  for (const { tenantId, key } of items) await cache.get(tenantId, key);
  return cache;
}

async function compareHits(
  requests: Requests,
  ms: number,
  peers: Peers | undefined,
  note: (row: Row) => void,
) {
  const map = new Map<string, Item>();
  const store = createLocalStore<Item>({ bytesMax: 1e9, entriesMax: entries * 2 });
  const cache = await openFilled(requests);
  const placing = { sizeBytes: 100, expiresAtMs: Number.POSITIVE_INFINITY };
  const item = itemOf("a");
  const raw = peers?.raw ?? [];
  for (const { tenantId, key, joined } of requests.items) {
    map.set(joined, item);
    store.set(tenantId, key, item, placing);
    for (const peer of raw) peer.set(joined, item);
  }
  const getters: readonly Subject[] = [
    { name: "Map", call: ({ joined }) => map.get(joined) },
    { name: "ours, the whole cache", call: ({ tenantId, key }) => cache.get(tenantId, key) },
    { name: "ours, the local store", call: ({ tenantId, key }) => store.get(tenantId, key, 0) },
    ...raw.map(({ name, get }) => ({ name, call: ({ joined }: Request) => get(joined) })),
  ];
  const setters: readonly Subject[] = [
    {
      name: "ours, the local store",
      call: ({ tenantId, key }) => store.set(tenantId, key, item, placing),
    },
    ...raw.map(({ name, set }) => ({ name, call: ({ joined }: Request) => set(joined, item) })),
  ];
  const gets = tell("get", getters, measureSync(requests, ms, getters), note);
  const [mapGets = 0, ours = 0, storeGets = 0, ...peerGets] = gets;
  const [storeSets = 0, ...peerSets] = tell(
    "set",
    setters,
    measureSync(requests, ms, setters),
    note,
  );
  const ratios: readonly Ratio[] =
    raw.length === 0
      ? []
      : [
          { beside: "get of lru-cache, by the whole cache", ratio: ours / Math.max(...peerGets) },
          { beside: "get of lru-cache, by the store", ratio: storeGets / Math.max(...peerGets) },
          { beside: "set of lru-cache, by the store", ratio: storeSets / Math.max(...peerSets) },
        ];
  return { ours, map: mapGets, ratios };
}

/** Notes what some subjects reached. @returns it */
function tell(
  what: string,
  subjects: readonly Subject[],
  reached: readonly number[],
  note: (row: Row) => void,
): readonly number[] {
  for (const [at, { name: subject }] of subjects.entries()) {
    note({ what, subject, perSecond: reached[at] ?? 0 });
  }
  return reached;
}

/** A store with room for half of what is asked for: what is not found is set, and something evicted. */
function compareHalf(
  requests: Requests,
  ms: number,
  peers: readonly RawPeer[],
  note: (row: Row) => void,
): readonly Ratio[] {
  const store = createLocalStore<Item>({ bytesMax: 1e9, entriesMax: entries / 2 });
  const placing = { sizeBytes: 100, expiresAtMs: Number.POSITIVE_INFINITY };
  const item = itemOf("a");
  const subjectOf = (name: string, get: Subject["call"], set: Subject["call"]) => {
    const counts = { asked: 0, found: 0 };
    const call = (request: Request) => {
      counts.asked++;
      if (get(request) === undefined) return set(request);
      return ++counts.found;
    };
    return { name, call, counts };
  };
  const subjects = [
    subjectOf(
      "ours, the local store",
      ({ tenantId, key }) => store.get(tenantId, key, 0),
      ({ tenantId, key }) => store.set(tenantId, key, item, placing),
    ),
    ...peers.map((peer) =>
      subjectOf(
        peer.name,
        ({ joined }) => peer.get(joined),
        ({ joined }) => peer.set(joined, item),
      ),
    ),
  ];
  const [ours = 0, ...theirs] = measureSync(requests, ms, subjects);
  for (const [at, { name: subject, counts }] of subjects.entries()) {
    const hits = percent(counts.found / counts.asked);
    note({ what: "get, else set", subject, perSecond: [ours, ...theirs][at] ?? 0, hits });
  }
  const beside = "get, else set of lru-cache with room for half";
  return theirs.map((perSecond) => ({ beside, ratio: ours / perSecond }));
}

/** A hit as most code asks for one: awaited. */
async function compareLoading(
  requests: Requests,
  ms: number,
  peers: readonly LoadingPeer[],
  note: (row: Row) => void,
): Promise<readonly Ratio[]> {
  const cache = await openFilled(requests);
  for (const peer of peers) await Promise.all(requests.items.map(({ joined }) => peer.get(joined)));
  const subjects: readonly Subject[] = [
    { name: "ours, the whole cache", call: ({ tenantId, key }) => cache.get(tenantId, key) },
    ...peers.map(({ name, get }) => ({ name, call: ({ joined }: Request) => get(joined) })),
  ];
  const reached = tell("get, awaited", subjects, await measureAsync(requests, ms, subjects), note);
  const [ours = 0, ...theirs] = reached;
  if (theirs.length === 0) return [];
  return [{ beside: "awaited hit of the best peer that loads", ratio: ours / Math.max(...theirs) }];
}

/** A thousand callers of one key that nobody has. */
async function compareStampedes(
  peers: readonly LoadingPeer[],
  note: (row: Row) => void,
): Promise<void> {
  const callers = 1_000;
  let loads = 0;
  const cache = createCache<Item>({
    ...{ name: "bench", ttlMs: 60_000 },
    async load(_, keys) {
      loads++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return keys.map(itemOf);
    },
  });
  const tenantId = newId<"tenant">() as TenantId;
  await Promise.all(Array.from({ length: callers }, () => cache.get(tenantId, "stampede")));
  note({ what: "stampede", subject: "ours", loads });
  if (loads !== 1) throw new Error(`${callers} callers at once loaded ${loads} times`);
  for (const peer of peers) {
    const key = `stampede of ${peer.name}`;
    await Promise.all(Array.from({ length: callers }, () => peer.get(key)));
    note({ what: "stampede", subject: peer.name, loads: peerLoads.get(key) ?? 0 });
  }
}

/** Hit ratios of the policies on recorded traces, and whether they are libCacheSim's to the unit. */
function compareEviction(quick: boolean, notes: string[], note: (row: Row) => void): void {
  const folder = findOptional("real data");
  if (!folder || !hasXz()) {
    notes.push("eviction left out: it needs BRANDOS_REAL_DATA and the program xz");
    return;
  }
  const [blocks, shop] = [readBlockTrace(folder), readShopTrace(folder)];
  const expected = readExpectedMisses(folder);
  const products = new Set(shop.keys).size;
  const requestBytes = blocks.sizes.reduce((sum, size) => sum + size, 0);
  for (const [name, policy] of Object.entries(policies)) {
    const begin = performance.now();
    const misses = expected.cache_sizes_bytes.map((bytesMax) => replay(blocks, policy, bytesMax));
    const elapsedMs = performance.now() - begin;
    const row = expected.algorithms[name];
    const isExact = misses.every(
      ({ count, bytes }, at) => row?.miss_count[at] === count && row.miss_bytes[at] === bytes,
    );
    const sum = (of: "count" | "bytes") => misses.reduce((total, each) => total + each[of], 0);
    const shopHits = [0.01, 0.05, 0.1, 0.2].map(
      (share) => 1 - replay(shop, policy, Math.round(products * share)).count / shop.keys.length,
    );
    note({
      what: "eviction",
      subject: name,
      blockHits: percent(1 - sum("count") / misses.length / blocks.keys.length),
      blockByteHits: percent(1 - sum("bytes") / misses.length / requestBytes),
      shopHits: shopHits.map(percent).join(" "),
      isLibCacheSims: isExact ? "to the unit" : "no",
      perSecond: Math.round((blocks.keys.length * misses.length * 1_000) / elapsedMs),
    });
    if (quick && name === "LRU") break;
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
