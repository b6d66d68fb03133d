import {
  createQueue,
  type Evictable,
  type EvictionPolicy,
  enqueue,
  lru,
  type MakePolicy,
  type Queue,
  s3Fifo,
  unlink,
} from "../../src/platform/cache/eviction.ts";

/** First in, first out. */
const fifo: MakePolicy = <Entry extends Evictable<Entry>>(): EvictionPolicy<Entry> => {
  const queue = createQueue<Entry>();
  return {
    add: (entry) => enqueue(queue, entry),
    use() {},
    remove: (entry) => unlink(queue, entry),
    victim: () => queue.oldest as Entry,
  };
};

/** Clock: first in, first out, with a second chance for who was used. */
const clock: MakePolicy = <Entry extends Evictable<Entry>>(): EvictionPolicy<Entry> => {
  const queue = createQueue<Entry>();
  return {
    add(entry) {
      entry.uses = 0;
      enqueue(queue, entry);
    },
    use(entry) {
      entry.uses = 1;
    },
    remove: (entry) => unlink(queue, entry),
    victim() {
      let oldest = queue.oldest as Entry;
      while (oldest.uses > 0) {
        oldest.uses = 0;
        unlink(queue, oldest);
        enqueue(queue, oldest);
        oldest = queue.oldest as Entry;
      }
      return oldest;
    },
  };
};

/**
 * SIEVE: a hand walks from old to new, spares whoever was used since it last came by, and takes the
 * first who was not; unlike a clock it leaves who it spares in place.
 *
 * @see https://www.usenix.org/conference/nsdi24/presentation/zhang-yazhuo
 */
const sieve: MakePolicy = <Entry extends Evictable<Entry>>(): EvictionPolicy<Entry> => {
  const queue = createQueue<Entry>();
  let hand: Entry | undefined;
  return {
    add(entry) {
      entry.uses = 0;
      enqueue(queue, entry);
    },
    use(entry) {
      entry.uses = 1;
    },
    remove(entry) {
      if (hand === entry) hand = entry.newer;
      unlink(queue, entry);
    },
    victim() {
      let at = hand ?? (queue.oldest as Entry);
      while (at.uses > 0) {
        at.uses = 0;
        at = at.newer ?? (queue.oldest as Entry);
      }
      hand = at;
      return at;
    },
  };
};

/** Segmented LRU: a hit moves an entry one segment up, a full segment pushes its oldest one down. */
const slru: MakePolicy = <Entry extends Evictable<Entry>>({
  bytesMax,
}: {
  readonly bytesMax: number;
}): EvictionPolicy<Entry> => {
  const segments = Array.from({ length: 5 }, () => createQueue<Entry>());
  const segmentMax = bytesMax / segments.length;
  const at = (index: number) => segments[index] as Queue<Entry>;
  const move = (entry: Entry, to: number) => {
    unlink(at(entry.queue), entry);
    entry.queue = to;
    enqueue(at(to), entry);
  };
  return {
    add(entry) {
      entry.queue = 0;
      enqueue(at(0), entry);
    },
    use(entry) {
      move(entry, Math.min(entry.queue + 1, segments.length - 1));
      for (let index = segments.length - 1; index > 0; index--) {
        while (at(index).bytes > segmentMax) move(at(index).oldest as Entry, index - 1);
      }
    },
    remove: (entry) => unlink(at(entry.queue), entry),
    victim: () => segments.find(({ oldest }) => oldest)?.oldest as Entry,
  };
};

/** Least frequently used goes first, the oldest of them. */
const lfu: MakePolicy = <Entry extends Evictable<Entry>>(): EvictionPolicy<Entry> => {
  const byUses = new Map<number, Queue<Entry>>();
  let least = 1;
  const place = (entry: Entry, uses: number) => {
    entry.uses = uses;
    const queue = byUses.get(uses) ?? createQueue<Entry>();
    byUses.set(uses, queue);
    enqueue(queue, entry);
  };
  const take = (entry: Entry) => {
    const queue = byUses.get(entry.uses) as Queue<Entry>;
    unlink(queue, entry);
    if (!queue.oldest) byUses.delete(entry.uses);
  };
  return {
    add(entry) {
      least = 1;
      place(entry, 1);
    },
    use(entry) {
      take(entry);
      place(entry, entry.uses + 1);
    },
    remove: take,
    victim() {
      if (!byUses.has(least)) least = Math.min(...byUses.keys());
      return byUses.get(least)?.oldest as Entry;
    },
  };
};

/** The policies that were compared, by the names of libCacheSim's rows. */
export const policies: Readonly<Record<string, MakePolicy>> = {
  QDLP_FIFO: s3Fifo(1),
  S3FIFO: s3Fifo(2),
  LRU: lru,
  Sieve: sieve,
  SLRU: slru,
  LFU: lfu,
  Clock: clock,
  FIFO: fifo,
};
