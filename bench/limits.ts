import { existsSync } from "node:fs";
import pg from "pg";
import { migrationLines } from "../src/migration-lines.ts";
import { createDb } from "../src/platform/db/db.ts";
import { migrate } from "../src/platform/db/migrate.ts";
import { roleUrls } from "../src/platform/db/roles.ts";
import {
  createLimiter,
  createMemoryLimitStore,
  createPostgresLimitStore,
  createRedisLimitStore,
  type LimitPolicy,
  type LimitStore,
} from "../src/platform/limits/limits.ts";
import type { RedisNode } from "../src/platform/redis/redis.ts";
import {
  type BenchOptions,
  type BenchResult,
  closedLoop,
  round,
  startBenchServer,
} from "./harness.ts";
import { startRedis } from "./load/redis.ts";

/** Takes one token of a key; of a subject that answers at once it is no promise. */
type Take = (key: string) => unknown;

interface Row {
  readonly [column: string]: string | number;
  readonly on: string;
  readonly what: string;
  /** What is asked: keys, and callers at once. */
  readonly load: string;
  readonly perSecond: number;
}

/** What is compared: the same store and load. */
interface Load {
  readonly on: string;
  readonly load: string;
  /** @returns takes a second */
  readonly run: (take: Take, ms: number) => Promise<number>;
}

/** Never reached: refusals are cheaper than what is measured. */
const limit = 100_000_000;
const exact: LimitPolicy = { name: "exact", algorithm: "fixed_window", limit, windowMs: 60_000 };
/** Blocks of 1,000: what a limit of 20,000 has with the share of a twentieth that the product takes. */
const leased: LimitPolicy = { ...exact, name: "leased", lease: { share: 0.000_01, ms: 1_000 } };

/** Turns of each subject. */
const turns = 4;

/** Tokens taken from limits, beside the library people use. */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const ms = quick ? 700 : 4_000;
  const rows: Row[] = [];
  const notes: string[] = [];
  const ratios: { readonly beside: string; readonly ratio: number }[] = [];
  const measure: Measure = async (load, subjects) => {
    const figures = new Map(subjects.map(([what]) => [what, 0]));
    // They take turns: whoever else uses the machine disturbs all alike. The first turn warms up.
    for (let turn = 0; turn <= turns; turn++) {
      for (const [what, take] of subjects) {
        const perSecond = await load.run(take, ms / turns);
        if (turn > 0) figures.set(what, (figures.get(what) ?? 0) + perSecond / turns);
      }
    }
    for (const [what, mean] of figures) {
      const perSecond = Math.round(mean);
      rows.push({ on: load.on, load: load.load, what, perSecond });
      log(`${load.on}, ${load.load}, ${what}: ${perSecond}/s`);
    }
    const peer = figures.get(peerName);
    if (!peer) return;
    for (const [what, perSecond] of figures) {
      const beside = `${load.on}, ${load.load}: ${what}`;
      if (what !== peerName) ratios.push({ beside, ratio: perSecond / peer });
    }
  };
  const peer = await loadPeer(notes);
  await onMemory(measure, peer);
  await onRedis(measure, peer, notes);
  await onPostgres(measure, peer);
  const figure = (what: string) =>
    rows.find((row) => row.on === "PostgreSQL" && row.what === what)?.perSecond ?? 0;
  const [ours, theirs] = [figure("ours, exact"), figure(peerName)];
  return {
    bench: "limits",
    ours,
    unit: "tokens taken a second on PostgreSQL, exact, one key, 10 callers",
    peers: theirs > 0 ? { [peerName]: theirs } : {},
    ratio: ratios.length > 0 ? round(Math.min(...ratios.map(({ ratio }) => ratio))) : null,
    limit: null,
    ofLimit: null,
    rows,
    notes: [
      ...ratios.map(({ beside, ratio }) => `${round(ratio)} x on ${beside}`),
      `every subject counts fixed windows of ${limit} tokens a minute and is never over`,
      "the peer is consume() with its defaults, over the same ioredis connection and a pool of 10",
      "on PostgreSQL neither waits for the disk (synchronous_commit off)",
      "with leases: blocks of 1,000 tokens at most, for at most a second",
      ...notes,
    ],
  };
}

type Measure = (load: Load, subjects: readonly (readonly [string, Take])[]) => Promise<void>;

const peerName = "rate-limiter-flexible";

interface Peer {
  onMemory(limit: number): Take;
  onRedis(client: unknown, limit: number): Take;
  onPostgres(pool: pg.Pool, limit: number): Promise<Take>;
}

async function loadPeer(notes: string[]): Promise<Peer | undefined> {
  if (existsSync(new URL("./node_modules/rate-limiter-flexible", import.meta.url))) {
    const file = new URL("./peers/limits/rate-limiter-flexible.js", import.meta.url);
    return (await import(file.href)) as Peer;
  }
  notes.push(`${peerName} left out: it needs npm ci in bench/`);
  return undefined;
}

function takeOf(store: LimitStore, policy: LimitPolicy): Take {
  // A bench stalls the loop for longer than a server should: it must not measure the fallback.
  const limiter = createLimiter({ store, waitMs: 5_000, keysMax: 200_000 });
  const check = ({
    source,
    isAllowed,
  }: {
    readonly source: string;
    readonly isAllowed: boolean;
  }) => {
    if (source === "fallback" || !isAllowed) throw new Error("a token was not taken");
  };
  return (key) => {
    const verdict = limiter.take(policy, key);
    if (verdict instanceof Promise) return verdict.then(check);
    check(verdict);
    return undefined;
  };
}

/** One after the other; only what is a promise is waited for, as a server does. */
function oneByOne(on: string, keyCount: number): Load {
  const keys = Array.from({ length: keyCount }, (_, at) => `key-${at}`);
  const run = async (take: Take, ms: number): Promise<number> => {
    const startedAt = performance.now();
    let count = 0;
    while (performance.now() - startedAt < ms) {
      for (let turn = 0; turn < 1_000; turn++) {
        const taken = take(keys[count++ % keyCount] ?? "");
        if (taken instanceof Promise) await taken;
      }
    }
    return Math.round((count / (performance.now() - startedAt)) * 1_000);
  };
  return {
    on,
    load: `${keyCount.toLocaleString("en")} key${keyCount > 1 ? "s" : ""}, 1 caller`,
    run,
  };
}

/** So many callers at once, with one key or one each. */
function atOnce(on: string, callers: number, keys: "one key" | "a key each"): Load {
  const run = async (take: Take, ms: number): Promise<number> => {
    const call = async (_: number, caller: number) => {
      const taken = take(keys === "one key" ? "one" : `key-${caller}`);
      if (taken instanceof Promise) await taken;
    };
    return (await inTurns(callers, ms, call)).perSecond;
  };
  return { on, load: `${keys}, ${callers} callers`, run };
}

/** A closed loop that lets the event loop turn: who answers at once would never let anybody read. */
function inTurns(
  callers: number,
  ms: number,
  call: (index: number, caller: number) => Promise<unknown>,
) {
  return closedLoop(callers, ms, async (index, caller) => {
    await call(index, caller);
    if (index % 1_000 === 0) await new Promise(setImmediate);
  });
}

async function onMemory(measure: Measure, peer: Peer | undefined): Promise<void> {
  for (const keyCount of [1, 100_000]) {
    await measure(oneByOne("memory", keyCount), [
      ["ours, exact", takeOf(createMemoryLimitStore(), exact)],
      ...(peer ? [[peerName, peer.onMemory(limit)] as const] : []),
    ]);
  }
}

const loads = (on: string): readonly Load[] => [
  atOnce(on, 10, "one key"),
  atOnce(on, 200, "one key"),
  atOnce(on, 10, "a key each"),
  atOnce(on, 200, "a key each"),
];

async function onRedis(measure: Measure, peer: Peer | undefined, notes: string[]): Promise<void> {
  const server = await startRedis();
  if (!server) {
    notes.push("Redis left out: it needs redis-server in the PATH");
    return;
  }
  const { Redis } = await import("ioredis");
  const client = new Redis(server.url);
  try {
    const store = createRedisLimitStore({ nodes: [client as unknown as RedisNode] });
    for (const load of loads("Redis")) {
      await measure(load, [
        ["ours, exact", takeOf(store, exact)],
        ["ours, with leases", takeOf(store, leased)],
        ...(peer ? [[peerName, peer.onRedis(client, limit)] as const] : []),
      ]);
    }
  } finally {
    client.disconnect();
    await server.stop();
  }
}

async function onPostgres(measure: Measure, peer: Peer | undefined): Promise<void> {
  const server = await startBenchServer();
  await migrate({ ownerUrl: server.url, home: true, schemas: ["shared"], lines: migrationLines });
  const db = createDb({
    urlsOf: () => roleUrls(server.url),
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  // As ours: nobody waits for the disk. With the server's default it is 3 to 10 times slower.
  const options = "-c synchronous_commit=off";
  const pool = new pg.Pool({ connectionString: server.url, max: 10, options });
  // The server may say goodbye to a connection that is being closed.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  try {
    const store = createPostgresLimitStore({ db });
    const theirs = peer ? await peer.onPostgres(pool, limit) : undefined;
    for (const load of loads("PostgreSQL")) {
      await measure(load, [
        ["ours, exact", takeOf(store, exact)],
        ["ours, with leases", takeOf(store, leased)],
        ...(theirs ? [[peerName, theirs] as const] : []),
      ]);
    }
  } finally {
    await pool.end();
    await db.stop();
    await server.stop();
  }
}
