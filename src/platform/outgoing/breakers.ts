import {
  type Breaker,
  type BreakerState,
  createBreaker,
  type OnResilienceEvent,
  ResilienceError,
} from "../resilience/resilience.ts";
import { OutgoingError } from "./errors.ts";

/** A breaker changed its state. */
export interface BreakerReport {
  readonly name: string;
  readonly origin: string;
  readonly state: BreakerState;
}

/** One breaker per origin. */
export interface Breakers {
  of(origin: string): Breaker;
  stateOf(origin: string): BreakerState;
  /** The worst state of all origins. */
  worst(): BreakerState;
}

/** When breakers open and how long they stay open. */
export interface BreakerLimits {
  readonly breakerThreshold: number;
  readonly breakerOpenMs: number;
  readonly breakerOpenMaxMs: number;
}

/** Origins whose breakers are kept; the one used longest ago is forgotten first. */
const originsMax = 1_000;

/**
 * Makes breakers that open after failures in a row. Failures are: no connection, no answer, a broken
 * one, and answers of 500 or more. A caller that goes away is none, nor is its own short deadline.
 */
export function createBreakers(
  name: string,
  limits: BreakerLimits,
  onEvent: OnResilienceEvent,
  onChange: (report: BreakerReport) => void = () => {},
): Breakers {
  const known = new Map<string, Breaker>();
  const make = (origin: string): Breaker =>
    createBreaker({
      name,
      failuresInARow: limits.breakerThreshold,
      openMs: limits.breakerOpenMs,
      openMaxMs: limits.breakerOpenMaxMs,
      isFailure: isPeerFailure,
      isBadAnswer: (answer) => (answer as { readonly status: number }).status >= 500,
      onEvent(event) {
        onEvent(event);
        if (event.kind === "breaker") onChange({ name, origin, state: event.state });
      },
    });
  return {
    of(origin) {
      const breaker = known.get(origin) ?? make(origin);
      known.delete(origin);
      known.set(origin, breaker);
      if (known.size > originsMax) known.delete(known.keys().next().value ?? "");
      return breaker;
    },
    stateOf: (origin) => known.get(origin)?.state() ?? "closed",
    worst() {
      const states = new Set([...known.values()].map((breaker) => breaker.state()));
      if (states.has("open")) return "open";
      return states.has("half_open") ? "half_open" : "closed";
    },
  };
}

function isPeerFailure(error: unknown): boolean {
  if (error instanceof ResilienceError) return error.code === "ERR_CALL_TIMEOUT";
  return (
    error instanceof OutgoingError &&
    error.code !== "ERR_OUTGOING_ABORTED" &&
    error.code !== "ERR_OUTGOING_FORBIDDEN" &&
    error.code !== "ERR_OUTGOING_TOO_LARGE"
  );
}
