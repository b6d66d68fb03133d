// Caches in the process: plain JavaScript, because they are not installed where types are checked.
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { Cacheable } from "cacheable";
import { LRUCache } from "lru-cache";

/**
 * @param {number} entriesMax
 * @param {(key: string) => Promise<object>} load
 */
export function createSubjects(entriesMax, load) {
  const plain = new LRUCache({ max: entriesMax });
  const half = new LRUCache({ max: entriesMax / 4 });
  const bounded = new LRUCache({
    max: entriesMax,
    maxSize: 1e9,
    sizeCalculation: () => 100,
    ttl: 60_000,
  });
  const fetching = new LRUCache({ max: entriesMax, ttl: 60_000, fetchMethod: load });
  const cacheable = new Cacheable({ ttl: 60_000 });
  const bento = new BentoCache({
    default: "memory",
    stores: {
      memory: bentostore().useL1Layer(memoryDriver({ maxItems: entriesMax, maxSize: "1gb" })),
    },
  });
  return {
    /** Nothing but storing and finding: with a limit of entries, and with those of ours. */
    raw: [
      { name: "lru-cache", get: (key) => plain.get(key), set: (key, value) => plain.set(key, value) },
      {
        name: "lru-cache with sizes and TTL",
        get: (key) => bounded.get(key),
        set: (key, value) => bounded.set(key, value),
      },
    ],
    /** Room for half of what is asked for. */
    half: [
      { name: "lru-cache", get: (key) => half.get(key), set: (key, value) => half.set(key, value) },
    ],
    /** Loads what it does not have. */
    loading: [
      { name: "lru-cache fetch", get: (key) => fetching.fetch(key) },
      { name: "cacheable getOrSet", get: (key) => cacheable.getOrSet(key, () => load(key)) },
      {
        name: "bentocache getOrSet",
        get: (key) => bento.getOrSet({ key, factory: () => load(key), ttl: 60_000 }),
      },
    ],
  };
}
