/** What a member of a ring was not told. */
export interface Missing {
  readonly keys: readonly string[];
  readonly tags: readonly string[];
  /** There was too much, or nobody knows: nothing in it may be believed. */
  readonly isAll: boolean;
}

/** Keeps what a member that is away has to be told before it is asked again. */
export interface Missed {
  add(missing: Partial<Missing>): void;
  isEmpty(): boolean;
  /** Takes everything out; whoever cannot deliver it adds it again. */
  take(): Missing;
}

/** @param max keys and tags kept; with more, everything is doubted */
export function createMissed(max: number): Missed {
  const keys = new Set<string>();
  const tags = new Set<string>();
  let isAll = false;
  return {
    add(missing) {
      for (const key of missing.keys ?? []) keys.add(key);
      for (const tag of missing.tags ?? []) tags.add(tag);
      isAll ||= missing.isAll === true || keys.size + tags.size > max;
      if (!isAll) return;
      keys.clear();
      tags.clear();
    },
    isEmpty: () => !isAll && keys.size === 0 && tags.size === 0,
    take() {
      const missing = { keys: [...keys], tags: [...tags], isAll };
      keys.clear();
      tags.clear();
      isAll = false;
      return missing;
    },
  };
}
