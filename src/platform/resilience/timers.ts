/** The source of time of the policies. Tests pass one they can move. */
export interface Timers {
  /** Monotonic, milliseconds; the clock that deadlines are given in. */
  now(): number;
  /**
   * Calls `wake` once, after so long, milliseconds.
   *
   * @param holds whether the process stays alive for it; default false
   * @returns forgets it
   */
  after(delayMs: number, wake: () => void, holds?: boolean): () => void;
}

/** The machine's monotonic clock: `performance.now()`. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  after(delayMs, wake, holds = false) {
    const timer = setTimeout(wake, Math.ceil(delayMs));
    if (!holds) timer.unref();
    return () => clearTimeout(timer);
  },
};
