/**
 * The epochs that this process gave to tags while some member of the ring could not be told. A member
 * that was told may be emptied, and then learns an older epoch from one that was not: so no tag is
 * believed below its floor until all are told.
 */
export interface RingFloors {
  /** @param epochs as many as tags */
  raise(tags: readonly string[], epochs: readonly number[]): void;
  /** No tag is below this. */
  raiseAll(epoch: number): void;
  /** @returns 0 without one */
  of(tag: string): number;
  /** Every member was told. */
  clear(): void;
}

/** @param max tags with a floor of their own; with more, the largest is the floor of all */
export function createRingFloors(max: number): RingFloors {
  const floors = new Map<string, number>();
  let floorOfAll = 0;
  const raiseAll = (epoch: number) => {
    floorOfAll = Math.max(floorOfAll, epoch);
  };
  return {
    raise(tags, epochs) {
      for (const [at, tag] of tags.entries())
        floors.set(tag, Math.max(floors.get(tag) ?? 0, epochs[at] ?? 0));
      if (floors.size <= max) return;
      for (const epoch of floors.values()) raiseAll(epoch);
      floors.clear();
    },
    raiseAll,
    of: (tag) => Math.max(floorOfAll, floors.get(tag) ?? 0),
    clear() {
      floors.clear();
      floorOfAll = 0;
    },
  };
}
