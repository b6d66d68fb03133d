import type { Random } from "../../kernel/random.ts";
import type { BreakerState } from "./events.ts";
import { createFailureRate, type FailureRateLimits } from "./failure-rate.ts";
import type { Timers } from "./timers.ts";

/** When a breaker opens, and for how long. */
export interface BreakerLimits {
  /** Failures in a row that open it; Infinity for never. */
  readonly failuresInARow: number;
  /** Opens it by the share of failures among recent calls as well; default: not. */
  readonly failureRate?: FailureRateLimits;
  /** How long it refuses when it opens, milliseconds; doubles while the calls that try fail. */
  readonly openMs: number;
  /** Longest it refuses before it lets somebody try, milliseconds. */
  readonly openMaxMs: number;
  /** Calls that may try at once, and have to succeed before it closes. */
  readonly probes: number;
}

/** Limits of a breaker that names none. */
export const breakerDefaults: BreakerLimits = {
  failuresInARow: 5,
  openMs: 1_000,
  openMaxMs: 10_000,
  probes: 1,
};

/** What a call said about the dependency. */
export type CallSaid = "good" | "bad" | "nothing";

/** The states of a breaker, and what moves it from one to the other. */
export interface Circuit {
  state(): BreakerState;
  /** How often it changed; what was said about an earlier period says nothing about this one. */
  period(): number;
  /** Whether it would refuse a call now. */
  refuses(): boolean;
  /** While it is not closed: takes the place of a probe. @returns false when there is none */
  admitProbe(): boolean;
  /** @param period in which the call began */
  note(said: CallSaid, period: number): void;
  /** Closes it: somebody else knows that the dependency is well. */
  reset(): void;
}

/** What a circuit is made of. */
export interface CircuitConfig {
  readonly limits: BreakerLimits;
  readonly timers: Timers;
  readonly random: Random;
  readonly onChange: (state: BreakerState) => void;
}

/** Makes a closed one. */
export function createCircuit({ limits, timers, random, onChange }: CircuitConfig): Circuit {
  const rate = limits.failureRate && createFailureRate(limits.failureRate, timers);
  let state: BreakerState = "closed";
  let period = 0;
  let failures = 0;
  /** How often it opened since it was closed. */
  let openings = 0;
  /** While open: when probes may begin. While half open: when they are given up and others may. */
  let untilMs = 0;
  let probesLeft = 0;
  let successesLeft = 0;

  const become = (next: BreakerState): void => {
    state = next;
    period++;
    onChange(next);
  };
  const open = (): void => {
    const longestMs = Math.min(limits.openMaxMs, limits.openMs * 2 ** Math.min(openings++, 30));
    // Half of it by chance: nodes that saw one outage must not come back as one.
    untilMs = timers.now() + longestMs * (0.5 + random() / 2);
    become("open");
  };
  const close = (): void => {
    failures = 0;
    openings = 0;
    rate?.reset();
    become("closed");
  };
  const noteCall = (isBad: boolean): void => {
    failures = isBad ? failures + 1 : 0;
    const isTooOften = rate?.note(isBad) ?? false;
    if (failures >= limits.failuresInARow || isTooOften) open();
  };
  const noteProbe = (said: CallSaid): void => {
    if (said === "bad") open();
    else if (said === "nothing") probesLeft++;
    else if (--successesLeft <= 0) close();
  };
  const refuses = (): boolean =>
    state !== "closed" && !(state === "half_open" && probesLeft > 0) && timers.now() < untilMs;
  return {
    state: () => state,
    period: () => period,
    refuses,
    admitProbe() {
      if (refuses()) return false;
      if (state === "open" || probesLeft <= 0) {
        // Probes that never come back do not keep it open for ever.
        untilMs = timers.now() + limits.openMaxMs;
        probesLeft = limits.probes;
        successesLeft = limits.probes;
        become("half_open");
      }
      probesLeft--;
      return true;
    },
    note(said, began) {
      if (began !== period) return;
      if (state === "half_open") noteProbe(said);
      else if (state === "closed" && said !== "nothing") noteCall(said === "bad");
    },
    reset() {
      if (state !== "closed") close();
      else failures = 0;
    },
  };
}
