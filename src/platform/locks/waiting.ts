import { LockError } from "./errors.ts";

/** A place in the line of one lock's callers. */
export interface Place {
  readonly isFirst: boolean;
  /** Resolves when everybody before has left, or the signal is aborted. */
  untilFirst(signal: AbortSignal): Promise<void>;
  leave(): void;
}

/** The callers of this process that wait for locks. */
export interface Waiting {
  /** Whether somebody waits for this lock. */
  isWaitedFor(name: string): boolean;
  /** Stands in line. @throws LockError ERR_LOCK_TIMEOUT when too many do */
  standInLine(name: string): Place;
  /** How often all were woken so far: read it before asking, for {@link Waiting.sleep}. */
  wakes(): number;
  /**
   * Sleeps until somebody gives a lock back, for so long at most, milliseconds.
   *
   * @param seen {@link Waiting.wakes} before the question: who was woken since does not sleep
   */
  sleep(ms: number, signal: AbortSignal, seen: number): Promise<void>;
  /** Wakes all who sleep. */
  wakeAll(): void;
}

/**
 * Makes an empty waiting room.
 *
 * @param waitingMax callers that may wait for one lock
 */
export function createWaiting(waitingMax: number): Waiting {
  /** Callers in order, by name; only the first of them asks the store. */
  const lines = new Map<string, (() => void)[]>();
  const sleepers = new Set<() => void>();
  let wakes = 0;
  const leave = (name: string, line: (() => void)[], move: () => void) => {
    const at = line.indexOf(move);
    line.splice(at, 1);
    if (at === 0) line[0]?.();
    if (line.length === 0) lines.delete(name);
  };
  return {
    isWaitedFor: (name) => lines.has(name),
    standInLine(name) {
      const line = lines.get(name) ?? [];
      if (line.length >= waitingMax) {
        throw new LockError("ERR_LOCK_TIMEOUT", `${waitingMax} callers wait for ${name} already`);
      }
      lines.set(name, line);
      const turn = line.length === 0 ? undefined : Promise.withResolvers<void>();
      const move = () => turn?.resolve();
      line.push(move);
      return {
        isFirst: turn === undefined,
        async untilFirst(signal) {
          signal.addEventListener("abort", move);
          if (!signal.aborted) await turn?.promise;
          signal.removeEventListener("abort", move);
        },
        leave: () => leave(name, line, move),
      };
    },
    wakes: () => wakes,
    sleep: (ms, signal, seen) =>
      new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          sleepers.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        sleepers.add(wake);
        signal.addEventListener("abort", wake);
        if (signal.aborted || seen !== wakes) wake();
      }),
    wakeAll() {
      wakes++;
      for (const wake of [...sleepers]) wake();
    },
  };
}
