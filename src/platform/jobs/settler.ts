import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { type ClaimedJob, pinned } from "./claim.ts";
import {
  type Batch,
  bySettlement,
  forgetSettled,
  type HeldJob,
  removeBatches,
  type Settlement,
  settle,
  settlePlainly,
} from "./settle.ts";

/** Writes the outcomes of many runs together. */
export interface Settler {
  /** Notes a batch that was just claimed. */
  claimed(batchId: string, jobs: readonly ClaimedJob[]): void;
  /** A job completed and nothing but that has to be written. */
  completed(job: ClaimedJob): void;
  /** A job is over in any other way. */
  settled(settlement: Settlement): void;
  /** A job is over and somebody else wrote it: its own transaction, or whoever took it away. */
  over(job: HeldJob): void;
  /** A transaction of a handler is about to settle a job of this batch. */
  settling(batchId: string): void;
  /** Forgets everything: the lease was lost, all of it belongs to others now. */
  forget(): void;
  /** The last flush: no more retries behind it. @throws what the database threw */
  close(): Promise<void>;
}

/** What a settler works with. */
export interface SettlerConfig {
  readonly db: Db;
  readonly database: string;
  readonly random: Random;
  /** So many jobs were taken away before their outcome was written: they run again elsewhere. */
  readonly onLost: (jobs: number) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * How long a completed job waits for the rest of its batch, milliseconds. Then it is written
 * alone. A worker killed in this time leaves the job to run again.
 */
const patienceMs = 20;
const backoff: Backoff = { baseMs: 20, maxMs: 2_000 };

interface OpenBatch extends Batch {
  readonly size: number;
  /** Jobs not yet over. */
  open: number;
  /** Completed jobs not yet written. */
  plain: HeldJob[];
  /** When the first of them completed, milliseconds of `performance.now()`. */
  plainSinceMs: number;
  /** Whether jobs_settled may have rows of it. */
  hasSettled: boolean;
}

interface Work {
  readonly plain: readonly HeldJob[];
  readonly special: readonly Settlement[];
  readonly finished: readonly OpenBatch[];
}

/** Makes a settler; it runs by itself and needs no stop, only a last flush. */
export function createSettler(config: SettlerConfig): Settler {
  const batches = new Map<string, OpenBatch>();
  const waiting = new Set<OpenBatch>();
  let special: Settlement[] = [];
  let finished: OpenBatch[] = [];
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let scheduled = false;
  let generation = 0;
  let isClosing = false;

  const isDue = (batch: OpenBatch) => performance.now() - batch.plainSinceMs >= patienceMs;
  const hasWork = (): boolean => {
    if (special.length + finished.length > 0) return true;
    for (const batch of waiting) if (isDue(batch)) return true;
    return false;
  };
  const take = (all: boolean): Work => {
    const alone: HeldJob[] = [];
    for (const batch of waiting) {
      if (!all && !isDue(batch)) continue;
      alone.push(...batch.plain);
      batch.plain = [];
      batch.hasSettled = true;
      waiting.delete(batch);
    }
    for (const job of special) {
      const batch = batches.get(job.batchId);
      if (batch) batch.hasSettled = true;
    }
    const work = { plain: alone, special, finished };
    special = [];
    finished = [];
    return work;
  };
  const giveBack = (work: Work): void => {
    for (const job of work.plain) {
      const batch = batches.get(job.batchId);
      // A batch that finished meanwhile needs no word about its completed jobs.
      if (!batch || batch.open === 0) continue;
      batch.plain.push(job);
      waiting.add(batch);
    }
    special = [...work.special, ...special];
    finished = [...work.finished, ...finished];
  };
  const flushOnce = async (all: boolean): Promise<void> => {
    const born = generation;
    const work = take(all);
    if (work.plain.length + work.special.length + work.finished.length === 0) return;
    try {
      const lost = await write(config, work);
      for (const batch of work.finished) batches.delete(batch.id);
      if (lost > 0) config.onLost(lost);
    } catch (error) {
      if (born === generation) giveBack(work);
      throw error;
    }
  };
  const run = async (): Promise<void> => {
    for (let attempt = 0; hasWork(); ) {
      try {
        await flushOnce(false);
        attempt = 0;
      } catch (error) {
        config.onError(error);
        if (isClosing) return;
        const waitMs = fullJitter(backoff, attempt++, config.random);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  };
  const begin = (): void => {
    scheduled = false;
    if (flushing) return;
    flushing = run().finally(() => {
      flushing = undefined;
      if (hasWork()) soon();
      else if (waiting.size > 0) later();
    });
  };
  const soon = (): void => {
    if (scheduled || flushing || isClosing) return;
    scheduled = true;
    setImmediate(begin);
  };
  const later = (): void => {
    if (timer || flushing || isClosing) return;
    timer = setTimeout(() => {
      timer = undefined;
      begin();
    }, patienceMs);
  };
  const leave = (batch: OpenBatch): void => {
    batch.open--;
    if (batch.open > 0) return;
    waiting.delete(batch);
    finished.push(batch);
    soon();
  };

  return {
    claimed(batchId, jobs) {
      const tenantId = jobs[0]?.tenantId;
      if (!tenantId) return;
      const size = jobs.length;
      const fresh = { plain: [], plainSinceMs: 0, hasSettled: false };
      batches.set(batchId, { tenantId, id: batchId, size, open: size, ...fresh });
    },
    completed(job) {
      const batch = batches.get(job.batchId);
      if (!batch) return;
      if (batch.plain.length === 0) batch.plainSinceMs = performance.now();
      batch.plain.push(job);
      waiting.add(batch);
      leave(batch);
      if (waiting.size > 0) later();
    },
    settled(settlement) {
      const batch = batches.get(settlement.batchId);
      if (!batch) return;
      special.push(settlement);
      leave(batch);
      soon();
    },
    over(job) {
      const batch = batches.get(job.batchId);
      if (batch) leave(batch);
    },
    settling(batchId) {
      const batch = batches.get(batchId);
      if (batch) batch.hasSettled = true;
    },
    forget() {
      generation++;
      batches.clear();
      waiting.clear();
      special = [];
      finished = [];
    },
    async close() {
      isClosing = true;
      clearTimeout(timer);
      await flushing;
      await flushOnce(true);
    },
  };
}

/** @returns how many jobs were settled by others before */
async function write(config: SettlerConfig, work: Work): Promise<number> {
  const special = [...work.special].sort(bySettlement);
  const alone = [...work.plain].sort(bySettlement);
  return config.db.platform(
    config.database,
    async (tx) => {
      const pin = pinned(tx);
      const settling = special.length > 0 ? settle(tx, special) : [];
      const completing = alone.length > 0 ? settlePlainly(tx, alone) : [];
      const used = work.finished.filter((batch) => batch.hasSettled);
      if (used.length > 0) forgetSettled(tx, used);
      const removing = work.finished.length > 0 ? removeBatches(tx, work.finished) : [];
      const [, written, completed, removed] = await Promise.all([
        pin,
        settling,
        completing,
        removing,
      ]);
      const kept = new Set(removed.map((row) => row.id));
      const gone = work.finished.filter((batch) => !kept.has(batch.id));
      const lostWithBatch = gone.reduce((sum, batch) => sum + batch.size, 0);
      return special.length + alone.length - written.length - completed.length + lostWithBatch;
    },
    { name: "jobs.settle" },
  );
}
