import { existsSync } from "node:fs";
import {
  createBreaker,
  createBulkhead,
  createPolicy,
  createRetry,
  createTimeout,
  type Layer,
  openCall,
} from "../src/platform/resilience/resilience.ts";
import { type BenchOptions, type BenchResult, round } from "./harness.ts";

/** What every subject is given. */
export interface SubjectLimits {
  readonly attemptsMax: number;
  /** Longest pause before a retry, milliseconds. */
  readonly backoffMaxMs: number;
  readonly failuresInARow: number;
  readonly openMs: number;
  readonly timeoutMs: number;
  readonly concurrencyMax: number;
  readonly queueMax: number;
}

type Work = () => Promise<unknown>;
type Subject = (work: Work) => Promise<unknown>;
type Subjects = Readonly<Record<string, Subject>>;

interface Row {
  readonly [column: string]: string | number;
  readonly what: string;
  readonly by: string;
  /** Calls a second. */
  readonly perSecond: number;
}

const limits: SubjectLimits = {
  attemptsMax: 3,
  backoffMaxMs: 1,
  failuresInARow: 1_000,
  openMs: 1_000,
  timeoutMs: 5_000,
  concurrencyMax: 64,
  queueMax: 256,
};
/** Callers at once: fewer than the bulkhead has places. */
const callers = 32;

const works = new Map<string, () => Work>([
  ["", () => async () => 1],
  [", one in 100 fails", () => failing(100)],
]);

/** A peer that answers at once, and fails every so many calls. */
function failing(every: number): Work {
  let calls = 0;
  return async () => {
    if (++calls % every === 0) throw new Error("the peer failed");
    return 1;
  };
}

/** Policies around an async function that answers at once, beside the libraries people use. */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const ms = quick ? 400 : 2_000;
  const { peers, notes } = await loadPeers();
  const all: readonly (readonly [string, Subjects])[] = [["ours", ourSubjects()], ...peers];
  const rows: Row[] = [];
  const ratios: { readonly beside: string; readonly ratio: number }[] = [];
  const bare = await measure(
    (work) => work(),
    async () => 1,
    ms,
  );
  rows.push({ what: "bare", by: "the function alone", perSecond: bare });
  for (const [suffix, makeWork] of works) {
    for (const what of ["breaker", "timeout", "bulkhead", "retry", "composed"]) {
      // A retry of every error would be paced by its pauses, in every library alike.
      if (suffix !== "" && (what === "retry" || what === "composed")) continue;
      const found = await besideEachOther(what, all, makeWork, ms);
      for (const { by, perSecond } of found) log(`${what}${suffix}: ${by} ${perSecond}/s`);
      rows.push(...found.map((row) => ({ ...row, what: what + suffix })));
      const [ours, ...others] = found;
      for (const other of others) {
        const ratio = (ours?.perSecond ?? 0) / other.perSecond;
        ratios.push({ beside: `${other.by}: ${what}${suffix}`, ratio });
      }
    }
  }
  const composed = rows.find(({ what, by }) => what === "composed" && by === "ours");
  return {
    bench: "resilience",
    ours: composed?.perSecond ?? 0,
    unit: "calls a second through retry, bulkhead, breaker and timeout",
    peers: Object.fromEntries(
      rows.flatMap(({ what, by, perSecond }) =>
        by === "ours" || what === "bare" ? [] : [[`${by}: ${what}`, perSecond]],
      ),
    ),
    ratio: ratios.length === 0 ? null : round(Math.min(...ratios.map(({ ratio }) => ratio))),
    limit: bare,
    ofLimit: round((composed?.perSecond ?? 0) / bare),
    rows,
    notes: [...ratios.map(({ beside, ratio }) => `${round(ratio)} x ${beside}`), ...notes],
  };
}

/**
 * Measures those that can do it in turns, three times; the best turn counts: what else the machine does
 * slows a turn, nothing makes it faster.
 */
async function besideEachOther(
  what: string,
  all: readonly (readonly [string, Subjects])[],
  makeWork: () => Work,
  ms: number,
): Promise<readonly Row[]> {
  const best = new Map<string, number>();
  for (let turn = 0; turn < 3; turn++) {
    for (const [by, subjects] of all) {
      const subject = subjects[what];
      if (!subject) continue;
      const perSecond = await measure(subject, makeWork(), ms);
      best.set(by, Math.max(best.get(by) ?? 0, perSecond));
    }
  }
  return [...best].map(([by, perSecond]) => ({ what, by, perSecond }));
}

function ourSubjects(): Subjects {
  const through =
    (layer: Layer): Subject =>
    (work) =>
      layer.run(work, openCall());
  const retry = {
    attemptsMax: limits.attemptsMax,
    backoff: { baseMs: 1, maxMs: limits.backoffMaxMs },
  };
  const policy = createPolicy({
    name: "bench",
    ...limits,
    retry,
    breaker: limits,
    bulkhead: limits,
  });
  return {
    breaker: through(createBreaker({ name: "bench", ...limits })),
    timeout: through(createTimeout({ name: "bench", timeoutMs: limits.timeoutMs })),
    bulkhead: through(createBulkhead({ name: "bench", ...limits })),
    retry: through(createRetry({ name: "bench", ...retry })),
    composed: (work) => policy.run(work),
  };
}

async function loadPeers() {
  const peers: (readonly [string, Subjects])[] = [];
  const notes: string[] = [];
  for (const name of ["cockatiel", "opossum"]) {
    if (existsSync(new URL(`./node_modules/${name}`, import.meta.url))) {
      const file = new URL(`./peers/resilience/${name}.js`, import.meta.url);
      const { createSubjects } = (await import(file.href)) as {
        createSubjects: (limits: SubjectLimits) => Subjects;
      };
      peers.push([name, createSubjects(limits)]);
    } else notes.push(`${name} left out: it needs npm ci in bench/`);
  }
  return { peers, notes };
}

/** @returns calls a second by callers that each start the next call when one has ended */
async function measure(subject: Subject, work: Work, ms: number): Promise<number> {
  const begin = performance.now();
  let calls = 0;
  const loop = async () => {
    while (performance.now() - begin < ms) {
      for (let n = 0; n < 100; n++) {
        try {
          await subject(work);
        } catch {
          // The work that fails.
        }
      }
      calls += 100;
      // Timers have to get a turn: libraries that set one per call pay for it there.
      await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: callers }, loop));
  return Math.round((calls / (performance.now() - begin)) * 1_000);
}
