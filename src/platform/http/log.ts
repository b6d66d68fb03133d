/** Where the HTTP layer writes; pino fits. */
export interface HttpLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Writes nothing. */
export const silentLog: HttpLog = { info() {}, warn() {}, error() {} };

const busyEveryMs = 1_000;

/**
 * Tells of requests that were refused for lack of something, or of what else may happen to each of
 * them, once a second per kind and with the number of those before: under overload a line each would
 * make it worse.
 */
export function createThrottledLog(
  log: HttpLog,
  message = "requests are refused for now",
): (kind: string, fields: Readonly<Record<string, unknown>>) => void {
  const told = new Map<string, { at: number; since: number }>();
  return (kind, fields) => {
    const before = told.get(kind) ?? { at: Number.NEGATIVE_INFINITY, since: 0 };
    const now = performance.now();
    if (now - before.at < busyEveryMs) {
      before.since++;
      return;
    }
    log.warn({ ...fields, kind, since: before.since }, message);
    told.set(kind, { at: now, since: 0 });
  };
}
