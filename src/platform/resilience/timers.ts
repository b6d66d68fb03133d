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

/** Node fires at once what is to come later than that, 24 days. Who is woken early looks again. */
const delayMaxMs = 2 ** 31 - 1;

/** The machine's monotonic clock: `performance.now()`. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  after(delayMs, wake, holds = false) {
    const timer = setTimeout(wake, Math.min(Math.ceil(delayMs), delayMaxMs));
    if (!holds) timer.unref();
    return () => clearTimeout(timer);
  },
};
