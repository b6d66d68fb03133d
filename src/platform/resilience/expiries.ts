import type { Timers } from "./timers.ts";

/** Something that is due at a moment, unless it is removed before. */
export interface Expiry {
  /** Forgets it. May be called twice, and after it was due. */
  remove(): void;
}

/** Moments at which somebody is told, kept in order behind one timer. */
export interface Expiries {
  /** @param atMs moment of the timers' clock */
  add(atMs: number, due: () => void): Expiry;
  /** How many wait. */
  readonly size: number;
}

interface Entry extends Expiry {
  readonly atMs: number;
  readonly due: () => void;
  before: Entry | undefined;
  after: Entry | undefined;
  isIn: boolean;
}

/**
 * Makes an empty list. Calls that share a timeout are due in the order in which they came, so they are
 * linked in that order and only the first is waited for: a call costs two assignments at each end and
 * no timer. One that is due before the last (its caller's deadline is nearer) gets a timer of its own.
 */
export function createExpiries(timers: Timers): Expiries {
  let first: Entry | undefined;
  let last: Entry | undefined;
  let size = 0;
  /** When the timer fires; Infinity: there is none. */
  let armedMs = Number.POSITIVE_INFINITY;
  let disarm = (): void => {};

  const unlink = (entry: Entry): void => {
    if (!entry.isIn) return;
    entry.isIn = false;
    size--;
    if (entry.before) entry.before.after = entry.after;
    else first = entry.after;
    if (entry.after) entry.after.before = entry.before;
    else last = entry.before;
  };
  const arm = (entry: Entry): void => {
    disarm();
    armedMs = entry.atMs;
    disarm = timers.after(entry.atMs - timers.now(), sweep);
  };
  const sweep = (): void => {
    armedMs = Number.POSITIVE_INFINITY;
    const now = timers.now();
    while (first && first.atMs <= now) {
      const entry = first;
      unlink(entry);
      entry.due();
    }
    // What was first when the timer was set is mostly gone by now: one timer in a timeout's time.
    if (first && first.atMs < armedMs) arm(first);
  };
  class Linked implements Entry {
    readonly atMs: number;
    readonly due: () => void;
    before = last;
    after: Entry | undefined = undefined;
    isIn = true;

    constructor(atMs: number, due: () => void) {
      this.atMs = atMs;
      this.due = due;
    }

    remove(): void {
      unlink(this);
    }
  }
  return {
    add(atMs, due) {
      if (last && atMs < last.atMs) return { remove: timers.after(atMs - timers.now(), due) };
      const entry = new Linked(atMs, due);
      if (last) last.after = entry;
      else first = entry;
      last = entry;
      size++;
      // It may be armed for one that is gone, and was due later than this one.
      if (atMs < armedMs) arm(entry);
      return entry;
    },
    get size() {
      return size;
    },
  };
}
