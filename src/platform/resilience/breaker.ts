import type { Random } from "../../kernel/random.ts";
import { type Call, type Layer, openCall, type Work } from "./call.ts";
import { type BreakerLimits, breakerDefaults, type CallSaid, createCircuit } from "./circuit.ts";
import { classifyError } from "./classify.ts";
import { ResilienceError } from "./errors.ts";
import type { BreakerState, OnResilienceEvent } from "./events.ts";
import { begin } from "./timeout.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** How to make a breaker. */
export interface BreakerConfig extends Partial<BreakerLimits> {
  /** Label in events and messages. */
  readonly name: string;
  /** Which errors say that the dependency is not well; default: {@link saysUnwell}. */
  readonly isFailure?: (error: unknown) => boolean;
  /** Which answers say so; default: none. */
  readonly isBadAnswer?: (value: unknown) => boolean;
  readonly random?: Random;
  readonly timers?: Timers;
  readonly onEvent?: OnResilienceEvent;
}

/** Refuses calls at once while a dependency is away. */
export interface Breaker extends Layer {
  /** @throws ResilienceError ERR_BREAKER_OPEN, at once, while it is open */
  run<Value>(work: Work<Value>, call?: Call): Promise<Value>;
  state(): BreakerState;
  /** Whether a call would be refused now. Asks without taking the place of one that tries. */
  refuses(): boolean;
  /** Closes it: somebody else knows that the dependency is well, by a new connection for example. */
  reset(): void;
}

/** Hears how calls end. */
interface Watch {
  readonly period: number;
  readonly onValue: <Value>(value: Value) => Value;
  readonly onError: (error: unknown) => never;
}

/**
 * Makes a closed breaker. While it is closed a call costs one promise reaction, with handlers that all
 * calls of the period share; what began in an earlier period says nothing about this one.
 *
 * @see https://martinfowler.com/bliki/CircuitBreaker.html
 */
export function createBreaker(config: BreakerConfig): Breaker {
  const { name, timers = systemTimers, random = Math.random, onEvent } = config;
  const { isFailure = saysUnwell, isBadAnswer } = config;
  const circuit = createCircuit({
    limits: { ...breakerDefaults, ...config },
    timers,
    random,
    onChange: (state) => onEvent?.({ kind: "breaker", name, state }),
  });
  const watchOf = (period: number): Watch => ({
    period,
    onValue(value) {
      const said: CallSaid = isBadAnswer?.(value) ? "bad" : "good";
      circuit.note(said, period);
      return value;
    },
    onError(error) {
      circuit.note(isFailure(error) ? "bad" : "nothing", period);
      throw error;
    },
  });
  let watch = watchOf(circuit.period());
  return {
    run(work, call = openCall()) {
      if (circuit.state() !== "closed" && !circuit.admitProbe()) {
        onEvent?.({ kind: "rejected", name, by: "breaker" });
        return Promise.reject(openError(name));
      }
      if (watch.period !== circuit.period()) watch = watchOf(circuit.period());
      return begin(work, call).then(watch.onValue, watch.onError);
    },
    state: circuit.state,
    refuses: circuit.refuses,
    reset: circuit.reset,
  };
}

/** The refusal of an open breaker. */
export function openError(name: string): ResilienceError {
  return new ResilienceError("ERR_BREAKER_OPEN", `${name}: the circuit breaker is open`);
}

/**
 * Transient errors and timeouts say that a dependency is not well. A caller's own deadline says nothing
 * about it: it may have been a millisecond.
 */
export function saysUnwell(error: unknown): boolean {
  if (error instanceof ResilienceError) return error.code === "ERR_CALL_TIMEOUT";
  const kind = classifyError(error);
  return kind === "transient" || kind === "timeout";
}
