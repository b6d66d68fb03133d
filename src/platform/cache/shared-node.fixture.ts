import { setTimeout as delay } from "node:timers/promises";
import type { TenantId } from "../../kernel/ids.ts";
import { createDb, type TenantTx } from "../db/db.ts";
import { connectRedis } from "../redis/redis.ts";
import { createWakeup } from "../wakeup/wakeup.ts";
import { announceInvalidations, invalidationsTopic } from "./announce.ts";
import { createCache } from "./cache.ts";
import { createPostgresInvalidationBus } from "./postgres-bus.ts";
import { createRedisSharedTier } from "./redis-tier.ts";
import { createRingTier } from "./ring-tier.ts";

/*
 * A node with a cache before a table, over a ring of Redis servers. It takes what follows from its only
 * argument, does what its parent sends it, and reports.
 */

/** What a node is told at its start. */
export interface NodeOrders {
  readonly urls: { readonly app: string; readonly platform: string };
  readonly redisUrls: readonly string[];
  readonly tenantId: TenantId;
  readonly keys: readonly string[];
}

/** What a node is asked. */
export type NodeRequest =
  /** Ask for a key so many times at once. */
  | { readonly kind: "stampede"; readonly key: string; readonly callers: number }
  /** Read and write until the next request. */
  | { readonly kind: "work"; readonly phase: string }
  | { readonly kind: "report" };

/** What a node did since it began; times in milliseconds. */
export interface NodeReport {
  readonly loads: number;
  readonly tierHits: number;
  /** Reads that gave an older version than the node had heard of before. */
  readonly wrong: readonly string[];
  readonly writes: number;
  /** How long reads took, by phase. */
  readonly reads: Readonly<Record<string, readonly number[]>>;
  /** From a change to its being heard here. */
  readonly heardAfter: readonly number[];
  /** How often members left, and came back doubted. */
  readonly left: number;
  readonly doubted: number;
  readonly error?: string;
}

const orders = JSON.parse(process.argv[2] ?? "{}") as NodeOrders;
const { tenantId, keys } = orders;
/** Of all processes of a machine. */
const nowMs = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;

const db = createDb({
  urlsOf: () => orders.urls,
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
const wakeup = createWakeup({ url: orders.urls.platform, topics: [invalidationsTopic] });
await wakeup.start();
const bus = createPostgresInvalidationBus({ db, wakeup });
await bus.start();
const redis = connectRedis({ urls: orders.redisUrls, limits: { reconnectMaxMs: 100 } });
await redis.untilReady(5_000);

const counts = { loads: 0, writes: 0, left: 0, doubted: 0 };
const wrong: string[] = [];
const reads: Record<string, number[]> = {};
const heardAfter: number[] = [];
const heard = new Map<string, number>();
let failure: string | undefined;
let isWorking = false;

const ring = createRingTier({
  members: redis.servers.map((node) => ({
    name: node.name,
    tier: createRedisSharedTier({ node, server: node.name }),
  })),
  beatMs: 200,
  onEvent({ state, isDoubted }) {
    if (state === "away") counts.left++;
    if (isDoubted && isWorking) counts.doubted++;
  },
});
await ring.untilReady(5_000);

/** Adds one to a version, or reads it. */
const goods = {
  read: (tx: TenantTx, wanted: readonly string[]) =>
    tx.rows<{ key: string; version: number }>({
      name: "test.read",
      text: "select key, version from goods where key = any($1)",
      values: [wanted],
    }),
  raise: (tx: TenantTx, key: string) =>
    tx.one<{ version: number }>({
      name: "test.raise",
      text: `insert into goods (tenant_id, key, version) values ($1, $2, 1)
        on conflict (tenant_id, key) do update set version = goods.version + 1 returning version`,
      values: [tenantId, key],
    }),
};

const cache = createCache<number>({
  name: "goods",
  ttlMs: 60_000,
  tier: ring,
  tierRestMs: 100,
  invalidations: bus,
  // Most reads go to the tier.
  entriesMax: Math.ceil(keys.length / 10),
  async load(_, wanted) {
    counts.loads += wanted.length;
    const rows = await db.read(tenantId, (tx) => goods.read(tx, wanted));
    const versions = new Map(rows.map(({ key, version }) => [key, version]));
    return wanted.map((key) => versions.get(key) ?? 0);
  },
});
// Behind the cache: when this hears of a version, the cache has.
bus.listen((invalidations) => {
  for (const { cache: name, keys: said = [] } of invalidations) {
    if (name !== "oracle") continue;
    const [key = "", version, atMs] = said;
    heard.set(key, Math.max(heard.get(key) ?? 0, Number(version)));
    heardAfter.push(nowMs() - Number(atMs));
  }
});

let phase = "";
const pick = () => keys[Math.floor(Math.random() * keys.length)] as string;

async function readOn(): Promise<void> {
  for (;;) {
    const key = pick();
    const least = heard.get(key) ?? 0;
    const during = phase;
    const askedAtMs = performance.now();
    const version = await cache.get(tenantId, key);
    const tookMs = performance.now() - askedAtMs;
    if ((version ?? 0) < least) wrong.push(`${during}: ${key} at ${version} after ${least}`);
    if (during === phase) reads[during]?.push(tookMs);
    // Not as much as the machine bears: how long reads take is to be seen, not how long they queue.
    await delay(4);
  }
}

async function writeOn(): Promise<void> {
  for (;;) {
    const key = pick();
    const atMs = nowMs();
    await db.commit(tenantId, async (tx) => {
      const { version } = await goods.raise(tx, key);
      // The value's version is not told to the cache: it has to do without.
      announceInvalidations(tx, [
        { cache: "goods", tenantId, keys: [key] },
        { cache: "oracle", tenantId, keys: [key, String(version), String(atMs)] },
      ]);
    });
    counts.writes++;
    await delay(20);
  }
}

function fail(error: unknown): void {
  failure = String(error instanceof Error ? error.stack : error);
}

process.on("message", async (request: NodeRequest) => {
  if (request.kind === "stampede") {
    const asked = Array.from({ length: request.callers }, () => cache.get(tenantId, request.key));
    await Promise.all(asked).catch(fail);
  }
  if (request.kind === "work") {
    phase = request.phase;
    reads[phase] ??= [];
    if (!isWorking) for (let loop = 0; loop < 6; loop++) readOn().catch(fail);
    if (!isWorking) writeOn().catch(fail);
    isWorking = true;
  }
  const { sharedHits: tierHits } = cache.stats();
  const base = { ...counts, tierHits, wrong, heardAfter };
  const report: NodeReport = { ...base, reads: {}, ...(failure ? { error: failure } : {}) };
  process.send?.(request.kind === "report" ? { ...report, reads } : report);
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
