import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startEmbeddedPostgres } from "../src/platform/embedded/embedded.ts";

/** What one bench found; `--json` prints it as its last line. */
export interface BenchResult {
  readonly bench: string;
  /** Our figure. */
  readonly ours: number;
  readonly unit: string;
  /** The peers' figures in the same run and unit; empty when none could be run. */
  readonly peers: Readonly<Record<string, number>>;
  /** Ours beside the best peer, larger is better for us; null without a peer. */
  readonly ratio: number | null;
  /** What the hardware or raw SQL allows in the same run. */
  readonly limit: number | null;
  /** Ours as a part of the limit. */
  readonly ofLimit: number | null;
  /** Rows of the printed table. */
  readonly rows?: readonly Readonly<Record<string, string | number>>[];
  /** What a reader must know: left-out peers, figures taken from an earlier run. */
  readonly notes?: readonly string[];
}

/** How to run a bench. */
export interface BenchOptions {
  /** Ends within 45 s, with fewer rows. */
  readonly quick: boolean;
  readonly log: (line: string) => void;
}

/** A bench file exports one of these as `run`. */
export type Bench = (options: BenchOptions) => Promise<BenchResult>;

/** Starts a durable server of its own in a temporary folder. */
export async function startBenchServer(): Promise<{
  readonly url: string;
  readonly stop: () => Promise<void>;
}> {
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-bench-"));
  const server = await startEmbeddedPostgres({ dataDir: path.join(folder, "data") });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Latencies and throughput of a closed loop. */
export interface LoadReport {
  readonly count: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Runs `call` from so many callers at once, each starting its next call when the last has ended.
 *
 * @param durationMs how long calls are started, milliseconds
 */
export async function closedLoop(
  callers: number,
  durationMs: number,
  call: (index: number, caller: number) => Promise<unknown>,
): Promise<LoadReport> {
  const latencies: number[] = [];
  let started = 0;
  const begin = performance.now();
  const loop = async (caller: number) => {
    while (performance.now() - begin < durationMs) {
      const at = performance.now();
      await call(started++, caller);
      latencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
  return summarise(latencies, performance.now() - begin);
}

/** Sums up latencies in milliseconds measured over a time in milliseconds. */
export function summarise(latencies: readonly number[], elapsedMs: number): LoadReport {
  const sorted = Float64Array.from(latencies).sort();
  const at = (part: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
  return {
    count: sorted.length,
    perSecond: Math.round((sorted.length / elapsedMs) * 1_000),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
  };
}

/** Rounds to two decimals. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
