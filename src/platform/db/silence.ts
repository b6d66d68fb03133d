import type pg from "pg";
import { createExpiries, type Expiry, systemTimers } from "../resilience/resilience.ts";

/** Watches whether a server answers what it is asked. */
export interface SilenceWatch {
  /** A statement was sent. */
  asked(): void;
  /** A statement was answered, or failed. */
  answered(): void;
}

/**
 * How much longer than the server's own `statement_timeout` its answer may be on the way, milliseconds.
 */
export const silenceGraceMs = 2_000;

const expiries = createExpiries(systemTimers);
const silent: SilenceWatch = { asked() {}, answered() {} };

/**
 * Cuts a connection whose server says nothing: `statement_timeout` is kept by the server, and one that
 * is paused, or cut off without a word, keeps nothing. It counts from the last answer, because
 * statements that were sent together are answered one after the other. Whoever waits gets
 * ERR_DB_UNAVAILABLE, as when the connection breaks.
 *
 * @param statementTimeoutMs what the server was told; 0 for no limit: then nothing is watched
 */
export function watchSilence(client: pg.PoolClient, statementTimeoutMs: number): SilenceWatch {
  if (statementTimeoutMs <= 0) return silent;
  const limitMs = statementTimeoutMs + silenceGraceMs;
  let waiting = 0;
  let sinceMs = 0;
  let expiry: Expiry | undefined;
  const watch = (): void => {
    expiry = expiries.add(sinceMs + limitMs, () => {
      if (performance.now() - sinceMs < limitMs) return watch();
      const { stream } = (client as unknown as Wired).connection;
      stream.destroy(new Error(`the server said nothing for ${limitMs} ms`));
    });
  };
  return {
    asked() {
      if (waiting++ > 0) return;
      sinceMs = performance.now();
      watch();
    },
    answered() {
      sinceMs = performance.now();
      if (--waiting === 0) expiry?.remove();
    },
  };
}

interface Wired {
  readonly connection: { readonly stream: { destroy(error: Error): void } };
}
