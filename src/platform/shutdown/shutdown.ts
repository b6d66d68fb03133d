/** What to do when the process is asked to end. */
export interface ShutdownActions {
  /** Asked for the first time: drain and end. */
  readonly onFirst: (signal: NodeJS.Signals) => void;
  /** Asked again while draining: end at once. */
  readonly onAgain: (signal: NodeJS.Signals) => void;
}

/** Where signals come from and what time it is; the real ones unless said otherwise. */
export interface ShutdownSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * One Ctrl-C under `npm start` arrives twice, from the terminal and forwarded by npm; signals this
 * close to the first are the same request, milliseconds.
 */
export const sameRequestMs = 500;

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Listens for requests to end the process: SIGINT, SIGTERM, SIGHUP.
 *
 * @returns a function that stops listening
 */
export function listenForShutdown(
  actions: ShutdownActions,
  source: ShutdownSource = realSource,
): () => void {
  let firstAt: number | undefined;
  const listener = (signal: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = source.now();
      actions.onFirst(signal);
    } else if (source.now() - firstAt >= sameRequestMs) {
      actions.onAgain(signal);
    }
  };
  for (const signal of signals) source.on(signal, listener);
  return () => {
    for (const signal of signals) source.off(signal, listener);
  };
}

const realSource: ShutdownSource = {
  on: (signal, listener) => process.on(signal, listener),
  off: (signal, listener) => process.off(signal, listener),
  now: () => performance.now(),
};
