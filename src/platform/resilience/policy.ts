import type { Random } from "../../kernel/random.ts";
import { type Breaker, type BreakerConfig, createBreaker, openError } from "./breaker.ts";
import { type BulkheadLimits, createBulkhead } from "./bulkhead.ts";
import { type CallOptions, type Layer, openCall, type Work } from "./call.ts";
import type { Classify } from "./classify.ts";
import type { OnResilienceEvent } from "./events.ts";
import { createFallback } from "./fallback.ts";
import { createTally, type DependencyFigures } from "./figures.ts";
import { createHedge, type HedgeLimits } from "./hedge.ts";
import { createRetry, type RetryConfig } from "./retry.ts";
import { createTimeout } from "./timeout.ts";
import { systemTimers, type Timers } from "./timers.ts";

type Ambient = "name" | "random" | "timers" | "onEvent";

/** What a policy is made of; what is left out is not there. */
export interface PolicyConfig {
  /** Label in events, figures and messages: the dependency. */
  readonly name: string;
  /** Longest one attempt may take, milliseconds. */
  readonly timeoutMs?: number;
  readonly retry?: Omit<RetryConfig, Ambient | "classify">;
  readonly breaker?: Omit<BreakerConfig, Ambient>;
  readonly bulkhead?: BulkheadLimits;
  readonly hedge?: Partial<HedgeLimits>;
  /** Tells the errors of the work apart, for the retry. */
  readonly classify?: Classify;
  readonly timers?: Timers;
  readonly random?: Random;
  readonly onEvent?: OnResilienceEvent;
}

/** Everything around the calls to one dependency. */
export interface Policy {
  /**
   * Does work under the policy. `call` tells the work which attempt it is, how long it has, and when
   * nobody waits any more.
   *
   * @param options deadline, signal and whether it may be repeated; a `Context` will do
   * @throws what the work throws, and ResilienceError
   */
  run<Value>(work: Work<Value>, options?: CallOptions): Promise<Value>;
  /** The same, with something to give when all has failed. */
  runOr<Value>(
    work: Work<Value>,
    instead: (error: unknown) => Value | Promise<Value>,
    options?: CallOptions,
  ): Promise<Value>;
  figures(): DependencyFigures;
}

/**
 * Puts layers around each other, the first outermost.
 *
 * ```ts
 * const layers = compose(retry, bulkhead, breaker, timeout);
 * await layers.run((call) => fetch(url, { signal: call.signal }), openCall({ deadlineMs }));
 * ```
 */
export function compose(...layers: readonly Layer[]): Layer {
  return (
    layers.reduceRight<Layer | undefined>(
      (inner, outer) => (inner ? nest(outer, inner) : outer),
      undefined,
    ) ?? { run: (work, call = openCall()) => work(call) }
  );
}

function nest(outer: Layer, inner: Layer): Layer {
  return { run: (work, call) => outer.run((part) => inner.run(work, part), call) };
}

/**
 * Makes a policy. Whatever the order in the configuration, the layers are, from the outside:
 * fallback, retry, hedge, breaker and bulkhead, timeout.
 *
 * A pause before a retry holds no place in the bulkhead; every attempt counts for the breaker; waiting
 * for a place is bounded by the deadline, and the timeout is the work's alone.
 */
export function createPolicy(config: PolicyConfig): Policy {
  const { name, timeoutMs, classify, timers = systemTimers } = config;
  const tally = createTally(name);
  const ambient = {
    name,
    timers,
    ...(config.random ? { random: config.random } : {}),
    onEvent: config.onEvent ? both(tally.onEvent, config.onEvent) : tally.onEvent,
  };
  const breaker = config.breaker && createBreaker({ ...config.breaker, ...ambient });
  const retry = { ...config.retry, ...ambient, ...(classify ? { classify } : {}) };
  const layers = compose(
    ...(config.retry ? [createRetry(retry)] : []),
    ...(config.hedge ? [createHedge({ ...config.hedge, ...ambient })] : []),
    // Nobody waits for a place only to be refused.
    ...(breaker && config.bulkhead ? [doorOf(breaker, ambient)] : []),
    ...(config.bulkhead ? [createBulkhead({ ...config.bulkhead, ...ambient })] : []),
    ...(breaker ? [breaker] : []),
    ...(timeoutMs === undefined ? [] : [createTimeout({ timeoutMs, ...ambient })]),
  );
  const run: Policy["run"] = (work, options) => {
    tally.call();
    return layers.run(work, openCall(options, timers));
  };
  return {
    run,
    runOr: (work, instead, options) =>
      createFallback({ ...ambient, instead }).run(() => run(work, options), openCall(options)),
    figures: () => tally.figures(breaker?.state() ?? "closed"),
  };
}

/** Refuses while a breaker would; the breaker itself stands behind the queue. */
export function doorOf(
  breaker: Breaker,
  { name, onEvent }: { readonly name: string; readonly onEvent: OnResilienceEvent },
): Layer {
  return {
    run(work, call = openCall()) {
      if (!breaker.refuses()) return work(call);
      onEvent({ kind: "rejected", name, by: "breaker" });
      return Promise.reject(openError(name));
    },
  };
}

function both(first: OnResilienceEvent, second: OnResilienceEvent): OnResilienceEvent {
  return (event) => {
    first(event);
    second(event);
  };
}
