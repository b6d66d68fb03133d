import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import type { DatabaseUrls } from "../db/db.ts";
import type { LimitPolicy } from "./policy.ts";
import type { VerdictSource } from "./verdict.ts";

/** What a process of takers is told. */
export interface TakerOrders {
  readonly store: { readonly redis: readonly string[] } | { readonly urls: DatabaseUrls };
  /** Each is taken from by itself. */
  readonly policies: readonly LimitPolicy[];
  readonly key: string;
  /** Callers of each policy at once. */
  readonly callers: number;
  /** Pause of a caller after every take, milliseconds; default: none, 1 after a refusal. */
  readonly everyMs?: number;
  readonly waitMs?: number;
  readonly pauseMs?: number;
}

/** One take: of which policy, when it was asked and answered (one clock), whether allowed, by whom. */
export type TakenReport = readonly [
  policy: string,
  askedAt: number,
  answeredAt: number,
  allowed: number,
  source: VerdictSource,
];

/** What such a process says. */
export type TakerSays =
  | { readonly isReady: true }
  | { readonly event: string }
  | { readonly reports: readonly TakenReport[]; readonly isStopped?: true };

/** A process that takes. */
export interface Taker {
  start(): void;
  /** What it took since it was last asked. */
  report(): Promise<readonly TakenReport[]>;
  /** Kinds of its limiter's events so far. */
  readonly events: readonly string[];
  /** Ends it in order. @returns the rest of what it took */
  stop(): Promise<readonly TakenReport[]>;
  /** Kills it on the spot. */
  kill(): void;
}

/** Starts one, ready to take. */
export async function startTaker(orders: TakerOrders): Promise<Taker> {
  const child = fork(path.join(import.meta.dirname, "taker.fixture.ts"), [JSON.stringify(orders)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [],
  });
  const events: string[] = [];
  child.on("message", (message: TakerSays) => {
    if ("event" in message) events.push(message.event);
  });
  await said(child, "isReady");
  return {
    events,
    start: () => void child.send("start"),
    async report() {
      child.send("report");
      return reportsOf(await said(child, "reports"));
    },
    async stop() {
      child.send("stop");
      return reportsOf(await said(child, "isStopped"));
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function reportsOf(message: TakerSays): readonly TakenReport[] {
  return "reports" in message ? message.reports : [];
}

function said(child: ChildProcess, what: string): Promise<TakerSays> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error(`a taker ended before it said ${what}`));
    const listen = (message: TakerSays) => {
      if (!(what in message)) return;
      child.off("message", listen);
      child.off("exit", gone);
      resolve(message);
    };
    child.on("message", listen);
    child.once("exit", gone);
  });
}

/**
 * Most tokens that were surely admitted in one window: asked for after its begin and answered before its
 * end. Knows nothing of any algorithm.
 */
export function mostInWindow(reports: readonly TakenReport[], windowMs: number): number {
  const admitted = reports.filter(([, , , allowed]) => allowed === 1);
  const byAnswer = admitted.toSorted((a, b) => a[2] - b[2]);
  const begins = admitted.map(([, askedAt]) => askedAt);
  let most = 0;
  for (const fromMs of begins) {
    let count = 0;
    for (const [, askedAt, answeredAt] of byAnswer) {
      if (answeredAt >= fromMs + windowMs) break;
      if (askedAt >= fromMs) count++;
    }
    most = Math.max(most, count);
  }
  return most;
}
