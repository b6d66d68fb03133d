import { createRetryBudget } from "./budget.ts";
import { type Call, type Layer, type OpenCall, openCall, type Work } from "./call.ts";
import { ResilienceError } from "./errors.ts";
import type { OnResilienceEvent } from "./events.ts";
import { createExpiries } from "./expiries.ts";
import { createLatencies } from "./latencies.ts";
import { begin } from "./timeout.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** When a second attempt starts beside a slow one. */
export interface HedgeLimits {
  /** After so long, milliseconds, or when it is slower than so many of the recent calls. */
  readonly after: number | "p95" | "p99";
  /** Shortest wait, milliseconds: also while too few calls were seen to know a percentile. */
  readonly afterMinMs: number;
  /** Second attempts as a share of calls. */
  readonly ratio: number;
  /** Second attempts saved up. */
  readonly reserve: number;
}

/** Limits of a hedge that names none. */
export const hedgeDefaults: HedgeLimits = {
  after: "p95",
  afterMinMs: 10,
  ratio: 0.1,
  reserve: 10,
};

/** How to make a hedge. */
export interface HedgeConfig extends Partial<HedgeLimits> {
  /** Label in events. */
  readonly name: string;
  readonly timers?: Timers;
  readonly onEvent?: OnResilienceEvent;
}

/**
 * Makes a layer that does repeatable calls a second time when the first is slow: the first good answer
 * wins, the other attempt is aborted. Calls that are not repeatable pass through.
 *
 * @see https://research.google/pubs/the-tail-at-scale/
 */
export function createHedge(config: HedgeConfig): Layer {
  const limits = { ...hedgeDefaults, ...config };
  const { name, timers = systemTimers, onEvent } = config;
  const budget = createRetryBudget(limits.ratio, limits.reserve);
  const expiries = createExpiries(timers);
  const latencies = createLatencies(limits.after === "p99" ? 0.99 : 0.95);
  const afterMs = (): number =>
    typeof limits.after === "number"
      ? limits.after
      : Math.max(limits.afterMinMs, latencies.percentileMs() ?? limits.afterMinMs);

  const race = <Value>(work: Work<Value>, call: Call): Promise<Value> =>
    new Promise((resolve, reject) => {
      const startedAtMs = timers.now();
      const running = new Set<OpenCall>();
      const settle = (winner: OpenCall): void => {
        due.remove();
        for (const part of running) {
          if (part !== winner) part.abort(outrunError(name));
          part.close();
        }
        running.clear();
      };
      const start = (isSecond: boolean): void => {
        const part = call.narrow({});
        running.add(part);
        begin(work, part).then(
          (value) => {
            if (!running.has(part)) return;
            // From the start of the call: what a caller waits, with the hedge as it is.
            latencies.note(timers.now() - startedAtMs);
            if (isSecond) onEvent?.({ kind: "hedge_won", name });
            settle(part);
            resolve(value);
          },
          (error) => {
            if (!running.delete(part)) return;
            part.close();
            // The other attempt may still do it; before there is one, trying again is the retry's.
            if (running.size > 0) return;
            due.remove();
            reject(error);
          },
        );
      };
      const waitMs = afterMs();
      const due = expiries.add(startedAtMs + waitMs, () => {
        if (call.isAborted || !budget.withdraw()) return;
        onEvent?.({ kind: "hedge", name, afterMs: waitMs });
        start(true);
      });
      start(false);
    });
  return {
    run(work, call = openCall()) {
      if (!call.isRepeatable) return work(call);
      budget.deposit();
      return race(work, call);
    },
  };
}

function outrunError(name: string): ResilienceError {
  const message = `${name}: the other attempt was faster`;
  return new ResilienceError("ERR_CALL_ABORTED", message, { maybeDone: true });
}
