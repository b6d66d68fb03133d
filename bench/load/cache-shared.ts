import { existsSync } from "node:fs";
import pg from "pg";
import { newId } from "../../src/kernel/ids.ts";
import { createRing } from "../../src/kernel/ring.ts";
import { migrationLines } from "../../src/migration-lines.ts";
import { createCache } from "../../src/platform/cache/cache.ts";
import { createPostgresSharedTier } from "../../src/platform/cache/postgres-tier.ts";
import { createRedisSharedTier } from "../../src/platform/cache/redis-tier.ts";
import { createRingTier } from "../../src/platform/cache/ring-tier.ts";
import type { SharedTier } from "../../src/platform/cache/shared-tier.ts";
import { createDb } from "../../src/platform/db/db.ts";
import { migrate } from "../../src/platform/db/migrate.ts";
import { roleUrls } from "../../src/platform/db/roles.ts";
import { connectRedis } from "../../src/platform/redis/redis.ts";
import { closedLoop, round, startBenchServer } from "../harness.ts";
import { type BenchRedis, startRedis } from "./redis.ts";

/** Ours beside one peer, in one run. */
export interface SharedRow {
  readonly what: string;
  /** Calls a second, if `what` says nothing else. */
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** More is better. */
  readonly ratio: number;
}

/** What was compared, and what has no peer. */
export interface SharedReport {
  readonly rows: readonly SharedRow[];
  readonly notes: readonly string[];
}

interface Subject<Wanted> {
  readonly name: string;
  readonly get: (wanted: Wanted) => Promise<unknown>;
}

interface RedisSubjects {
  readonly write: (key: string, value: Buffer) => Promise<void>;
  readonly one: readonly Subject<string>[];
  readonly many: readonly Subject<readonly string[]>[];
  /** Keys on three servers, each on one of them. */
  readonly spread: readonly Subject<string>[];
  readonly stampede: {
    readonly name: string;
    readonly get: (node: number, key: string) => Promise<unknown>;
  };
  readonly stop: () => Promise<void>;
}

const callers = 50;
const tenantId = newId<"tenant">();
const keys = Array.from({ length: 1_000 }, (_, at) => `products:${tenantId}:${at}`);
/** A product of a page, as JSON. */
const value = Buffer.from(JSON.stringify({ id: newId(), title: "x".repeat(400) }));
const entries = keys.map((key) => ({ key, bytes: value, ttlMs: 600_000 }));
const keyAt = (at: number) => keys[at % keys.length] as string;
const batchAt = (at: number) => {
  const from = (at * 7) % (keys.length - 50);
  return keys.slice(from, from + 50);
};

/** The shared tiers of the cache beside the servers they stand on and a library over those. */
export async function compareShared(
  ms: number,
  log: (line: string) => void,
): Promise<SharedReport> {
  const rows: SharedRow[] = [];
  const notes: string[] = [];
  const note = (row: SharedRow) => {
    log(`${row.what}: ${row.ours}, ${row.peerName} ${row.peer}, ${row.ratio} x`);
    rows.push(row);
  };
  const compare = async <Wanted>(
    what: string,
    wantedAt: (at: number) => Wanted,
    ours: Subject<Wanted>,
    peers: readonly Subject<Wanted>[],
  ) => {
    const measured = await takeTurns([ours, ...peers], wantedAt, ms);
    const [own = 0, ...others] = measured;
    for (const [at, { name }] of peers.entries()) {
      const peer = others[at] ?? 0;
      note({ what, ours: own, peer, peerName: name, ratio: round(own / peer) });
    }
  };
  notes.push(...describeRing());
  await onPostgres(compare);
  const servers = await openServers(notes);
  if (!servers) return { rows, notes };
  try {
    await onRedis(servers, compare, note);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return { rows, notes };
}

type Compare = <Wanted>(
  what: string,
  wantedAt: (at: number) => Wanted,
  ours: Subject<Wanted>,
  peers: readonly Subject<Wanted>[],
) => Promise<void>;

/** Calls a second of each; they take turns, so that others who use the machine disturb all alike. */
async function takeTurns<Wanted>(
  subjects: readonly Subject<Wanted>[],
  wantedAt: (at: number) => Wanted,
  ms: number,
): Promise<readonly number[]> {
  const rounds = 4;
  const sums = subjects.map(() => 0);
  for (let turn = 0; turn <= rounds; turn++) {
    for (const [at, { get }] of subjects.entries()) {
      const { perSecond } = await closedLoop(callers, ms / rounds, (call) => get(wantedAt(call)));
      // The first turn warms up.
      if (turn > 0) sums[at] = (sums[at] ?? 0) + perSecond;
    }
  }
  return sums.map((sum) => Math.round(sum / rounds));
}

function readingOf(name: string, tier: SharedTier) {
  const check = (found: readonly (Buffer | undefined)[]) => {
    if (found.includes(undefined)) throw new Error(`${name}: a value is missing`);
  };
  return {
    one: { name, get: async (key: string) => check(await tier.read([key])) },
    many: { name, get: async (wanted: readonly string[]) => check(await tier.read(wanted)) },
  };
}

async function onPostgres(compare: Compare): Promise<void> {
  const server = await startBenchServer();
  await migrate({ ownerUrl: server.url, home: true, schemas: ["shared"], lines: migrationLines });
  const db = createDb({
    urlsOf: () => roleUrls(server.url),
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const pool = new pg.Pool({ connectionString: roleUrls(server.url).platform, max: 10 });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const select = async (key: string) => {
    const text = `select value from platform.cache_entries where key = $1 and expires_at > now()`;
    const { rows } = await pool.query({ name: "read", text, values: [key] });
    if (rows.length !== 1) throw new Error("a value is missing");
  };
  try {
    const tier = createPostgresSharedTier({ db });
    await tier.write(entries);
    const { one } = readingOf("ours", tier);
    await compare("PostgreSQL, a value by 50 callers", keyAt, one, [
      { name: "a plain select", get: select },
    ]);
  } finally {
    await pool.end();
    await db.stop();
    await server.stop();
  }
}

async function openServers(notes: string[]): Promise<readonly BenchRedis[] | undefined> {
  const installed = existsSync(new URL("../node_modules/bentocache", import.meta.url));
  const started = installed ? await Promise.all([startRedis(), startRedis(), startRedis()]) : [];
  const servers = started.flatMap((server) => server ?? []);
  if (servers.length > 0) return servers;
  notes.push("Redis left out: it needs redis-server in the PATH and npm ci in bench/");
  return undefined;
}

async function onRedis(
  servers: readonly BenchRedis[],
  compare: Compare,
  note: (row: SharedRow) => void,
): Promise<void> {
  const urls = servers.map(({ url }) => url);
  const file = new URL("../peers/cache/shared-redis.js", import.meta.url);
  const { openSubjects } = (await import(file.href)) as {
    openSubjects: (
      urls: readonly string[],
      load: (key: string) => Promise<string>,
    ) => Promise<RedisSubjects>;
  };
  let peerLoads = 0;
  const peers = await openSubjects(urls, async () => {
    peerLoads++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return "loaded";
  });
  const redis = connectRedis({
    urls,
    // Here the load generator is as busy as the servers.
    limits: { commandTimeoutMs: 2_000 },
  });
  await redis.untilReady(5_000);
  const members = redis.servers.map((node) => ({
    name: node.name,
    tier: createRedisSharedTier({ node, server: node.name }),
  }));
  const [first] = members;
  if (!first) throw new Error("no server");
  const ring = createRingTier({ members });
  await ring.untilReady(5_000);
  try {
    await first.tier.write(entries);
    await ring.write(entries);
    for (const key of keys) await peers.write(key, value);
    const [tier, over] = [readingOf("ours", first.tier), readingOf("ours", ring)];
    await compare("Redis, a value by 50 callers", keyAt, tier.one, peers.one);
    await compare("Redis, 50 values by 50 callers", batchAt, tier.many, peers.many);
    await compare("a ring of three Redis, a value by 50 callers", keyAt, over.one, peers.spread);
    const loads = await stampede(ring);
    await Promise.all(
      Array.from({ length: 1_000 }, (_, at) => peers.stampede.get(at % 3, "stampede")),
    );
    note({
      what: "loads of a key that 1,000 callers of three nodes miss at once",
      ours: loads,
      peer: peerLoads,
      peerName: peers.stampede.name,
      ratio: round(peerLoads / loads),
    });
  } finally {
    await ring.stop();
    await redis.stop();
    await peers.stop();
  }
}

/** @returns how often a key was loaded that a thousand callers of three caches asked for at once */
async function stampede(tier: SharedTier): Promise<number> {
  let loads = 0;
  const caches = Array.from({ length: 3 }, () =>
    createCache<string>({
      name: "stampede",
      ttlMs: 60_000,
      tier,
      async load(_, wanted) {
        loads += wanted.length;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return wanted.map(() => "loaded");
      },
    }),
  );
  await Promise.all(
    Array.from({ length: 1_000 }, (_, at) => caches[at % caches.length]?.get(tenantId, "key")),
  );
  await Promise.all(caches.map((cache) => cache.stop()));
  return loads;
}

/** How a ring divides keys, and what moves when a node is lost. */
function describeRing(): readonly string[] {
  const count = 100_000;
  const names = Array.from({ length: 5 }, (_, at) => `10.0.0.${at + 1}:6379`);
  const ring = createRing(names.map((name) => ({ name })));
  const smaller = ring.remove(names[2] as string);
  const shares = new Map(names.map((name) => [name, 0]));
  let moved = 0;
  const ownerOf = (at: number) => ring.ownersOf(`key:${at}`, 1)[0] ?? "";
  for (let at = 0; at < count; at++) ownerOf(at);
  const begin = performance.now();
  const owners = Array.from({ length: count }, (_, at) => ownerOf(at));
  const lookUpNs = ((performance.now() - begin) / count) * 1e6;
  for (const [at, owner] of owners.entries()) {
    shares.set(owner, (shares.get(owner) ?? 0) + names.length / count);
    if (smaller.ownersOf(`key:${at}`, 1)[0] !== owner) moved++;
  }
  const worst = Math.max(...[...shares.values()].map((share) => Math.abs(share - 1)));
  return [
    `one of 5 nodes lost moves ${moved} of ${count} keys; shares are within ${round(worst * 100)} %`,
    `an owner is found in ${Math.round(lookUpNs)} ns`,
  ];
}
