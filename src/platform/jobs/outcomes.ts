import type { Batch, HeldJob, Settlement } from "./settle.ts";

/** A batch of this worker with jobs that are not over. */
export interface OpenBatch extends Batch {
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

/** Outcomes to write in one transaction. */
export interface OutcomeSet {
  /** Completed jobs of batches that go on. */
  readonly plain: readonly HeldJob[];
  /** Jobs that leave in another way. */
  readonly special: readonly Settlement[];
  /** Batches all of whose jobs are over. */
  readonly finished: readonly OpenBatch[];
}

/** What this worker holds, and which outcomes are not yet written. */
export interface Outcomes {
  claimed(batch: Batch, size: number): void;
  completed(job: HeldJob): void;
  settled(settlement: Settlement): void;
  /** A job is over and somebody else wrote it. */
  over(job: HeldJob): void;
  /** Somebody else is about to write a job of this batch. */
  settling(batchId: string): void;
  /** Takes what is to be written now. @param all also what could still wait for its batch */
  take(all: boolean): OutcomeSet;
  /** It was written. */
  written(set: OutcomeSet): void;
  /** It could not be written: it is to be written again. */
  giveBack(set: OutcomeSet): void;
  /** Whether there is something to write now. */
  hasDue(): boolean;
  /** Whether completed jobs wait for the rest of their batch. */
  hasWaiting(): boolean;
  forget(): void;
}

/**
 * Keeps the books of a settler.
 *
 * @param patienceMs how long a completed job waits for the rest of its batch, milliseconds
 */
export function createOutcomes(patienceMs: number): Outcomes {
  const batches = new Map<string, OpenBatch>();
  const waiting = new Set<OpenBatch>();
  let special: Settlement[] = [];
  let finished: OpenBatch[] = [];

  const isDue = (batch: OpenBatch) => performance.now() - batch.plainSinceMs >= patienceMs;
  const leave = (batch: OpenBatch): void => {
    batch.open--;
    if (batch.open > 0) return;
    waiting.delete(batch);
    finished.push(batch);
  };
  const wait = (batch: OpenBatch, job: HeldJob): void => {
    if (batch.plain.length === 0) batch.plainSinceMs = performance.now();
    batch.plain.push(job);
    waiting.add(batch);
  };

  return {
    claimed({ id, tenantId }, size) {
      const fresh = { plain: [], plainSinceMs: 0, hasSettled: false };
      batches.set(id, { id, tenantId, size, open: size, ...fresh });
    },
    completed(job) {
      const batch = batches.get(job.batchId);
      if (!batch) return;
      // The last job of a batch goes with it.
      if (batch.open > 1) wait(batch, job);
      leave(batch);
    },
    settled(settlement) {
      const batch = batches.get(settlement.batchId);
      if (!batch) return;
      special.push(settlement);
      batch.hasSettled = true;
      leave(batch);
    },
    over(job) {
      const batch = batches.get(job.batchId);
      if (batch) leave(batch);
    },
    settling(batchId) {
      const batch = batches.get(batchId);
      if (batch) batch.hasSettled = true;
    },
    take(all) {
      const plain: HeldJob[] = [];
      for (const batch of waiting) {
        if (!all && !isDue(batch)) continue;
        plain.push(...batch.plain);
        batch.plain = [];
        batch.hasSettled = true;
        waiting.delete(batch);
      }
      const set = { plain, special, finished };
      special = [];
      finished = [];
      return set;
    },
    written(set) {
      for (const batch of set.finished) batches.delete(batch.id);
    },
    giveBack(set) {
      for (const job of set.plain) {
        const batch = batches.get(job.batchId);
        // A batch that finished meanwhile needs no word about its completed jobs.
        if (batch && batch.open > 0) wait(batch, job);
      }
      special = [...set.special, ...special];
      finished = [...set.finished, ...finished];
    },
    hasDue() {
      if (special.length + finished.length > 0) return true;
      for (const batch of waiting) if (isDue(batch)) return true;
      return false;
    },
    hasWaiting: () => waiting.size > 0,
    forget() {
      batches.clear();
      waiting.clear();
      special = [];
      finished = [];
    },
  };
}
