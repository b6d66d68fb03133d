import { assert } from "../../kernel/assert.ts";
import { ResilienceError } from "./errors.ts";
import { createRing } from "./ring.ts";

/** What becomes of an item for which there is no room. */
export type WhenFull =
  /** Its producer waits: backpressure. */
  | "wait"
  /** It is refused with ERR_QUEUE_FULL. */
  | "refuse"
  /** The oldest item makes room. */
  | "drop_oldest";

/** How to make a queue. */
export interface QueueConfig<Item> {
  /** Items it holds, 1 or more. */
  readonly itemsMax: number;
  readonly whenFull: WhenFull;
  /** Producers that may wait at once; the next one is refused; default 1,000. */
  readonly waitingMax?: number;
  readonly onDrop?: (item: Item) => void;
}

/** Passes items from producers to consumers in order, holding so many at most. */
export interface BoundedQueue<Item> {
  /**
   * Puts an item in. Resolves when it is in.
   *
   * @throws ResilienceError ERR_QUEUE_FULL, ERR_QUEUE_CLOSED; or the reason of the aborted signal:
   *   then the item is not in
   */
  push(item: Item, signal?: AbortSignal): Promise<void>;
  /** Puts an item in if that can be done now. Drops the oldest where that is the policy. */
  tryPush(item: Item): boolean;
  /** Takes the oldest out, waiting for one. @returns undefined when it is closed and empty */
  take(signal?: AbortSignal): Promise<Item | undefined>;
  /** Takes all there are, without waiting. */
  takeAll(): Item[];
  /** Takes nothing more in; what is in it is still given out. May be called twice. */
  close(): void;
  readonly size: number;
  /** `for await (const item of queue)`, until it is closed and empty. */
  [Symbol.asyncIterator](): AsyncIterator<Item, undefined>;
}

/** An item in its place; so that an item may be undefined. */
interface Held<Item> {
  readonly item: Item;
}

/** Somebody who waits. */
interface Waiter<Given> {
  readonly give: (given: Given) => void;
  readonly refuse: (error: unknown) => void;
}

/** Makes an empty queue. */
export function createBoundedQueue<Item>(config: QueueConfig<Item>): BoundedQueue<Item> {
  const { itemsMax, whenFull, waitingMax = 1_000, onDrop } = config;
  assert(itemsMax >= 1, "a queue has room for an item");
  const items = createRing<Held<Item>>();
  const producers = new Map<Waiter<void>, Item>();
  const consumers = new Set<Waiter<Held<Item> | undefined>>();
  let isClosed = false;

  /** @returns whether the item is in, or with somebody */
  const put = (item: Item): boolean => {
    const [consumer] = consumers;
    if (consumer) {
      consumer.give({ item });
      return true;
    }
    if (items.size >= itemsMax) {
      if (whenFull !== "drop_oldest") return false;
      const oldest = items.shift();
      if (oldest) onDrop?.(oldest.item);
    }
    items.push({ item });
    return true;
  };
  /** Takes the oldest out; the producer that waits longest puts its item in. */
  const shift = (): Held<Item> | undefined => {
    const oldest = items.shift();
    const [waiting] = producers;
    if (oldest && waiting) {
      items.push({ item: waiting[1] });
      waiting[0].give();
    }
    return oldest;
  };
  const takeHeld = async (signal?: AbortSignal): Promise<Held<Item> | undefined> => {
    signal?.throwIfAborted();
    const oldest = shift();
    if (oldest || isClosed) return oldest;
    return wait(signal, (consumer) => {
      consumers.add(consumer);
      return () => void consumers.delete(consumer);
    });
  };
  return {
    async push(item, signal) {
      signal?.throwIfAborted();
      if (isClosed) throw closedError();
      if (producers.size === 0 && put(item)) return;
      if (whenFull === "refuse" || producers.size >= waitingMax) throw fullError(itemsMax);
      await wait<void>(signal, (producer) => {
        producers.set(producer, item);
        return () => void producers.delete(producer);
      });
    },
    tryPush: (item) => !isClosed && producers.size === 0 && put(item),
    take: async (signal) => (await takeHeld(signal))?.item,
    takeAll() {
      const taken: Item[] = [];
      for (let held = shift(); held; held = shift()) taken.push(held.item);
      return taken;
    },
    close() {
      isClosed = true;
      for (const producer of [...producers.keys()]) producer.refuse(closedError());
      for (const consumer of [...consumers]) consumer.give(undefined);
    },
    get size() {
      return items.size;
    },
    [Symbol.asyncIterator]: () => ({
      async next() {
        const held = await takeHeld();
        return held ? { done: false, value: held.item } : { done: true, value: undefined };
      },
    }),
  };
}

/** Waits in a line until somebody gives something, or the signal aborts. */
function wait<Given>(
  signal: AbortSignal | undefined,
  standInLine: (waiter: Waiter<Given>) => () => void,
): Promise<Given> {
  return new Promise((resolve, reject) => {
    const end = () => {
      leave();
      signal?.removeEventListener("abort", abort);
    };
    const waiter: Waiter<Given> = {
      give(given) {
        end();
        resolve(given);
      },
      refuse(error) {
        end();
        reject(error);
      },
    };
    const abort = () => waiter.refuse(signal?.reason);
    const leave = standInLine(waiter);
    signal?.addEventListener("abort", abort);
  });
}

function fullError(itemsMax: number): ResilienceError {
  return new ResilienceError("ERR_QUEUE_FULL", `the queue holds ${itemsMax} items already`);
}

function closedError(): ResilienceError {
  return new ResilienceError("ERR_QUEUE_CLOSED", "the queue takes nothing any more");
}
