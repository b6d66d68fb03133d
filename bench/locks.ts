import { existsSync } from "node:fs";
import pg from "pg";
import { newId } from "../src/kernel/ids.ts";
import { migrationLines } from "../src/migration-lines.ts";
import { createDb } from "../src/platform/db/db.ts";
import { migrate } from "../src/platform/db/migrate.ts";
import { roleUrls } from "../src/platform/db/roles.ts";
import {
  createLocks,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type LeaseStore,
  type RedisNode,
} from "../src/platform/locks/locks.ts";
import {
  type BenchOptions,
  type BenchResult,
  closedLoop,
  round,
  startBenchServer,
} from "./harness.ts";
import { startRedis } from "./load/redis.ts";

/** One cycle of a subject: takes the lock of that name and gives it back. */
type Cycle = (name: string) => Promise<unknown>;

interface Row {
  readonly [column: string]: string | number;
  readonly on: string;
  readonly what: string;
  /** Cycles a second by so many callers, each with a lock of its own. */
  readonly by10: number;
  readonly by200: number;
}

const leaseMs = 10_000;

/** Locks taken and given back, beside the libraries people use and what PostgreSQL has itself. */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const ms = quick ? 1_200 : 5_000;
  const notes: string[] = [];
  const rows: Row[] = [];
  const measure = async (on: string, what: string, cycle: Cycle) => {
    const by = async (callers: number) => {
      await closedLoop(callers, ms / 5, (_, caller) => cycle(`bench-${caller}`));
      return (await closedLoop(callers, ms, (_, caller) => cycle(`bench-${caller}`))).perSecond;
    };
    const row = { on, what, by10: await by(10), by200: await by(200) };
    log(`${on}, ${what}: ${row.by10}/s by 10 callers, ${row.by200}/s by 200`);
    rows.push(row);
    return row;
  };
  const postgres = await onPostgres(measure);
  const redis = await onRedis(measure, notes);
  const ratios = [
    { beside: "a plain lease row, 10 callers", ratio: postgres.ours.by10 / postgres.row.by10 },
    { beside: "a plain lease row, 200 callers", ratio: postgres.ours.by200 / postgres.row.by200 },
    ...redis.peers.flatMap((peer) => [
      { beside: `${peer.what}, 10 callers`, ratio: redis.ours.by10 / peer.by10 },
      { beside: `${peer.what}, 200 callers`, ratio: redis.ours.by200 / peer.by200 },
    ]),
  ];
  return {
    bench: "locks",
    ours: postgres.ours.by10,
    unit: "locks taken and given back a second on PostgreSQL, 10 callers",
    peers: Object.fromEntries(
      rows
        .filter(({ what }) => what !== "ours")
        .map(({ on, what, by10 }) => [`${on}: ${what}`, by10]),
    ),
    ratio: round(Math.min(...ratios.map(({ ratio }) => ratio))),
    limit: redis.raw,
    ofLimit: redis.raw === null ? null : round(redis.ours.by10 / redis.raw),
    rows,
    notes: [
      ...ratios.map(({ beside, ratio }) => `${round(ratio)} x ${beside}`),
      "PostgreSQL makes every lock durable before it is had; Redis keeps it in memory",
      "the limit is Redis alone: SET NX PX and a compare-and-delete, without a token",
      ...notes,
    ],
  };
}

type Measure = (on: string, what: string, cycle: Cycle) => Promise<Row>;

function cycleOf(store: LeaseStore): Cycle {
  const locks = createLocks({ store });
  return async (name) => {
    const lock = await locks.acquire(name, { leaseMs });
    await lock.release();
  };
}

async function onPostgres(measure: Measure) {
  const server = await startBenchServer();
  await migrate({ ownerUrl: server.url, home: true, schemas: ["shared"], lines: migrationLines });
  const db = createDb({
    urlsOf: () => roleUrls(server.url),
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const pool = new pg.Pool({ connectionString: roleUrls(server.url).platform, max: 10 });
  // The server may say goodbye to a connection that is being closed.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  try {
    const ours = await measure("PostgreSQL", "ours", cycleOf(createPostgresLeaseStore({ db })));
    const row = await measure("PostgreSQL", "plain lease row", (name) => plainRow(pool, name));
    await measure("PostgreSQL", "session advisory lock", (name) => sessionLock(pool, name));
    await measure("PostgreSQL", "transaction advisory lock", (name) => transactionLock(pool, name));
    return { ours, row };
  } finally {
    await pool.end();
    await db.stop();
    await server.stop();
  }
}

/** What one writes by hand: an upsert that takes an ended lease and raises its token, and a release. */
async function plainRow(pool: pg.Pool, name: string): Promise<void> {
  const holder = newId();
  const { rowCount } = await pool.query({
    name: "take",
    text: `insert into platform.leases as l (name, holder, token, expires_at)
      values ($1, $2, 1, now() + interval '10 s')
      on conflict (name) do update set holder = excluded.holder, token = l.token + 1,
        expires_at = excluded.expires_at where l.expires_at <= now() returning token`,
    values: [name, holder],
  });
  if (rowCount !== 1) throw new Error("a lock of its own was refused");
  await pool.query({
    name: "release",
    text: "update platform.leases set expires_at = '-infinity' where name = $1 and holder = $2",
    values: [name, holder],
  });
}

async function sessionLock(pool: pg.Pool, name: string): Promise<void> {
  const client = await pool.connect();
  const text = (verb: string) => `select pg_${verb}(hashtextextended($1, 0))`;
  await client.query({ name: "lock", text: text("advisory_lock"), values: [name] });
  await client.query({ name: "unlock", text: text("advisory_unlock"), values: [name] });
  client.release();
}

async function transactionLock(pool: pg.Pool, name: string): Promise<void> {
  const client = await pool.connect();
  await client.query("begin");
  const text = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
  await client.query({ name: "xact_lock", text, values: [name] });
  await client.query("commit");
  client.release();
}

async function onRedis(measure: Measure, notes: string[]) {
  const none = { ours: { on: "", what: "", by10: 0, by200: 0 }, peers: [], raw: null };
  const installed = existsSync(new URL("./node_modules/redlock", import.meta.url));
  const server = installed ? await startRedis() : undefined;
  if (!server) {
    notes.push("Redis left out: it needs redis-server in the PATH and npm ci in bench/");
    return none;
  }
  const { Redis } = await import("ioredis");
  const client = new Redis(server.url, { enableAutoPipelining: false });
  try {
    const store = createRedisLeaseStore({ nodes: [client as unknown as RedisNode] });
    const ours = await measure("Redis", "ours", cycleOf(store));
    const peers: Row[] = [];
    const file = new URL("./peers/locks/redlock.js", import.meta.url);
    const { createSubjects } = (await import(file.href)) as { createSubjects: CreateSubjects };
    for (const [what, cycle] of createSubjects(client, leaseMs)) {
      peers.push(await measure("Redis", what, cycle));
    }
    const raw = await measure("Redis", "by hand", (name) => byHand(client, name));
    return { ours, peers, raw: raw.by10 };
  } finally {
    client.disconnect();
    await server.stop();
  }
}

type Client = InstanceType<typeof import("ioredis")["Redis"]>;
type CreateSubjects = (client: Client, leaseMs: number) => readonly (readonly [string, Cycle])[];

const compareAndDelete =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

async function byHand(client: Client, name: string): Promise<void> {
  const holder = newId();
  await client.set(`raw:${name}`, holder, "PX", leaseMs, "NX");
  await client.eval(compareAndDelete, 1, `raw:${name}`, holder);
}
