import type { Timers } from "./timers.ts";

/** Opens a breaker by the share of failures. */
export interface FailureRateLimits {
  /** Share of failures that opens it, above 0 to 1. */
  readonly ratio: number;
  /** How far back calls count, milliseconds. */
  readonly windowMs: number;
  /** Calls in the window below which the share says nothing. */
  readonly callsMin: number;
}

/** Counts recent calls. */
export interface FailureRate {
  /** Counts a call. @returns whether the share of failures is too large now */
  note(isFailure: boolean): boolean;
  reset(): void;
}

/** Parts of the window that are forgotten at a time. */
const slots = 10;

/** Makes a window that slides by a tenth of its length. */
export function createFailureRate(limits: FailureRateLimits, timers: Timers): FailureRate {
  const slotMs = limits.windowMs / slots;
  const calls = new Array<number>(slots).fill(0);
  const failures = new Array<number>(slots).fill(0);
  let current = Math.floor(timers.now() / slotMs);
  let callsSum = 0;
  let failuresSum = 0;
  const clear = (slot: number): void => {
    callsSum -= calls[slot] ?? 0;
    failuresSum -= failures[slot] ?? 0;
    calls[slot] = 0;
    failures[slot] = 0;
  };
  const moveTo = (now: number): void => {
    const steps = Math.min(slots, now - current);
    for (let step = 1; step <= steps; step++) clear((now - steps + step) % slots);
    current = now;
  };
  return {
    note(isFailure) {
      const now = Math.floor(timers.now() / slotMs);
      if (now !== current) moveTo(now);
      const slot = now % slots;
      calls[slot] = (calls[slot] ?? 0) + 1;
      callsSum++;
      if (isFailure) {
        failures[slot] = (failures[slot] ?? 0) + 1;
        failuresSum++;
      }
      return callsSum >= limits.callsMin && failuresSum >= limits.ratio * callsSum;
    },
    reset() {
      for (let slot = 0; slot < slots; slot++) clear(slot);
    },
  };
}
