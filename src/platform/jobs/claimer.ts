import { newId } from "../../kernel/ids.ts";
import type { Db } from "../db/db.ts";
import type { Tx } from "../db/transaction.ts";
import {
  type ClaimedJob,
  type ClaimedRow,
  claimJobs,
  commitSoon,
  findLanes,
  type LaneOrder,
  pinned,
} from "./claim.ts";
import { createLaneBook, type LaneBook, type LookDepth, type Snapshot } from "./lanes.ts";
import { createLookPlan } from "./look-plan.ts";
import type { WorkedQueue } from "./queue.ts";
import { type Allowance, addTokens, takeTokens } from "./rate.ts";

/** Jobs of one tenant and queue that were claimed together. */
export interface ClaimedBatch {
  readonly id: string;
  readonly queue: WorkedQueue;
  readonly jobs: readonly ClaimedJob[];
}

/** Finds out who has jobs, and claims them. */
export interface Claimer {
  /**
   * One transaction: looks for lanes where that is due or asked for, then claims for the queues
   * that are hungry. Without anything to do it does not touch the database.
   *
   * @returns the batches, or undefined when there was nothing to do
   */
  round(workerId: string, mustLook: boolean): Promise<readonly ClaimedBatch[] | undefined>;
  /** Until a rate allows more, milliseconds; Infinity when none is in the way. */
  nextTokenInMs(): number;
}

/** What a claimer works with. */
export interface ClaimerConfig {
  readonly db: Db;
  readonly database: string;
  /** The queue of that name, if this process works on it. */
  readonly queueOf: (name: string) => WorkedQueue | undefined;
  /** The queues known so far. */
  readonly worked: () => readonly WorkedQueue[];
}

/** A look that takes longer for each lane stepped over what is gone: a lane costs 10 us otherwise. */
const longLookMs = 0.5;

interface Round {
  readonly rows: readonly ClaimedRow[];
  readonly orders: readonly LaneOrder[];
  readonly snapshot: Snapshot;
  readonly allowances: ReadonlyMap<string, Allowance>;
}

/** A round whose answers are still on their way; in an object, so that nobody awaits them early. */
type RoundUnderWay = Omit<Round, "rows" | "snapshot"> & {
  readonly answers: Promise<[readonly ClaimedRow[], Snapshot]>;
};

/** Makes a claimer; one round at a time. */
export function createClaimer(config: ClaimerConfig): Claimer {
  const { db, database } = config;
  const book = createLaneBook();
  const looks = createLookPlan();
  /** Next moment a rate allows more, by queue, milliseconds of `performance.now()`. */
  const waitUntilMs = new Map<string, number>();

  const orders = (): LaneOrder[] => {
    const nowMs = performance.now();
    const hungry = config.worked().filter((queue) => queue.hunger() !== "none");
    return hungry
      .filter((queue) => (waitUntilMs.get(queue.name) ?? 0) <= nowMs)
      .flatMap((queue) => queue.shareOut(book.open(queue.name)))
      .map(({ lane, jobsMax }) => ({ ...lane, jobsMax, batchId: newId() }));
  };
  const look = async (tx: Tx, depth: LookDepth, pin: Promise<Snapshot>): Promise<void> => {
    const startedAt = performance.now();
    const marks = book.marks(depth);
    const heads = await findLanes(tx, marks, looks.after);
    const elapsedMs = performance.now() - startedAt;
    const isAll = looks.done(depth, heads, elapsedMs);
    const ours = heads.filter((head) => config.queueOf(head.queue));
    const wasLong = elapsedMs > longLookMs * (1 + marks.length + heads.length);
    book.found(ours, isAll, { depth, snapshot: await pin, wasLong });
  };
  const work = async (
    tx: Tx,
    workerId: string,
    depth: LookDepth | undefined,
  ): Promise<RoundUnderWay> => {
    const pin = pinned(tx);
    pin.catch(() => {});
    commitSoon(tx);
    if (depth) await look(tx, depth, pin);
    const wanted = orders();
    const allowances = await allow(tx, wanted, config.queueOf);
    const granted = grant(wanted, allowances);
    const rows = granted.length > 0 ? claimJobs(tx, workerId, granted) : Promise.resolve([]);
    const answers = Promise.all([rows, pin]);
    answers.catch(() => {});
    if (allowances.size > 0) giveBackTokens(tx, allowances, await rows);
    // COMMIT travels behind the claim, without waiting for its answer.
    return { answers, orders: granted, allowances };
  };

  return {
    async round(workerId, mustLook) {
      const depth = looks.due(performance.now()) ?? (mustLook ? "near" : undefined);
      if (!depth && orders().length === 0) return undefined;
      let round: Round;
      try {
        const name = "jobs.claim";
        const run = (tx: Tx) => work(tx, workerId, depth);
        const { answers, ...rest } = await db.platform(database, run, { name });
        const [rows, snapshot] = await answers;
        round = { ...rest, rows, snapshot };
      } catch (error) {
        // Perhaps it claimed and perhaps not: no position can be trusted.
        book.reset();
        throw error;
      }
      for (const [queue, { nextInMs }] of round.allowances) {
        if (nextInMs > 0) waitUntilMs.set(queue, performance.now() + nextInMs);
      }
      const jobs = jobsByBatch(round);
      noteClaims(book, round, jobs);
      return round.orders.flatMap((order) => {
        const queue = config.queueOf(order.queue);
        const taken = jobs.get(order.batchId) ?? [];
        return queue && taken.length > 0 ? [{ id: order.batchId, queue, jobs: taken }] : [];
      });
    },
    nextTokenInMs() {
      const nowMs = performance.now();
      for (const [queue, untilMs] of waitUntilMs) if (untilMs <= nowMs) waitUntilMs.delete(queue);
      return Math.min(...waitUntilMs.values()) - nowMs;
    },
  };
}

/** Takes tokens for the queues that have a rate, in one order for all processes. */
async function allow(
  tx: Tx,
  wanted: readonly LaneOrder[],
  queueOf: (name: string) => WorkedQueue | undefined,
): Promise<Map<string, Allowance>> {
  const allowances = new Map<string, Allowance>();
  const queues = [...new Set(wanted.map((order) => order.queue))].sort();
  for (const queue of queues) {
    const rate = queueOf(queue)?.settings.rate;
    if (!rate) continue;
    const jobs = wanted.filter((order) => order.queue === queue);
    const sum = jobs.reduce((total, order) => total + order.jobsMax, 0);
    allowances.set(queue, await takeTokens(tx, queue, rate, sum));
  }
  return allowances;
}

function grant(
  wanted: readonly LaneOrder[],
  allowances: ReadonlyMap<string, Allowance>,
): LaneOrder[] {
  const left = new Map([...allowances].map(([queue, { jobs }]) => [queue, jobs]));
  return wanted.flatMap((order) => {
    const allowed = left.get(order.queue);
    if (allowed === undefined) return [order];
    const jobsMax = Math.min(allowed, order.jobsMax);
    left.set(order.queue, allowed - jobsMax);
    return jobsMax > 0 ? [{ ...order, jobsMax }] : [];
  });
}

function giveBackTokens(
  tx: Tx,
  allowances: ReadonlyMap<string, Allowance>,
  rows: readonly ClaimedRow[],
): void {
  for (const [queue, allowance] of allowances) {
    const used = rows.filter((row) => row.queue === queue).length;
    if (used < allowance.jobs) addTokens(tx, queue, allowance.jobs - used);
  }
}

function noteClaims(
  book: LaneBook,
  { orders, snapshot }: Round,
  jobs: ReadonlyMap<string, readonly ClaimedJob[]>,
): void {
  for (const order of orders) {
    const taken = jobs.get(order.batchId) ?? [];
    const lastSeq = taken.reduce((last, job) => Math.max(last, job.seq), 0);
    book.claimed(order, { asked: order.jobsMax, taken: taken.length, lastSeq }, snapshot);
  }
}

function jobsByBatch({ rows, orders }: Round): Map<string, ClaimedJob[]> {
  const batchOf = new Map(
    orders.map((order) => [`${order.tenantId} ${order.queue}`, order.batchId]),
  );
  const jobs = new Map<string, ClaimedJob[]>(orders.map((order) => [order.batchId, []]));
  for (const row of rows) {
    const batchId = batchOf.get(`${row.tenant_id} ${row.queue}`) ?? "";
    jobs.get(batchId)?.push({
      tenantId: row.tenant_id,
      id: row.id,
      batchId,
      queue: row.queue,
      kind: row.kind,
      priority: row.priority,
      seq: row.seq,
      attempt: row.attempt,
      attemptsMax: row.attempts_max,
      payload: row.payload,
      origin: row.origin,
      hasUniqueKey: row.has_unique_key,
    });
  }
  return jobs;
}
