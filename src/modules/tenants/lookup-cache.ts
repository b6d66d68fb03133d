/** A bounded memory of answers, good ones and bad ones alike. */
export interface LookupCache<Value> {
  /** The known answer at once, or a promise of one; concurrent misses share one question. */
  get(key: string): Value | Promise<Value>;
  /** Forgets the answers that match, and those still being asked for. */
  forget(matches: (key: string, value: Value | undefined) => boolean): void;
}

/** Bounds of a cache. */
export interface LookupCacheLimits {
  readonly ttlMs: number;
  readonly entriesMax: number;
}

interface Entry<Value> {
  readonly value: Value;
  /** Moment of `performance.now()`. */
  readonly until: number;
}

/**
 * Makes a cache whose least recently asked entry goes first.
 *
 * @param ask fetches an answer; a rejection is not remembered
 */
export function createLookupCache<Value>(
  { ttlMs, entriesMax }: LookupCacheLimits,
  ask: (key: string) => Promise<Value>,
): LookupCache<Value> {
  const entries = new Map<string, Entry<Value>>();
  const asking = new Map<string, Promise<Value>>();
  let generation = 0;

  const fetch = (key: string): Promise<Value> => {
    const pending = asking.get(key);
    if (pending) return pending;
    const began = generation;
    const asked = ask(key).then((value) => {
      // An answer that may be older than a `forget` is given out, but not kept.
      if (began === generation) keep(key, value);
      return value;
    });
    asking.set(key, asked);
    const done = () => asking.delete(key);
    asked.then(done, done);
    return asked;
  };
  const keep = (key: string, value: Value): void => {
    entries.delete(key);
    entries.set(key, { value, until: performance.now() + ttlMs });
    if (entries.size > entriesMax) entries.delete(entries.keys().next().value as string);
  };

  return {
    get(key) {
      const known = entries.get(key);
      if (!known || known.until < performance.now()) return fetch(key);
      entries.delete(key);
      entries.set(key, known);
      return known.value;
    },
    forget(matches) {
      generation++;
      for (const [key, { value }] of entries) if (matches(key, value)) entries.delete(key);
      asking.clear();
    },
  };
}
