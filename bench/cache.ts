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

/** Calls a second, the best of several rounds: others use the machine too. */
function measureSync({ items, order }: Requests, ms: number, call: (request: Request) => unknown) {
  let best = 0;
  let sum = 0;
  for (let round = 0; round < 5; round++) {
    const begin = performance.now();
    let calls = 0;
    while (performance.now() - begin < ms / 5) {
      for (const at of order) if (call(items[at] as Request) !== undefined) sum++;
      calls += order.length;
    }
    best = Math.max(best, (calls / (performance.now() - begin)) * 1_000);
  }
  if (sum === 0) throw new Error("nothing was found");
  return Math.round(best);
}

/** The same for calls that are awaited, one after the other. */
async function measureAsync(
  { items, order }: Requests,
  ms: number,
  call: (request: Request) => unknown,
) {
  let best = 0;
  for (let round = 0; round < 5; round++) {
    const begin = performance.now();
    let calls = 0;
    while (performance.now() - begin < ms / 5) {
      for (let index = 0; index < 4_096; index++) {
        await call(items[order[(calls + index) % order.length] as number] as Request);
      }
      calls += 4_096;
    }
    best = Math.max(best, (calls / (performance.now() - begin)) * 1_000);
  }
  return Math.round(best);
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
  const raw = compareRaw(requests, ms, peers?.raw ?? [], note);
  const half = compareHalf(requests, ms, peers?.half ?? [], note);
  const hit = await compareHits(requests, ms, peers?.loading ?? [], note);
  await compareStampedes(peers?.loading ?? [], note);
  compareEviction(quick, notes, note);
  const ratios = [...raw.ratios(), ...half, ...hit.ratios(raw.peerGet)];
  return {
    bench: "cache",
    ours: hit.ours,
    unit: "hits a second in the process, through the whole cache",
    peers: Object.fromEntries(
      rows
        .filter(({ what, subject }) => what === "hit" && subject !== "ours")
        .map(({ subject, perSecond }) => [subject, Number(perSecond)]),
    ),
    ratio: ratios.length > 0 ? round(Math.min(...ratios.map(({ ratio }) => ratio))) : null,
    limit: raw.map,
    ofLimit: round(hit.ours / raw.map),
    rows,
    notes: [
      ...ratios.map(({ beside, ratio }) => `${round(ratio)} x ${beside}`),
      "peers get tenant and key as one text that was made before; ours takes both apart",
      "the limit is a get of a Map with that text",
      ...notes,
    ],
  };
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

function compareRaw(
  requests: Requests,
  ms: number,
  peers: readonly RawPeer[],
  note: (row: Row) => void,
) {
  const map = new Map<string, Item>();
  const store = createLocalStore<Item>({ bytesMax: 1e9, entriesMax: entries * 2 });
  const placing = { sizeBytes: 100, expiresAtMs: Number.POSITIVE_INFINITY };
  const item = itemOf("a");
  for (const { tenantId, key, joined } of requests.items) {
    map.set(joined, item);
    store.set(tenantId, key, item, placing);
    for (const peer of peers) peer.set(joined, item);
  }
  const get = (subject: string, call: (request: Request) => unknown) => {
    const perSecond = measureSync(requests, ms, call);
    note({ what: "raw get", subject, perSecond });
    return perSecond;
  };
  const set = (subject: string, call: (request: Request) => unknown) => {
    const perSecond = measureSync(requests, ms, call);
    note({ what: "raw set", subject, perSecond });
    return perSecond;
  };
  const mapGet = get("Map", ({ joined }) => map.get(joined));
  const ourGet = get("ours", ({ tenantId, key }) => store.get(tenantId, key, 0));
  const peerGets = peers.map((peer) => get(peer.name, ({ joined }) => peer.get(joined)));
  const ourSet = set("ours", ({ tenantId, key }) => store.set(tenantId, key, item, placing));
  const peerSets = peers.map((peer) => set(peer.name, ({ joined }) => peer.set(joined, item)));
  const peerGet = Math.max(0, ...peerGets);
  return {
    map: mapGet,
    peerGet,
    ratios: (): readonly Ratio[] =>
      peers.length === 0
        ? []
        : [
            { beside: "raw get of lru-cache, by the local store", ratio: ourGet / peerGet },
            { beside: "raw set of lru-cache", ratio: ourSet / Math.max(...peerSets) },
          ],
  };
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
  const measure = (subject: string, get: (request: Request) => unknown, set: typeof get) => {
    let found = 0;
    let asked = 0;
    const perSecond = measureSync(requests, ms, (request) => {
      asked++;
      if (get(request) === undefined) return set(request);
      return ++found;
    });
    note({ what: "get, else set", subject, perSecond, hits: percent(found / asked) });
    return perSecond;
  };
  const ours = measure(
    "ours",
    ({ tenantId, key }) => store.get(tenantId, key, 0),
    ({ tenantId, key }) => store.set(tenantId, key, item, placing),
  );
  return peers.map((peer) => {
    const get = ({ joined }: Request) => peer.get(joined);
    const theirs = measure(peer.name, get, ({ joined }) => peer.set(joined, item));
    return { beside: "get, else set of lru-cache with room for half", ratio: ours / theirs };
  });
}

async function compareHits(
  requests: Requests,
  ms: number,
  peers: readonly LoadingPeer[],
  note: (row: Row) => void,
) {
  const cache = createCache<Item>({
    ...{ name: "bench", ttlMs: 3_600_000, entriesMax: entries * 2, bytesMax: 1e9 },
    load: async (_, keys) => keys.map(itemOf),
  });
  for (const { tenantId, key } of requests.items) await cache.get(tenantId, key);
  const ours = measureSync(requests, ms, ({ tenantId, key }) => cache.get(tenantId, key));
  note({ what: "hit", subject: "ours", perSecond: ours });
  const awaited = await measureAsync(requests, ms, ({ tenantId, key }) => cache.get(tenantId, key));
  note({ what: "hit, awaited", subject: "ours", perSecond: awaited });
  const theirs: number[] = [];
  for (const peer of peers) {
    await Promise.all(requests.items.map(({ joined }) => peer.get(joined)));
    const perSecond = await measureAsync(requests, ms, ({ joined }) => peer.get(joined));
    note({ what: "hit", subject: peer.name, perSecond });
    theirs.push(perSecond);
  }
  return {
    ours,
    ratios: (peerGet: number): readonly Ratio[] =>
      peers.length === 0
        ? []
        : [
            { beside: "raw get of lru-cache, by a hit of the whole cache", ratio: ours / peerGet },
            { beside: "hit of the best that loads, awaited", ratio: awaited / Math.max(...theirs) },
          ],
  };
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
