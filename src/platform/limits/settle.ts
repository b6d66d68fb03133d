import { unreachable } from "../../kernel/assert.ts";
import type { Algorithm, LimitState, Outcome } from "./algorithm.ts";
import { concurrency, extendPlace } from "./concurrency.ts";
import { fixedWindow } from "./fixed-window.ts";
import type { LimitAlgorithm } from "./policy.ts";
import { slidingCounter } from "./sliding-counter.ts";
import { slidingLog } from "./sliding-log.ts";
import type { StoreAnswer, StoreAsk, StoreCall } from "./store.ts";
import { tokenBucket } from "./token-bucket.ts";

const algorithms: Readonly<Record<LimitAlgorithm, Algorithm>> = {
  fixed_window: fixedWindow,
  sliding_log: slidingLog,
  sliding_counter: slidingCounter,
  token_bucket: tokenBucket,
  concurrency,
};

/** States by key, as a store has them. */
export interface StateAccess {
  read(ask: StoreAsk): LimitState | undefined;
  /** @param keepMs how long the state differs from none, milliseconds */
  write(ask: StoreAsk, state: LimitState, keepMs: number): void;
}

/** Decides one call: all of its asks are granted and written, or none is. */
export function settleCall(
  call: StoreCall,
  nowMs: number,
  states: StateAccess,
): readonly StoreAnswer[] {
  const [only] = call;
  if (only && call.length === 1) return [settleAsk(only, nowMs, states)];
  const outcomes = call.map((ask) => decide(ask, states.read(ask), nowMs));
  const isGranted = (at: number) =>
    (outcomes[at] as Outcome).granted > 0 || call[at]?.verb === "give_back";
  const areAll = outcomes.every((_, at) => isGranted(at));
  if (areAll) {
    for (const [at, ask] of call.entries()) {
      const { state, resetMs } = outcomes[at] as Outcome;
      states.write(ask, state, resetMs);
    }
  }
  return outcomes.map((outcome, at) => answerOf(outcome, isGranted(at), areAll, nowMs));
}

/** Decides one ask by itself. */
export function settleAsk(ask: StoreAsk, nowMs: number, states: StateAccess): StoreAnswer {
  const outcome = decide(ask, states.read(ask), nowMs);
  const isGranted = outcome.granted > 0 || ask.verb === "give_back";
  if (isGranted) states.write(ask, outcome.state, outcome.resetMs);
  return answerOf(outcome, isGranted, isGranted, nowMs);
}

function decide(ask: StoreAsk, state: LimitState | undefined, nowMs: number): Outcome {
  switch (ask.verb) {
    case "take":
      return algorithms[ask.policy.algorithm].take(state, ask, nowMs);
    case "give_back":
      return algorithms[ask.policy.algorithm].giveBack(state, ask, nowMs);
    case "extend":
      return extendPlace(state, ask, nowMs);
    default:
      return unreachable(ask.verb);
  }
}

function answerOf(
  { granted, remaining, resetMs, retryAfterMs }: Outcome,
  isGranted: boolean,
  isKept: boolean,
  atMs: number,
): StoreAnswer {
  return {
    isGranted,
    granted: isKept ? granted : 0,
    remaining: isKept ? remaining : remaining + granted,
    resetMs,
    retryAfterMs,
    atMs,
  };
}

/** The key under which a store keeps a state; another algorithm under the same name is another key. */
export function storedKey({ policy, key }: StoreAsk): string {
  return `${policy.name}:${policy.algorithm}:${key}`;
}
