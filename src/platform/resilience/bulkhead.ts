import { type Call, type Layer, openCall, type Work } from "./call.ts";
import { ResilienceError } from "./errors.ts";
import type { OnResilienceEvent } from "./events.ts";
import { abortedError, begin, passedError } from "./timeout.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** How much may be under way at once. */
export interface BulkheadLimits {
  /** Calls under way at once. */
  readonly concurrencyMax: number;
  /** Calls that may wait for their turn; the next one is refused at once. */
  readonly queueMax: number;
}

/** How to make a bulkhead. */
export interface BulkheadConfig extends BulkheadLimits {
  /** Label in events and messages. */
  readonly name: string;
  readonly timers?: Timers;
  readonly onEvent?: OnResilienceEvent;
}

/** Keeps one dependency from taking everything: so many calls at once, so many that wait. */
export interface Bulkhead extends Layer {
  /**
   * Runs work when it is its turn, first come first served. Whoever waits leaves at its deadline, or
   * when it is aborted.
   *
   * @throws ResilienceError ERR_BULKHEAD_FULL at once, ERR_CALL_DEADLINE, ERR_CALL_ABORTED
   */
  run<Value>(work: Work<Value>, call?: Call): Promise<Value>;
  /** Calls under way. */
  readonly active: number;
  readonly waiting: number;
}

/** Makes an empty bulkhead. */
export function createBulkhead(config: BulkheadConfig): Bulkhead {
  const { name, concurrencyMax, queueMax, timers = systemTimers, onEvent } = config;
  /** In order; a Set, because whoever leaves may stand anywhere. */
  const line = new Set<() => void>();
  let active = 0;
  const leave = (): void => {
    active--;
    const [enter] = line;
    enter?.();
  };
  const onValue = <Value>(value: Value): Value => {
    leave();
    return value;
  };
  const onError = (error: unknown): never => {
    leave();
    throw error;
  };
  const start = <Value>(work: Work<Value>, call: Call): Promise<Value> => {
    active++;
    return begin(work, call).then(onValue, onError);
  };
  const wait = (call: Call): Promise<void> =>
    new Promise((resolve, reject) => {
      const give = (error: ResilienceError): void => {
        line.delete(enter);
        end();
        reject(error);
      };
      const enter = (): void => {
        line.delete(enter);
        end();
        // The place is taken at once: nobody may slip in before the work begins.
        active++;
        resolve();
      };
      const unhear = call.onAbort((reason) => give(abortedError(name, reason, false)));
      const forget =
        call.deadlineMs === Number.POSITIVE_INFINITY
          ? undefined
          : timers.after(call.remainingMs(), () => give(passedError(name)));
      const end = (): void => {
        unhear();
        forget?.();
      };
      line.add(enter);
    });
  const run = async <Value>(work: Work<Value>, call: Call): Promise<Value> => {
    await wait(call);
    active--;
    return start(work, call);
  };
  return {
    run(work, call = openCall()) {
      if (active < concurrencyMax) return start(work, call);
      if (line.size >= queueMax) {
        onEvent?.({ kind: "rejected", name, by: "bulkhead" });
        const message = `${name}: ${active} calls are under way and ${line.size} wait`;
        return Promise.reject(new ResilienceError("ERR_BULKHEAD_FULL", message));
      }
      if (call.isAborted) return Promise.reject(abortedError(name, call.reason, false));
      if (call.remainingMs() <= 0) return Promise.reject(passedError(name));
      return run(work, call);
    },
    get active() {
      return active;
    },
    get waiting() {
      return line.size;
    },
  };
}
