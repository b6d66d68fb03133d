import { type Call, type Layer, openCall, type Work } from "./call.ts";
import { ResilienceError } from "./errors.ts";
import type { OnResilienceEvent } from "./events.ts";
import { createExpiries } from "./expiries.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** How long work may take. */
export interface TimeoutConfig {
  /** Label in events and messages. */
  readonly name: string;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly timers?: Timers;
  readonly onEvent?: OnResilienceEvent;
}

/** Bounds work in time. */
export interface Timeout extends Layer {
  /**
   * Runs work; after `timeoutMs`, or at the call's deadline, or when it is aborted, it is given up: its
   * signal aborts and the caller gets the error, whether or not the work listens.
   *
   * @param withinMs shorter than the timeout, milliseconds
   * @throws ResilienceError ERR_CALL_TIMEOUT, ERR_CALL_DEADLINE, ERR_CALL_ABORTED
   */
  run<Value>(work: Work<Value>, call?: Call, withinMs?: number): Promise<Value>;
}

/** Makes a timeout. All calls share one timer, which does not keep the process alive. */
export function createTimeout(config: TimeoutConfig): Timeout {
  const { name, timeoutMs, timers = systemTimers, onEvent } = config;
  const expiries = createExpiries(timers);
  const lateness = (call: Call, atMs: number, startedAtMs: number): ResilienceError => {
    const afterMs = timers.now() - startedAtMs;
    onEvent?.({ kind: "timeout", name, afterMs });
    const isCallers = call.deadlineMs <= atMs;
    return new ResilienceError(
      isCallers ? "ERR_CALL_DEADLINE" : "ERR_CALL_TIMEOUT",
      isCallers
        ? `${name}: the caller's deadline passed during the call`
        : `${name}: no end within ${Math.round(atMs - startedAtMs)} ms`,
      { maybeDone: true },
    );
  };
  return {
    run(work, call = openCall(), withinMs = timeoutMs) {
      const startedAtMs = timers.now();
      if (call.isAborted) return Promise.reject(abortedError(name, call.reason, false));
      if (call.deadlineMs <= startedAtMs) return Promise.reject(passedError(name));
      const atMs = Math.min(startedAtMs + Math.min(withinMs, timeoutMs), call.deadlineMs);
      const part = call.narrow({ deadlineMs: atMs });
      return new Promise((resolve, reject) => {
        const expiry = expiries.add(atMs, () => {
          const error = lateness(call, atMs, startedAtMs);
          part.abort(error);
          reject(error);
        });
        if (call.isAbortable) {
          part.onAbort((reason) => {
            expiry.remove();
            reject(abortedError(name, reason, true));
          });
        }
        begin(work, part).then(
          (value) => {
            expiry.remove();
            part.close();
            resolve(value);
          },
          (error) => {
            expiry.remove();
            part.close();
            reject(error);
          },
        );
      });
    },
  };
}

/** Starts work; one that throws before its first await rejects like any other. */
export function begin<Value>(work: Work<Value>, call: Call): Promise<Value> {
  try {
    return work(call);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Nobody waits any more. */
export function abortedError(name: string, reason: unknown, maybeDone: boolean): ResilienceError {
  if (reason instanceof ResilienceError) return reason;
  const message = `${name}: the caller went away`;
  return new ResilienceError("ERR_CALL_ABORTED", message, { cause: reason, maybeDone });
}

/** The deadline passed before the work began. */
export function passedError(name: string): ResilienceError {
  return new ResilienceError("ERR_CALL_DEADLINE", `${name}: the caller's deadline has passed`);
}
