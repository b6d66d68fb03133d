import type { Claim, SharedTier, TierWrite } from "./shared-tier.ts";

/** A tier in this process with the faults of a real one. */
export interface FaultyTier extends SharedTier {
  /** Every call rejects, as with a server that is gone. */
  isDown: boolean;
  /** No call answers, as with a server that is paused. */
  isPaused: boolean;
  /** Calls by name, in order. */
  readonly calls: string[];
  /** What lies in it. */
  readonly values: Map<string, Buffer>;
  /** Forgets everything, as a server that was restarted does. */
  flush(): void;
  /** Called before every call; may wait, or throw. */
  before: (call: string) => Promise<void> | void;
}

/** Makes an empty one. It knows no time: nothing ends by itself. */
export function createFaultyTier(): FaultyTier {
  const values = new Map<string, Buffer>();
  const claims = new Map<string, string>();
  const epochs = new Map<string, number>();
  let last = 1;
  const call = async <Answer>(name: string, work: () => Answer): Promise<Answer> => {
    tier.calls.push(name);
    await tier.before(name);
    if (tier.isPaused) await new Promise(() => {});
    if (tier.isDown) throw new Error("the tier is down");
    return work();
  };
  const epochOf = (tag: string): number => {
    const known = epochs.get(tag) ?? ++last;
    epochs.set(tag, known);
    return known;
  };
  const write = ({ key, bytes }: TierWrite) => {
    values.set(key, bytes);
    claims.delete(key);
  };
  const tier: FaultyTier = {
    name: "faulty",
    isDown: false,
    isPaused: false,
    calls: [],
    values,
    before() {},
    flush() {
      for (const each of [values, claims, epochs]) each.clear();
    },
    read: (keys) => call("read", () => keys.map((key) => values.get(key))),
    write: (entries) => call("write", () => entries.forEach(write)),
    remove: (keys) =>
      call("remove", () => {
        for (const key of keys) {
          values.delete(key);
          claims.delete(key);
        }
      }),
    claim: (key) =>
      call("claim", (): Claim | undefined => {
        if (claims.has(key)) return undefined;
        const token = String(++last);
        claims.set(key, token);
        return { token };
      }),
    fill: ({ token }, entry) =>
      call("fill", () => {
        if (claims.get(entry.key) !== token) return false;
        write(entry);
        return true;
      }),
    unclaim: ({ token }, key) =>
      call("unclaim", () => {
        if (claims.get(key) === token) claims.delete(key);
      }),
    epochs: (tags) => call("epochs", () => tags.map(epochOf)),
    renew: (tags) =>
      call("renew", () => {
        for (const tag of tags) epochs.set(tag, ++last);
        return tags.map(epochOf);
      }),
  };
  return tier;
}
