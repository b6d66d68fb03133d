/** What may have changed: `jobs`, `events`. Says nothing about where or how much. */
export type WakeTopic = string;

type Listener = (topic: WakeTopic) => void;

/** A commit is a fact of the whole process, so its listeners are too. */
const listeners = new Set<Listener>();

/**
 * Tells this process that something was committed under a topic; for `tx.afterCommit`. Costs a
 * function call per listener. Other processes hear of it through their {@link Wakeup}.
 */
export function poke(topic: WakeTopic): void {
  for (const listener of listeners) listener(topic);
}

/** Hears every {@link poke} of this process. @returns the function that ends it */
export function onPoke(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
