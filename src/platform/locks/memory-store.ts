import { validUntilMs } from "./lease.ts";
import type { LeaseStore } from "./store.ts";

interface Held {
  holder: string;
  token: number;
  endsAtMs: number;
}

/**
 * Keeps leases in this process: for a single node, and for tests.
 *
 * @param now epoch milliseconds with fractions
 */
export function createMemoryLeaseStore(
  now: () => number = () => performance.timeOrigin + performance.now(),
): LeaseStore {
  const leases = new Map<string, Held>();
  const sleepers = new Set<() => void>();
  let lastToken = 0;
  let sweepFrom = 1_000;
  /** Forgets leases that ended, whenever their number has doubled. */
  const sweep = () => {
    if (leases.size < sweepFrom) return;
    for (const [name, { endsAtMs }] of leases) if (endsAtMs <= now()) leases.delete(name);
    sweepFrom = Math.max(1_000, leases.size * 2);
  };
  const heldBy = (name: string, holder: string): Held | undefined => {
    const held = leases.get(name);
    return held?.holder === holder && held.endsAtMs > now() ? held : undefined;
  };
  return {
    async take({ name, holder, leaseMs }) {
      const askedAtMs = performance.now();
      const held = leases.get(name);
      if (held && held.holder !== holder && held.endsAtMs > now()) return undefined;
      sweep();
      // One row of tokens for all names: a lease that is gone needs no memory.
      lastToken = Math.max(lastToken + 1, Math.floor(now() * 1_000));
      leases.set(name, { holder, token: lastToken, endsAtMs: now() + leaseMs });
      return { token: lastToken, validUntilMs: validUntilMs(askedAtMs, leaseMs) };
    },
    async extend({ name, holder, leaseMs }) {
      const askedAtMs = performance.now();
      const held = heldBy(name, holder);
      if (!held) return undefined;
      held.endsAtMs = now() + leaseMs;
      return validUntilMs(askedAtMs, leaseMs);
    },
    async release({ name, holder }) {
      const had = heldBy(name, holder) !== undefined;
      if (leases.get(name)?.holder === holder) leases.delete(name);
      if (had) for (const wake of sleepers) wake();
      return had;
    },
    onFreed(wake) {
      sleepers.add(wake);
      return () => sleepers.delete(wake);
    },
  };
}
