import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { type ClaimedJob, pinned } from "./claim.ts";
import { createOutcomes, type OutcomeSet } from "./outcomes.ts";
import {
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

/** Makes a settler; it runs by itself from the first outcome on. */
export function createSettler(config: SettlerConfig): Settler {
  const outcomes = createOutcomes(patienceMs);
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isScheduled = false;
  let isClosing = false;
  let generation = 0;

  const flushOnce = async (all: boolean): Promise<void> => {
    const born = generation;
    const set = outcomes.take(all);
    if (set.plain.length + set.special.length + set.finished.length === 0) return;
    try {
      const lost = await write(config, set);
      outcomes.written(set);
      if (lost > 0) config.onLost(lost);
    } catch (error) {
      if (born === generation) outcomes.giveBack(set);
      throw error;
    }
  };
  const run = async (): Promise<void> => {
    for (let attempt = 0; outcomes.hasDue(); ) {
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
    isScheduled = false;
    timer = undefined;
    if (flushing) return;
    flushing = run().finally(() => {
      flushing = undefined;
      plan();
    });
  };
  /** Flushes in the next turn what is due, and later what may wait. */
  const plan = (): void => {
    if (isScheduled || flushing || isClosing) return;
    if (outcomes.hasDue()) {
      isScheduled = true;
      setImmediate(begin);
    } else if (outcomes.hasWaiting()) {
      timer ??= setTimeout(begin, patienceMs);
    }
  };

  return {
    claimed(batchId, jobs) {
      const tenantId = jobs[0]?.tenantId;
      if (tenantId) outcomes.claimed({ id: batchId, tenantId }, jobs.length);
    },
    completed(job) {
      outcomes.completed(job);
      plan();
    },
    settled(settlement) {
      outcomes.settled(settlement);
      plan();
    },
    over(job) {
      outcomes.over(job);
      plan();
    },
    settling: outcomes.settling,
    forget() {
      generation++;
      outcomes.forget();
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
async function write(config: SettlerConfig, set: OutcomeSet): Promise<number> {
  const leaving = [...set.special].sort(bySettlement);
  const alone = [...set.plain].sort(bySettlement);
  const { answers } = await config.db.platform(
    config.database,
    async (tx) => {
      const pin = pinned(tx);
      const settling = leaving.length > 0 ? settle(tx, leaving) : [];
      const completing = alone.length > 0 ? settlePlainly(tx, alone) : [];
      const used = set.finished.filter((batch) => batch.hasSettled);
      if (used.length > 0) forgetSettled(tx, used);
      const removing = set.finished.length > 0 ? removeBatches(tx, set.finished) : [];
      const under = Promise.all([settling, completing, removing, pin]);
      under.catch(() => {});
      // In an object: COMMIT travels behind the statements, without waiting for their answers.
      return { answers: under };
    },
    { name: "jobs.settle" },
  );
  const [settled, completed, removed] = await answers;
  const kept = new Set(removed.map((row) => row.id));
  const gone = set.finished.filter((batch) => !kept.has(batch.id));
  const lostWithBatch = gone.reduce((sum, batch) => sum + batch.size, 0);
  return leaving.length + alone.length - settled.length - completed.length + lostWithBatch;
}
