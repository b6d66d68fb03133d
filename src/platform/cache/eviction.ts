/** What a policy knows of an entry: its size, its place in a queue, and how it was used. */
export interface Evictable<Self> {
  readonly sizeBytes: number;
  /** Neighbours in a {@link Queue}. */
  newer: Self | undefined;
  older: Self | undefined;
  /** What the policy makes of its uses: a bit, a count. */
  uses: number;
  /** Which of the policy's queues it is in. */
  queue: number;
}

/** How much a store holds. */
export interface StoreLimits {
  readonly bytesMax: number;
  readonly entriesMax: number;
}

/** Decides who goes when there is no room. One policy belongs to one store. */
export interface EvictionPolicy<Entry> {
  /**
   * Takes a new entry in, after room was made for it.
   *
   * @param isReturning whether its key was still remembered as a ghost
   */
  readonly add: (entry: Entry, isReturning: boolean) => void;
  /** An entry was read, or written again: the hot path. */
  readonly use: (entry: Entry) => void;
  /** An entry or a ghost is gone. */
  readonly remove: (entry: Entry) => void;
  /** Chooses who goes next; called only while there are entries. The store removes it. */
  readonly victim: () => Entry;
  /** An evicted entry may stay as a ghost, without its value. @returns whether it does */
  readonly haunt?: (evicted: Entry) => boolean;
  /** @returns a ghost that is one too many, for the store to remove */
  readonly ghostTooMany?: () => Entry | undefined;
}

/** Makes the policy of one store. */
export type MakePolicy = <Entry extends Evictable<Entry>>(
  limits: StoreLimits,
) => EvictionPolicy<Entry>;

/** A doubly linked queue through the entries themselves: nothing is allocated. */
export interface Queue<Entry> {
  newest: Entry | undefined;
  oldest: Entry | undefined;
  bytes: number;
  entries: number;
}

/** Makes an empty queue. */
export function createQueue<Entry>(): Queue<Entry> {
  return { newest: undefined, oldest: undefined, bytes: 0, entries: 0 };
}

/** Puts an entry at the new end. */
export function enqueue<Entry extends Evictable<Entry>>(queue: Queue<Entry>, entry: Entry): void {
  entry.older = queue.newest;
  entry.newer = undefined;
  if (queue.newest) queue.newest.newer = entry;
  else queue.oldest = entry;
  queue.newest = entry;
  queue.bytes += entry.sizeBytes;
  queue.entries++;
}

/** Takes an entry out. */
export function unlink<Entry extends Evictable<Entry>>(queue: Queue<Entry>, entry: Entry): void {
  const { newer, older } = entry;
  if (newer) newer.older = older;
  else queue.newest = older;
  if (older) older.newer = newer;
  else queue.oldest = newer;
  entry.newer = undefined;
  entry.older = undefined;
  queue.bytes -= entry.sizeBytes;
  queue.entries--;
}

/** Least recently used goes first. */
export const lru: MakePolicy = <Entry extends Evictable<Entry>>(): EvictionPolicy<Entry> => {
  const queue = createQueue<Entry>();
  return {
    add: (entry) => enqueue(queue, entry),
    use(entry) {
      if (queue.newest === entry) return;
      unlink(queue, entry);
      enqueue(queue, entry);
    },
    remove: (entry) => unlink(queue, entry),
    victim: () => queue.oldest as Entry,
  };
};

/** Counters of uses stop here: two bits. */
const usesMax = 3;
/** The share of a store that what was not used again has to itself. */
const probationShare = 0.1;

/**
 * S3-FIFO: what is new is on probation in a small queue; only what is used there, or comes back
 * soon after it went, gets into the main queue, a clock with counters of two bits. A scan passes
 * through the small queue. A hit writes a counter; nothing moves.
 *
 * @param usesToStay uses on probation that lead into the main queue
 * @see https://dl.acm.org/doi/10.1145/3600006.3613147
 */
export const s3Fifo =
  (usesToStay = 1): MakePolicy =>
  <Entry extends Evictable<Entry>>({ bytesMax, entriesMax }: StoreLimits) => {
    const probation = createQueue<Entry>();
    const main = createQueue<Entry>();
    const ghosts = createQueue<Entry>();
    const queues = [probation, main, ghosts] as const;
    const [probationAt, mainAt, ghostsAt] = [0, 1, 2];
    const mainBytesMax = bytesMax - Math.floor(bytesMax * probationShare);
    const mainEntriesMax = entriesMax - Math.floor(entriesMax * probationShare);
    const place = (entry: Entry, at: number, uses: number) => {
      entry.queue = at;
      entry.uses = uses;
      enqueue(queues[at] as Queue<Entry>, entry);
    };
    const move = (entry: Entry, to: number, uses: number) => {
      unlink(queues[entry.queue] as Queue<Entry>, entry);
      place(entry, to, uses);
    };
    const victimOfMain = (): Entry => {
      let oldest = main.oldest as Entry;
      while (oldest.uses > 0) {
        move(oldest, mainAt, oldest.uses - 1);
        oldest = main.oldest as Entry;
      }
      return oldest;
    };
    const policy: EvictionPolicy<Entry> = {
      add: (entry, isReturning) => place(entry, isReturning ? mainAt : probationAt, 0),
      use(entry) {
        if (entry.uses < usesMax) entry.uses++;
      },
      remove: (entry) => unlink(queues[entry.queue] as Queue<Entry>, entry),
      victim() {
        if (main.bytes > mainBytesMax || main.entries > mainEntriesMax) return victimOfMain();
        while (probation.oldest) {
          const oldest: Entry = probation.oldest;
          if (oldest.uses < usesToStay) return oldest;
          move(oldest, mainAt, 0);
        }
        return victimOfMain();
      },
      haunt(evicted) {
        if (evicted.queue !== probationAt || evicted.sizeBytes > mainBytesMax) return false;
        place(evicted, ghostsAt, 0);
        return true;
      },
      ghostTooMany: () =>
        ghosts.bytes > mainBytesMax || ghosts.entries > mainEntriesMax ? ghosts.oldest : undefined,
    };
    return policy;
  };
