import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "undici";
import { type BenchOptions, type BenchResult, round } from "./harness.ts";
import { freePorts } from "./load/free-ports.ts";
import { machineBefore } from "./load/machine.ts";
import { residentMb } from "./load/resident.ts";

const requests = 1_000;
const clients = 8;
const limits = { ms: 3_000, mb: 250 } as const;
/** Longest a start may take, the first one with its new database included, milliseconds. */
const startWithinMs = 120_000;
const pollMs = 5;

/** What one start showed. */
interface Start {
  /** From the process's creation to the end of the first answer, milliseconds. */
  readonly ms: number;
  readonly mbAtStart: number;
  readonly mbAfter: number;
}

/**
 * The program as `npm start` runs it, its embedded database and the demo's bank included, on a folder
 * that an earlier start made: from the creation of the process to the first answered request.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const home = mkdtempSync(path.join(tmpdir(), "brandos-bench-start-"));
  const machine = machineBefore();
  try {
    log("the first start makes the database and the demo …");
    const cold = await startOnce(home);
    log(`first start: ${Math.round(cold.ms)} ms`);
    const starts: Start[] = [];
    for (let index = 0; index < (quick ? 3 : 5); index++) {
      const start = await startOnce(home);
      log(`${Math.round(start.ms)} ms, ${start.mbAtStart} MB, then ${start.mbAfter} MB`);
      starts.push(start);
    }
    const result = resultOf(starts, cold);
    return { ...result, notes: [...(result.notes ?? []), ...machine.notes] };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function resultOf(starts: readonly Start[], cold: Start): BenchResult {
  const ours = Math.round(median(starts.map(({ ms }) => ms)));
  const mb = median(starts.map(({ mbAfter }) => mbAfter));
  return {
    bench: "start",
    ours,
    unit: "ms to the first answered request, warm start",
    peers: {},
    ratio: null,
    limit: null,
    ofLimit: null,
    rows: starts.map(({ ms, mbAtStart, mbAfter }, index) => ({
      start: index + 1,
      "first answer ms": Math.round(ms),
      "MB at first answer": mbAtStart,
      [`MB after ${requests} requests`]: mbAfter,
    })),
    notes: [
      `median of ${starts.length} starts: ${ours} ms (to reach: ${limits.ms} ms)`,
      `resident memory of node, medians: ${median(starts.map((start) => start.mbAtStart))} MB at ` +
        `the first answer, ${mb} MB after ${requests} requests (to reach: ${limits.mb} MB)`,
      `first start with an empty folder: ${Math.round(cold.ms)} ms: database, schema, demo brands`,
    ],
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Starts the program, waits for its first answer, sends requests, and stops it. */
async function startOnce(home: string): Promise<Start> {
  // The demo's bank listens on the next port.
  const [port = 0] = await freePorts(2);
  const root = path.join(import.meta.dirname, "..");
  const begin = performance.now();
  const searched = `${path.join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`;
  // The script replaces its shell: the child is node itself.
  const child = spawn("sh", ["-c", startScript(root)], {
    cwd: root,
    env: { PATH: searched, PORT: String(port), BRANDOS_HOME: home },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    const origin = `http://127.0.0.1:${port}`;
    const hasEnded = () => child.exitCode !== null;
    const headers = await firstAnswer({ origin, home, hasEnded });
    const ms = performance.now() - begin;
    const pid = child.pid ?? 0;
    const mbAtStart = residentMb(pid);
    await sendRequests(origin, headers);
    return { ms: round(ms), mbAtStart, mbAfter: residentMb(pid) };
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

/** What `npm start` runs, set-up left out. */
function startScript(root: string): string {
  const text = readFileSync(path.join(root, "package.json"), "utf8");
  return (JSON.parse(text) as { scripts: { start: string } }).scripts.start;
}

interface Asked {
  readonly origin: string;
  readonly home: string;
  readonly hasEnded: () => boolean;
}

type Headers = Readonly<Record<string, string>>;

async function firstAnswer({ origin, home, hasEnded }: Asked): Promise<Headers> {
  const client = new Client(origin);
  const begin = performance.now();
  try {
    while (performance.now() - begin < startWithinMs) {
      if (hasEnded()) throw new Error("the program ended before its first answer");
      const headers = { authorization: `Bearer ${demoKey(home)}` };
      const asked = client.request({ method: "GET", path: "/v1/products", headers });
      const answer = await asked.catch(() => undefined);
      if (answer) {
        const body = (await answer.body.json()) as { items?: readonly unknown[] };
        if (answer.statusCode === 200 && (body.items ?? []).length > 0) return headers;
      }
      await delay(pollMs);
    }
    throw new Error(`no answer within ${startWithinMs} ms`);
  } finally {
    await client.destroy();
  }
}

/** Publishable key of the first demo brand; empty until the first start has made it. */
function demoKey(home: string): string {
  try {
    const text = readFileSync(path.join(home, "demo-keys.json"), "utf8");
    const [first] = JSON.parse(text) as readonly { readonly publishableKey: string }[];
    return first?.publishableKey ?? "";
  } catch {
    return "";
  }
}

async function sendRequests(origin: string, headers: Headers): Promise<void> {
  let left = requests;
  const sendSome = async () => {
    const client = new Client(origin);
    while (left-- > 0) {
      const answer = await client.request({ method: "GET", path: "/v1/products", headers });
      await answer.body.dump();
      if (answer.statusCode !== 200) throw new Error(`GET /v1/products: ${answer.statusCode}`);
    }
    await client.close();
  };
  await Promise.all(Array.from({ length: clients }, sendSome));
}
