import { systemTimers, type Timers } from "./timers.ts";

/** What a caller says about a call; a `Context` says it too. */
export interface CallOptions {
  /** Moment after which nobody waits, milliseconds of `performance.now()`; default: none. */
  readonly deadlineMs?: number | undefined;
  /** Aborts when the caller goes away. */
  readonly signal?: AbortSignal | undefined;
  /** Whether doing it twice is as good as once; default false. */
  readonly isRepeatable?: boolean | undefined;
}

/** One attempt of a call, as the work that is done for it sees it. */
export interface Call {
  /** 1 for the first. */
  readonly attempt: number;
  /** Moment after which nobody waits, milliseconds of `performance.now()`; Infinity without one. */
  readonly deadlineMs: number;
  readonly isRepeatable: boolean;
  /** Aborts when nobody waits any more. Made when it is first read: most work never does. */
  readonly signal: AbortSignal;
  /** Milliseconds until the deadline; negative after it. */
  remainingMs(): number;
  /** Whether anything can abort it, so that listening makes sense. */
  readonly isAbortable: boolean;
  /** Whether nobody waits any more. */
  readonly isAborted: boolean;
  /** Why, when it is aborted. */
  readonly reason: unknown;
  /** Calls `hear` once when it is aborted. @returns stops listening */
  onAbort(hear: (reason: unknown) => void): () => void;
  /** A part of this call: aborted with it, with an earlier deadline or a later attempt. Close it. */
  narrow(to: { readonly deadlineMs?: number; readonly attempt?: number }): OpenCall;
}

/** A part of a call, in the hands of the policy that made it. */
export interface OpenCall extends Call {
  abort(reason: unknown): void;
  /** It is over: it listens to the call it is a part of no longer. */
  close(): void;
}

/** What is done for a call. */
export type Work<Value> = (call: Call) => Promise<Value>;

/** A mechanism around work: a breaker, a timeout, or several of them composed. */
export interface Layer {
  /** @param call default: one without a deadline, that is not repeatable and nobody aborts */
  run<Value>(work: Work<Value>, call?: Call): Promise<Value>;
}

/** Begins a call. */
export function openCall(options: CallOptions = noOptions, timers: Timers = systemTimers): Call {
  return new RootCall(options, timers);
}

const noOptions: CallOptions = {};
const listenOnce = { once: true } as const;

// Classes, for once: a getter on a prototype costs nothing per call; one in a literal is made anew
// each time, which took half of a composed policy's time.
class RootCall implements Call {
  readonly attempt = 1;
  readonly deadlineMs: number;
  readonly isRepeatable: boolean;
  readonly timers: Timers;
  #signal: AbortSignal | undefined;
  readonly isAbortable: boolean;

  constructor(options: CallOptions, timers: Timers) {
    this.deadlineMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
    this.isRepeatable = options.isRepeatable ?? false;
    this.timers = timers;
    this.#signal = options.signal;
    this.isAbortable = this.#signal !== undefined;
  }

  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }

  get isAborted(): boolean {
    return this.isAbortable && this.signal.aborted;
  }

  get reason(): unknown {
    return this.isAbortable ? this.signal.reason : undefined;
  }

  remainingMs(): number {
    return this.deadlineMs - this.timers.now();
  }

  onAbort(hear: (reason: unknown) => void): () => void {
    if (!this.isAbortable) return nothing;
    const { signal } = this;
    const heard = () => hear(signal.reason);
    if (signal.aborted) heard();
    else signal.addEventListener("abort", heard, listenOnce);
    return () => signal.removeEventListener("abort", heard);
  }

  narrow(to: { readonly deadlineMs?: number; readonly attempt?: number }): OpenCall {
    return new PartOfCall(this, to, this.timers);
  }
}

class PartOfCall implements OpenCall {
  readonly attempt: number;
  readonly deadlineMs: number;
  readonly isRepeatable: boolean;
  readonly timers: Timers;
  readonly isAbortable = true;
  isAborted = false;
  reason: unknown = undefined;
  #controller: AbortController | undefined;
  #hearers: Set<(reason: unknown) => void> | undefined;
  #unlink: (() => void) | undefined;

  constructor(
    whole: Call,
    to: { readonly deadlineMs?: number; readonly attempt?: number },
    timers: Timers,
  ) {
    this.attempt = to.attempt ?? whole.attempt;
    this.deadlineMs = Math.min(to.deadlineMs ?? whole.deadlineMs, whole.deadlineMs);
    this.isRepeatable = whole.isRepeatable;
    this.timers = timers;
    if (whole.isAbortable) this.#unlink = whole.onAbort((reason) => this.abort(reason));
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.isAborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  remainingMs(): number {
    return this.deadlineMs - this.timers.now();
  }

  onAbort(hear: (reason: unknown) => void): () => void {
    if (this.isAborted) {
      hear(this.reason);
      return nothing;
    }
    this.#hearers ??= new Set();
    this.#hearers.add(hear);
    return () => void this.#hearers?.delete(hear);
  }

  narrow(to: { readonly deadlineMs?: number; readonly attempt?: number }): OpenCall {
    return new PartOfCall(this, to, this.timers);
  }

  abort(reason: unknown): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.reason = reason;
    this.#controller?.abort(reason);
    for (const hear of this.#hearers ?? []) hear(reason);
    this.close();
  }

  close(): void {
    this.#unlink?.();
    this.#unlink = undefined;
  }
}

function nothing(): void {}
