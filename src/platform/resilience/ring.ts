/** A queue in memory: first in, first out, both ends at constant cost. */
export interface Ring<Item> {
  readonly size: number;
  push(item: Item): void;
  /** @returns the oldest, undefined when there is none */
  shift(): Item | undefined;
}

/** Makes an empty one. */
export function createRing<Item extends object>(): Ring<Item> {
  let items: (Item | undefined)[] = [];
  let head = 0;
  return {
    get size() {
      return items.length - head;
    },
    push: (item) => void items.push(item),
    shift() {
      const item = items[head];
      if (item === undefined) return undefined;
      items[head++] = undefined;
      // Half of it is empty: moving the rest once in so many calls costs each of them next to nothing.
      if (head > 32 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
