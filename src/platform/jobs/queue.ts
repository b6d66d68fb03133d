import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { ClaimedJob } from "./claim.ts";
import { createFairBuffer, type FairBuffer } from "./fair-buffer.ts";
import type { OpenLane } from "./lanes.ts";
import type { ActiveRun } from "./run.ts";

/** At most so many jobs of a queue start in a time, over all processes. */
export interface QueueRate {
  readonly jobsMax: number;
  /** Milliseconds. */
  readonly perMs: number;
}

/** How this process works on a queue; every field has a default. */
export interface QueueSettings {
  /** Jobs handled at once; default 10. */
  readonly concurrency?: number;
  /** Of these, for one tenant; default one less than concurrency: a slot is always left. */
  readonly tenantConcurrency?: number;
  /** Jobs claimed ahead of a free slot at most; default 2,000. Slow handlers get fewer. */
  readonly readAheadMax?: number;
  /** How long finished jobs are remembered, milliseconds; default 0: not at all. */
  readonly keepDoneForMs?: number;
  readonly rate?: QueueRate;
}

/** A queue as this process works on it. */
export interface WorkedQueue {
  readonly name: string;
  readonly settings: Required<Omit<QueueSettings, "rate">> & Pick<QueueSettings, "rate">;
  readonly buffer: FairBuffer;
  /** Runs under way, in no order. */
  readonly running: readonly ActiveRun[];
  /** How much there is to claim for: `low` is worth a large claim, `idle` only other tenants' jobs. */
  hunger(): "low" | "idle" | "none";
  /** What to claim from which lane: tenants with least in hand first, even shares. */
  shareOut(lanes: readonly OpenLane[]): readonly LaneShare[];
  /** Takes the next job that may start. */
  next(): ClaimedJob | undefined;
  started(run: ActiveRun): void;
  /** @param elapsedMs how long the handler took */
  ended(run: ActiveRun, elapsedMs: number): void;
}

/** A part of a claim. */
export interface LaneShare {
  readonly lane: OpenLane;
  readonly jobsMax: number;
}

/** Work claimed ahead, at the rate of late, milliseconds. */
const aheadMs = 50;
/** Jobs in one claim at most: bounds its memory and how long its rows are locked. */
const claimMax = 1_000;

/** Starts the bookkeeping of a queue. */
export function createQueue(name: string, given: QueueSettings): WorkedQueue {
  const concurrency = given.concurrency ?? 10;
  const settings = {
    concurrency,
    tenantConcurrency: given.tenantConcurrency ?? Math.max(1, concurrency - 1),
    readAheadMax: given.readAheadMax ?? 2_000,
    keepDoneForMs: given.keepDoneForMs ?? 0,
    ...(given.rate ? { rate: given.rate } : {}),
  };
  assert(concurrency >= 1 && settings.tenantConcurrency >= 1, "a queue runs at least one job");
  const buffer = createFairBuffer();
  // A short array: a Map that takes and drops a key per job rehashes all the time.
  const running: ActiveRun[] = [];
  const runningOf = new Map<TenantId, number>();
  const servedAt = new Map<TenantId, number>();
  let turn = 0;
  let averageMs: number | undefined;

  const mayRun = (tenantId: TenantId) =>
    (runningOf.get(tenantId) ?? 0) < settings.tenantConcurrency;
  const inHand = (tenantId: TenantId) => (runningOf.get(tenantId) ?? 0) + buffer.sizeOf(tenantId);
  const readAhead = (): number => {
    if (averageMs === undefined) return 0;
    const jobs = (concurrency / Math.max(averageMs, 0.001)) * aheadMs;
    return Math.min(settings.readAheadMax, Math.floor(jobs));
  };
  const target = () => concurrency + readAhead();
  const missing = () => target() - running.length - buffer.size;

  return {
    name,
    settings,
    buffer,
    running,
    hunger() {
      // Few large claims instead of many small ones, as long as there is work at hand.
      if (missing() * 2 >= target()) return "low";
      return running.length < concurrency && missing() > 0 ? "idle" : "none";
    },
    shareOut(lanes) {
      // Free slots beside a well-filled buffer: they wait for tenants that have nothing in hand.
      const isLow = missing() * 2 >= target();
      const tenants = bestLanes(lanes)
        .map((lane) => ({ lane, has: inHand(lane.tenantId), at: servedAt.get(lane.tenantId) ?? 0 }))
        .filter(({ has }) => isLow || has === 0)
        .sort((a, b) => a.has - b.has || a.at - b.at);
      const tenantMax = settings.tenantConcurrency + readAhead();
      const shares: LaneShare[] = [];
      let left = Math.min(isLow ? missing() : concurrency - running.length, claimMax);
      for (const [index, { lane, has }] of tenants.entries()) {
        if (left <= 0) break;
        const even = Math.ceil(left / (tenants.length - index));
        const share = Math.min(even, tenantMax - has);
        if (share <= 0) continue;
        shares.push({ lane, jobsMax: share });
        servedAt.set(lane.tenantId, ++turn);
        left -= share;
      }
      if (servedAt.size > 10_000) servedAt.clear();
      return shares;
    },
    next() {
      return running.length < concurrency ? buffer.next(mayRun) : undefined;
    },
    started(run) {
      const { tenantId } = run.job;
      running.push(run);
      runningOf.set(tenantId, (runningOf.get(tenantId) ?? 0) + 1);
    },
    ended(run, elapsedMs) {
      const { tenantId } = run.job;
      const at = running.indexOf(run);
      const last = running.pop();
      if (last && last !== run) running[at] = last;
      const count = (runningOf.get(tenantId) ?? 1) - 1;
      if (count > 0) runningOf.set(tenantId, count);
      else runningOf.delete(tenantId);
      averageMs = averageMs === undefined ? elapsedMs : averageMs * 0.9 + elapsedMs * 0.1;
    },
  };
}

/** Of each tenant the lane of its most urgent jobs; the others wait until it is empty. */
function bestLanes(lanes: readonly OpenLane[]): OpenLane[] {
  const best = new Map<TenantId, OpenLane>();
  for (const lane of lanes) {
    const known = best.get(lane.tenantId);
    if (!known || lane.priority < known.priority) best.set(lane.tenantId, lane);
  }
  return [...best.values()];
}
