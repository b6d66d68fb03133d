import { setImmediate as nextTurn } from "node:timers/promises";
import type { Timers } from "./timers.ts";

/** Time that moves when a test says so. */
export interface ManualTimers extends Timers {
  /** Moves on, waking whoever is due in order, and lets everything settle that follows from it. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  readonly waiting: number;
}

/** Starts at 1,000. */
export function createManualTimers(): ManualTimers {
  let now = 1_000;
  const waiting = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  return {
    now: () => now,
    after(delayMs, wake) {
      const timer = { atMs: now + delayMs, wake };
      waiting.add(timer);
      return () => void waiting.delete(timer);
    },
    async advance(ms) {
      const until = now + ms;
      await nextTurn();
      for (;;) {
        const [next] = [...waiting].toSorted((a, b) => a.atMs - b.atMs);
        if (!next || next.atMs > until) break;
        waiting.delete(next);
        now = Math.max(now, next.atMs);
        next.wake();
        await nextTurn();
      }
      now = until;
    },
    get waiting() {
      return waiting.size;
    },
  };
}
