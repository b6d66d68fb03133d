import type { LimitState } from "./algorithm.ts";
import { type StateAccess, settleAsk, settleCall } from "./settle.ts";
import type { LimitStore, StoreAnswer, StoreAsk, StoreCall } from "./store.ts";

interface Kept {
  state: LimitState;
  endsAtMs: number;
}

/** A store that answers at once. */
export interface MemoryLimitStore extends LimitStore {
  apply(calls: readonly StoreCall[]): readonly (readonly StoreAnswer[])[];
  applyNow(ask: StoreAsk): StoreAnswer;
  /** Keys that are kept; those that are over are forgotten now and then. */
  size(): number;
}

/** Keys of one policy. */
interface Keys {
  readonly kept: Map<string, Kept>;
  sweepFrom: number;
}

const sweepFromMin = 1_000;

/**
 * Counts in this process: for a single node, for tests, and while another store is away. Answers at
 * once.
 *
 * @param now epoch milliseconds
 */
export function createMemoryLimitStore(now: () => number = Date.now): MemoryLimitStore {
  const policies = new Map<string, Keys>();
  let nowMs = 0;
  /** What was read last: its write follows at once. */
  let found: { readonly ask: StoreAsk; readonly keys: Keys; readonly kept: Kept | undefined };
  const find = (ask: StoreAsk) => {
    const { name } = ask.policy;
    let keys = policies.get(name);
    if (!keys) {
      keys = { kept: new Map(), sweepFrom: sweepFromMin };
      policies.set(name, keys);
    }
    found = { ask, keys, kept: keys.kept.get(ask.key) };
    return found;
  };
  const states: StateAccess = {
    read: (ask) => find(ask).kept?.state,
    write(ask, state, keepMs) {
      const { keys, kept } = found.ask === ask ? found : find(ask);
      if (kept) {
        kept.state = state;
        kept.endsAtMs = nowMs + keepMs;
        return;
      }
      if (keys.kept.size >= keys.sweepFrom) sweep(keys, nowMs);
      keys.kept.set(ask.key, { state, endsAtMs: nowMs + keepMs });
    },
  };
  return {
    apply(calls) {
      nowMs = now();
      return calls.map((call) => settleCall(call, nowMs, states));
    },
    applyNow(ask) {
      nowMs = now();
      return settleAsk(ask, nowMs, states);
    },
    size: () => policies.values().reduce((sum, { kept }) => sum + kept.size, 0),
  };
}

/** Forgets what means nothing any more, whenever the number of keys has doubled. */
function sweep(keys: Keys, nowMs: number): void {
  for (const [key, { endsAtMs }] of keys.kept) if (endsAtMs <= nowMs) keys.kept.delete(key);
  keys.sweepFrom = Math.max(sweepFromMin, keys.kept.size * 2);
}
