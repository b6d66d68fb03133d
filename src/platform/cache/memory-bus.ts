import type { Invalidation, InvalidationBus } from "./invalidation.ts";

/** A bus within one process. */
export interface MemoryInvalidationBus extends InvalidationBus {
  /** Tells every listener, before it returns. */
  announce(invalidations: readonly Invalidation[]): void;
  /** Tells every listener that something may have been missed. */
  doubt(): void;
}

/** Carries invalidations within this process: for a single node, and for tests. */
export function createMemoryInvalidationBus(): MemoryInvalidationBus {
  const { hear, tell } = createListeners<readonly Invalidation[]>();
  const doubts = createListeners<void>();
  return { listen: hear, announce: tell, onDoubt: doubts.hear, doubt: doubts.tell };
}

/** Those who hear something. */
export interface Listeners<Told> {
  /** @returns its end */
  hear(listener: (told: Told) => void): () => void;
  tell(told: Told): void;
}

/** Makes an empty group of listeners. */
export function createListeners<Told>(): Listeners<Told> {
  const listeners = new Set<{ readonly call: (told: Told) => void }>();
  return {
    hear(call) {
      const listener = { call };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell(told) {
      for (const { call } of listeners) call(told);
    },
  };
}

/** Hears several buses as one, as for tenants in several databases. */
export function joinInvalidationBuses(buses: readonly InvalidationBus[]): InvalidationBus {
  const all = (subscribe: (bus: InvalidationBus) => () => void) => {
    const ends = buses.map(subscribe);
    return () => {
      for (const end of ends) end();
    };
  };
  return {
    listen: (hear) => all((bus) => bus.listen(hear)),
    onDoubt: (hear) => all((bus) => bus.onDoubt(hear)),
  };
}
