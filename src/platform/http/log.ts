/** Where the HTTP layer writes; pino fits. */
export interface HttpLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Writes nothing. */
export const silentLog: HttpLog = { info() {}, warn() {}, error() {} };
