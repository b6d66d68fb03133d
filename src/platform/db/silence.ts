import type pg from "pg";

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

/** How often connections are looked at, milliseconds: a timer each cost a sixth of the checkouts. */
const lookEveryMs = 500;

/** Connections that wait for an answer. */
const waiting = new Set<{ readonly look: (nowMs: number) => void }>();
let looking: NodeJS.Timeout | undefined;
const silent: SilenceWatch = { asked() {}, answered() {} };

function lookAtAll(): void {
  const nowMs = performance.now();
  for (const { look } of waiting) look(nowMs);
  if (waiting.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}

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
  let unanswered = 0;
  let sinceMs = 0;
  const watch = {
    look(nowMs: number) {
      if (nowMs - sinceMs < limitMs) return;
      waiting.delete(watch);
      const { stream } = (client as unknown as Wired).connection;
      stream.destroy(new Error(`the server said nothing for ${limitMs} ms`));
    },
  };
  return {
    asked() {
      if (unanswered++ > 0) return;
      sinceMs = performance.now();
      waiting.add(watch);
      looking ??= setInterval(lookAtAll, lookEveryMs).unref();
    },
    answered() {
      sinceMs = performance.now();
      if (--unanswered === 0) waiting.delete(watch);
    },
  };
}

interface Wired {
  readonly connection: { readonly stream: { destroy(error: Error): void } };
}
