import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import pg from "pg";
import { type BenchOptions, type BenchResult, round, startBenchServer } from "./harness.ts";
import { withOldSnapshot } from "./load/jobs-backlog.ts";
import type { JobsFigures } from "./load/jobs-driver.ts";
import { startRedis } from "./load/redis.ts";

/** Peers on PostgreSQL: to be beaten by half in each column. */
const postgresPeers = ["graphile-worker", "pg-boss"] as const;

type Figures = Readonly<Record<string, JobsFigures>>;

const columns = ["enqueue10", "bulk", "process10", "tuned"] as const;

/** Jobs: enqueue, process and pick-up latency beside graphile-worker, pg-boss and BullMQ. */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const notes: string[] = [];
  const figures: Record<string, JobsFigures> = {};
  const mode = quick ? "quick" : "full";
  const server = await startBenchServer();
  try {
    for (const name of ["brandos", ...postgresPeers]) {
      if (name !== "brandos" && !isInstalled(name)) {
        notes.push(`${name} is not installed: npm ci in bench/`);
        continue;
      }
      figures[name] = await drive(name, await freshDatabase(server.url, name), mode);
      log(`${name}: ${JSON.stringify(figures[name])}`);
    }
    const redis = isInstalled("bullmq") ? await startRedis() : undefined;
    if (redis) {
      figures["bullmq"] = await drive("bullmq", redis.url, mode);
      log(`bullmq: ${JSON.stringify(figures["bullmq"])}`);
      await redis.stop();
      notes.push("Redis ran without writing to disk; PostgreSQL made every commit durable");
    } else {
      notes.push("BullMQ left out: it needs redis-server in the PATH and npm ci in bench/");
    }
    const limit = await rawLimit(await freshDatabase(server.url, "raw"), quick ? 1 : 4);
    const backlog = await freshDatabase(server.url, "backlog");
    const held = await withOldSnapshot(backlog, quick ? 40_000 : 500_000, quick ? 3 : 30);
    log(`backlog and old snapshot: ${JSON.stringify(held)}`);
    notes.push(
      `${held.waiting} waiting jobs, never analysed: ${held.freshPerSecond}/s; ` +
        `with a snapshot held open for ${held.heldSeconds} s: ${held.heldPerSecond}/s at its end`,
    );
    return result(figures, limit, notes);
  } finally {
    await server.stop();
  }
}

function result(figures: Figures, limit: number, notes: readonly string[]): BenchResult {
  const ours = figures["brandos"];
  if (!ours) throw new Error("the bench measured nothing of its own");
  const ratios = columns.flatMap((column) => {
    const best = Math.max(...postgresPeers.map((name) => figures[name]?.[column] ?? 0));
    return best > 0 ? [{ column, ratio: ours[column] / best }] : [];
  });
  const bull = figures["bullmq"];
  const beside = bull && [
    {
      column: "enqueue beside BullMQ",
      ratio: ours.enqueue200 / Math.max(bull.enqueue10, bull.enqueue200),
    },
    { column: "process beside BullMQ", ratio: ours.tuned / Math.max(bull.process10, bull.tuned) },
  ];
  const worst = Math.min(...ratios.map(({ ratio }) => ratio));
  const peers = Object.entries(figures).filter(([name]) => name !== "brandos");
  return {
    bench: "jobs",
    ours: ours.tuned,
    unit: "jobs/s processed",
    peers: Object.fromEntries(
      peers.map(([name, figure]) => [name, Math.max(figure.process10, figure.tuned)]),
    ),
    ratio: ratios.length > 0 ? round(worst) : null,
    limit,
    ofLimit: round(ours.tuned / limit),
    rows: Object.entries(figures).map(([name, figure]) => ({ name, ...figure })),
    notes: [
      ...[...ratios, ...(beside ?? [])].map(({ column, ratio }) => `${column}: ${round(ratio)} x`),
      ...notes,
    ],
  };
}

function isInstalled(name: string): boolean {
  return existsSync(new URL(`./node_modules/${name}`, import.meta.url));
}

async function freshDatabase(url: string, name: string): Promise<string> {
  const database = `jobs_${name.replaceAll("-", "_")}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${database}`);
  await client.end();
  const made = new URL(url);
  made.pathname = `/${database}`;
  return made.href;
}

/** Measures one queue in a process of its own. */
async function drive(name: string, url: string, mode: "quick" | "full"): Promise<JobsFigures> {
  const script = new URL("./load/jobs-driver.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, name, url, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  const last = output.trim().split("\n").at(-1);
  if (code !== 0 || !last) throw new Error(`measuring ${name} ended with code ${code}`);
  return JSON.parse(last) as JobsFigures;
}

/**
 * What the machine allows: rows taken by hand-written SQL in batches of a thousand, deleted for good
 * in the same statement, with nobody to handle them.
 */
async function rawLimit(url: string, seconds: number): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    "create table raw_jobs (id bigint generated always as identity primary key, payload json)",
  );
  await client.query(
    `insert into raw_jobs (payload)
     select '{"n":1,"who":"somebody"}' from generate_series(1, $1)`,
    [seconds * 300_000],
  );
  const startedAt = performance.now();
  let taken = 0;
  while (performance.now() - startedAt < seconds * 1_000) {
    const { rowCount } = await client.query({
      name: "take",
      text: `delete from raw_jobs where ctid = any (array(
        select ctid from raw_jobs where id > $1 order by id limit 1000 for update skip locked))
        returning id, payload`,
      values: [taken],
    });
    if (!rowCount) break;
    taken += rowCount;
  }
  const perSecond = Math.round((taken / (performance.now() - startedAt)) * 1_000);
  await client.end();
  return perSecond;
}

if (import.meta.main) {
  const quick = process.argv.includes("--quick");
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const { rows, notes, ...figures } = await run({ quick, log });
  if (rows) process.stdout.write(`${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);
  process.stdout.write(`${notes?.join("\n")}\n${JSON.stringify(figures)}\n`);
}
