import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
} from "cockatiel";
import { OutgoingError } from "./errors.ts";

/** A breaker changed its state. */
export interface BreakerReport {
  readonly name: string;
  readonly origin: string;
  readonly state: "closed" | "open" | "half_open";
}

/** One breaker per origin. */
export interface Breakers {
  of(origin: string): CircuitBreakerPolicy;
  stateOf(origin: string): BreakerReport["state"];
}

/** When breakers open and how long they stay open. */
export interface BreakerLimits {
  readonly breakerThreshold: number;
  readonly breakerOpenMs: number;
}

/** Origins whose breakers are kept; the one used longest ago is forgotten first. */
const originsMax = 1_000;

/**
 * Makes breakers that open after failures in a row. Failures are: no connection, no answer, a broken
 * one, and answers of 500 or more. A caller that goes away is none.
 */
export function createBreakers(
  name: string,
  limits: BreakerLimits,
  onChange?: (report: BreakerReport) => void,
): Breakers {
  const known = new Map<string, CircuitBreakerPolicy>();
  const make = (origin: string): CircuitBreakerPolicy => {
    const policy = circuitBreaker(
      handleWhen(isPeerFailure).orWhenResult(
        (answer) => ((answer as { status?: number } | undefined)?.status ?? 0) >= 500,
      ),
      {
        halfOpenAfter: limits.breakerOpenMs,
        breaker: new ConsecutiveBreaker(limits.breakerThreshold),
      },
    );
    policy.onBreak(() => onChange?.({ name, origin, state: "open" }));
    policy.onHalfOpen(() => onChange?.({ name, origin, state: "half_open" }));
    policy.onReset(() => onChange?.({ name, origin, state: "closed" }));
    return policy;
  };
  const of = (origin: string): CircuitBreakerPolicy => {
    const policy = known.get(origin) ?? make(origin);
    known.delete(origin);
    known.set(origin, policy);
    if (known.size > originsMax) known.delete(known.keys().next().value ?? "");
    return policy;
  };
  return {
    of,
    stateOf(origin) {
      const state = known.get(origin)?.state;
      if (state === CircuitState.Open || state === CircuitState.Isolated) return "open";
      return state === CircuitState.HalfOpen ? "half_open" : "closed";
    },
  };
}

/** Whether a breaker refused the call without making it. */
export function isBreakerOpen(error: unknown): boolean {
  return isBrokenCircuitError(error);
}

function isPeerFailure(error: unknown): boolean {
  return (
    error instanceof OutgoingError &&
    error.code !== "ERR_OUTGOING_ABORTED" &&
    error.code !== "ERR_OUTGOING_FORBIDDEN" &&
    error.code !== "ERR_OUTGOING_TOO_LARGE"
  );
}
