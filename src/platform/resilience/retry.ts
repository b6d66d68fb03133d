import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import { createRetryBudget, type RetryBudget } from "./budget.ts";
import { type Call, type Layer, openCall, type Work } from "./call.ts";
import { type Classify, classifyError, type ErrorClass } from "./classify.ts";
import { ResilienceError } from "./errors.ts";
import type { OnResilienceEvent } from "./events.ts";
import { abortedError, begin } from "./timeout.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** How often, and how soon, work is tried again. */
export interface RetryLimits {
  /** Attempts of one call at most, the first included. */
  readonly attemptsMax: number;
  readonly backoff: Backoff;
  /** Longest pause, milliseconds: a peer that asks for a longer one is not asked again. */
  readonly pauseMaxMs: number;
  /** Retries as a share of calls; {@link createRetryBudget}. */
  readonly ratio: number;
  /** Retries saved up. */
  readonly reserve: number;
}

/** Limits of a retry that names none. */
export const retryDefaults: RetryLimits = {
  attemptsMax: 3,
  backoff: { baseMs: 50, maxMs: 1_000 },
  pauseMaxMs: 5_000,
  ratio: 0.1,
  reserve: 10,
};

/** How to make a retry. */
export interface RetryConfig extends Partial<RetryLimits> {
  /** Label in events. */
  readonly name: string;
  readonly classify?: Classify;
  /** For answers that are none, such as a 503; undefined for good ones. Default: all are good. */
  readonly classifyAnswer?: (value: unknown) => ErrorClass | undefined;
  /** When the peer wants to be asked again, of an error or an answer, milliseconds; default 0. */
  readonly retryAfterMs?: (outcome: unknown) => number;
  /** Shared with others, instead of one of its own. */
  readonly budget?: RetryBudget;
  readonly random?: Random;
  readonly timers?: Timers;
  readonly onEvent?: OnResilienceEvent;
}

/** How an attempt ended. */
type Outcome<Value> =
  | { readonly ok: true; readonly value: Value; readonly kind: ErrorClass }
  | { readonly ok: false; readonly error: unknown; readonly kind: ErrorClass };

/**
 * Makes a layer that tries again: after transient failures, and after timeouts where the call is
 * repeatable; with full jitter, within a budget, never past the deadline. Retry in one layer only:
 * three layers of three attempts are 27.
 *
 * What it throws in the end is the last error, unless an earlier attempt may have been done and the
 * last one was not: then the earlier, so that nobody takes it for "nothing happened".
 */
export function createRetry(config: RetryConfig): Layer {
  const limits = { ...retryDefaults, ...config };
  const { classify = classifyError, classifyAnswer, timers = systemTimers } = config;
  const budget = config.budget ?? createRetryBudget(limits.ratio, limits.reserve);

  /** @returns how long to wait before the next attempt; undefined: this was the last */
  const pauseMs = (call: Call, attempt: number, outcome: Outcome<unknown>): number | undefined => {
    const { kind } = outcome;
    if (kind !== "transient" && !(kind === "timeout" && call.isRepeatable)) return undefined;
    if (attempt >= limits.attemptsMax || call.isAborted) return undefined;
    const asked = config.retryAfterMs?.(outcome.ok ? outcome.value : outcome.error) ?? 0;
    const jittered = fullJitter(limits.backoff, attempt - 1, config.random ?? Math.random);
    const waitMs = Math.max(asked, jittered);
    const { name, onEvent } = config;
    if (waitMs >= call.remainingMs() || waitMs > limits.pauseMaxMs) {
      onEvent?.({ kind: "retry_withheld", name, why: "deadline" });
      return undefined;
    }
    if (!budget.withdraw()) {
      onEvent?.({ kind: "retry_withheld", name, why: "budget" });
      return undefined;
    }
    const reason = outcome.ok ? outcome.value : outcome.error;
    onEvent?.({ kind: "retry", name, attempt: attempt + 1, waitMs, reason });
    return waitMs;
  };
  const once = async <Value>(
    work: Work<Value>,
    call: Call,
    attempt: number,
  ): Promise<Outcome<Value>> => {
    const part = call.narrow({ attempt });
    try {
      const value = await begin(work, part);
      return { ok: true, value, kind: classifyAnswer?.(value) ?? "permanent" };
    } catch (error) {
      return { ok: false, error, kind: classify(error) };
    } finally {
      part.close();
    }
  };
  const again = async <Value>(
    work: Work<Value>,
    call: Call,
    first: Outcome<Value>,
  ): Promise<Value> => {
    let outcome = first;
    let doubtful = first.kind === "timeout" ? first : undefined;
    for (let attempt = 1; ; attempt++) {
      const waitMs = pauseMs(call, attempt, outcome);
      if (waitMs === undefined) break;
      await sleep(waitMs, call, timers);
      if (call.isAborted) throw abortedError(config.name, call.reason, doubtful !== undefined);
      const next = await once(work, call, attempt + 1);
      // It found no time left to begin: it knows less than the attempt before it.
      if (!next.ok && isUnbegun(next.error)) break;
      outcome = next;
      if (next.kind === "timeout") doubtful = next;
    }
    if (outcome.ok) return outcome.value;
    throw doubtful && !doubtful.ok ? doubtful.error : outcome.error;
  };
  return {
    run<Value>(work: Work<Value>, call: Call = openCall()) {
      budget.deposit();
      return begin(work, call).then(
        classifyAnswer &&
          ((value: Value) => {
            const kind = classifyAnswer(value);
            return kind === undefined ? value : again(work, call, { ok: true, value, kind });
          }),
        (error) => again(work, call, { ok: false, error, kind: classify(error) }),
      ) as Promise<Value>;
    },
  };
}

function isUnbegun(error: unknown): boolean {
  return error instanceof ResilienceError && error.code === "ERR_CALL_DEADLINE" && !error.maybeDone;
}

/** Ends early when the call is aborted. Somebody waits for it: it keeps the process alive. */
function sleep(ms: number, call: Call, timers: Timers): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      forget();
      unhear();
      resolve();
    };
    const forget = timers.after(ms, wake, true);
    const unhear = call.onAbort(wake);
  });
}
