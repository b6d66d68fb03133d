import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { newId } from "../../kernel/ids.ts";
import { migrationLines } from "../../migration-lines.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis } from "../../testing/redis.ts";
import { migrate } from "../db/migrate.ts";
import { roleUrls } from "../db/roles.ts";
import { startEmbeddedPostgres } from "../embedded/embedded.ts";
import { type LimitPolicy, strictShare } from "./policy.ts";
import { startTaker, type TakenReport, type Taker, type TakerOrders } from "./takers.fixture.ts";

const minute = { algorithm: "fixed_window", windowMs: 60_000 } as const;
const reads: LimitPolicy = { ...minute, name: "reads", limit: 100_000, fallback: "open" };
const logins: LimitPolicy = { ...minute, name: "logins", limit: 3_000, fallback: "strict" };
/** Five times the default: a machine that others use as well keeps a store that is there for 100 ms. */
const waitMs = 500;
const phaseMs = 2_500;
/** What the machine may add to a timer when others use it, milliseconds. */
const noiseMs = 250;

/** A store and what can be done to it. */
interface Victim {
  readonly store: TakerOrders["store"];
  pause(): Promise<void>;
  resume(): Promise<void>;
  kill(): Promise<void>;
  revive(): Promise<void>;
  /** Empties it. */
  flush(): Promise<void>;
}

/** What is taken in a time of its own. */
async function phase(taker: Taker, ms = phaseMs): Promise<readonly TakenReport[]> {
  await taker.report();
  await delay(ms);
  return taker.report();
}

const of = (policy: LimitPolicy, reports: readonly TakenReport[]) =>
  reports.filter(([name]) => name === policy.name);
const latencies = (reports: readonly TakenReport[]) =>
  reports.map(([, askedAt, answeredAt]) => answeredAt - askedAt).toSorted((a, b) => a - b);
const p95 = (reports: readonly TakenReport[]) =>
  latencies(reports)[Math.floor(reports.length * 0.95)] ?? 0;
const allowed = (reports: readonly TakenReport[]) =>
  reports.filter(([, , , isAllowed]) => isAllowed === 1).length;

/** Nobody waits for the store, nobody is let in without limit, nobody is kept out for ever. */
function checkAway(reports: readonly TakenReport[], normal: readonly TakenReport[]): string {
  const slowest = latencies(reports).at(-1) ?? 0;
  assert(slowest <= waitMs + noiseMs, `one waited ${slowest} ms`);
  const [before, away] = [p95(normal), p95(reports)];
  assert(away <= 2 * before, `p95 was ${before} ms, and ${away} ms without the store`);
  assert(reports.some(([, , , , source]) => source === "fallback"));
  const here = reports.filter(([, , , , source]) => source === "fallback");
  assert.equal(allowed(of(reads, here)), of(reads, here).length, "reads stay open");
  const admitted = allowed(of(logins, here));
  assert(admitted > 0, "logins are not shut out");
  assert(admitted <= logins.limit * strictShare, `${admitted} logins without the store`);
  const [was, is] = [before, away].map((ms) => ms.toFixed(2));
  return `p95 ${was} ms, without the store ${is} ms; slowest ${slowest.toFixed(0)} ms; ${admitted} logins`;
}

async function untilBack(taker: Taker): Promise<void> {
  const untilMs = performance.now() + 15_000;
  for (;;) {
    const reports = await phase(taker, 100);
    if (reports.some(([, , , , source]) => source === "store")) return;
    assert(performance.now() < untilMs, "the store was back for 15 s and was not asked");
  }
}

async function open(t: TestContext, victim: Victim): Promise<Taker> {
  const policies = [reads, logins];
  const orders = { store: victim.store, policies, key: newId(), callers: 2, everyMs: 3 };
  const taker = await startTaker({ ...orders, waitMs, pauseMs: 300 });
  t.after(taker.kill);
  taker.start();
  await phase(taker, 300);
  return taker;
}

function testVictim(where: string, victim: Victim): void {
  for (const [what, harm, mend] of [
    ["paused", victim.pause, victim.resume],
    ["killed", victim.kill, victim.revive],
  ] as const) {
    it(`${where} ${what} makes nobody wait, lets nobody in without limit and shuts nobody out`, async (t) => {
      const taker = await open(t, victim);
      const normal = await phase(taker);
      assert(normal.every(([, , , , source]) => source === "store"));
      const going = phase(taker);
      await harm();
      const reports = await going;
      await mend();
      t.diagnostic(checkAway(reports, normal));
      assert.deepEqual(taker.events.slice(0, 1), ["store_away"]);
      await untilBack(taker);
      assert.equal(taker.events.at(-1), "store_back");
      await taker.stop();
    });
  }

  it(`${where} emptied is counted anew, and goes on`, async (t) => {
    const taker = await open(t, victim);
    await phase(taker, 500);
    const going = phase(taker, 500);
    await victim.flush();
    const reports = await going;
    assert(reports.length > 0 && reports.every(([, , , , source]) => source === "store"));
    assert.deepEqual(taker.events, []);
    await taker.stop();
  });
}

const skip = skipWithout("Redis");

describe("limits whose Redis is", { skip }, async () => {
  if (skip) return;
  const server = await startRedis();
  after(() => server.stop());
  testVictim("Redis", {
    store: { redis: [server.url] },
    pause: async () => server.pause(),
    resume: async () => server.resume(),
    kill: server.kill,
    revive: server.start,
    flush: async () => void (await server.connect().flushall()),
  });
});

describe("limits whose PostgreSQL is", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-limits-"));
  chmodSync(folder, 0o711);
  const dataDir = path.join(folder, "postgres");
  const start = () => startEmbeddedPostgres({ dataDir, settings: { fsync: false } });
  let server = await start();
  await migrate({ ownerUrl: server.url, home: true, schemas: ["shared"], lines: migrationLines });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const query = async <Row>(text: string): Promise<readonly Row[]> => {
    const client = new pg.Client(server.url);
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  const postmaster = () =>
    Number(readFileSync(path.join(dataDir, "postmaster.pid"), "utf8").split("\n")[0]);
  let paused: number[] = [];
  testVictim("PostgreSQL", {
    store: { urls: roleUrls(server.url) },
    async pause() {
      const backends = await query<{ pid: number }>(
        "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
      );
      paused = [postmaster(), ...backends.map(({ pid }) => pid)];
      for (const pid of paused) process.kill(pid, "SIGSTOP");
    },
    async resume() {
      for (const pid of paused) process.kill(pid, "SIGCONT");
    },
    async kill() {
      process.kill(postmaster(), "SIGKILL");
      // Whoever started it would start it again, faster than anybody asks for a fallback.
      await server.stop();
    },
    async revive() {
      server = await start();
    },
    flush: async () => void (await query("truncate platform.rate_limits")),
  });
});
