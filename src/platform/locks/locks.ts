import { newId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import { LockError } from "./errors.ts";
import { holdLock, type Lock, type LockEvent } from "./held-lock.ts";
import { checkLease } from "./lease.ts";
import type { LeaseStore } from "./store.ts";

export { LockError, type LockErrorCode } from "./errors.ts";
export { admitToken, checkLeaseIn } from "./fence.ts";
export type { Lock, LockEvent } from "./held-lock.ts";
export { createLeadership, type Leadership, type LeadershipConfig } from "./leadership.ts";
export { leaseLimits } from "./lease.ts";
export { createMemoryLeaseStore } from "./memory-store.ts";
export {
  createPostgresLeaseStore,
  deleteOldLeases,
  locksTopic,
  type PostgresLeaseStoreConfig,
} from "./postgres-store.ts";
export {
  createRedisLeaseStore,
  type RedisLeaseStoreConfig,
  type RedisNode,
} from "./redis-store.ts";
export type { LeaseRequest, LeaseStore, TakenLease } from "./store.ts";

/** How a lock is taken; every field has a default. */
export interface LockOptions {
  /** How long it outlives a holder that dies, milliseconds, 100 to 600,000; default 30,000. */
  readonly leaseMs?: number;
  /** Whether it is renewed while it is held; default true. */
  readonly renews?: boolean;
  /** Longest wait for it, milliseconds; default: as long as it takes. 0: try once. */
  readonly waitMs?: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/** Locks over many processes. */
export interface Locks {
  /**
   * Takes a lock, waiting for it behind the callers of this process that came before.
   *
   * @throws LockError ERR_LOCK_TIMEOUT after `waitMs`, ERR_LOCK_UNAVAILABLE when the store is away
   *   for as long, ERR_LOCKS_STOPPED; or the reason of the aborted signal
   */
  acquire(name: string, options?: LockOptions): Promise<Lock>;
  /** Takes a lock if it is free. @throws LockError ERR_LOCK_UNAVAILABLE */
  tryAcquire(name: string, options?: Omit<LockOptions, "waitMs">): Promise<Lock | undefined>;
  /** Does `work` while it holds a lock, and gives it back. @throws what `acquire` or `work` throws */
  withLock<Value>(
    name: string,
    options: LockOptions,
    work: (lock: Lock) => Promise<Value>,
  ): Promise<Value>;
  /** Gives all locks back and sends those who wait away. May be called twice. */
  stop(): Promise<void>;
}

/** How locks are made. */
export interface LocksConfig {
  readonly store: LeaseStore;
  /** Longest time between two looks whether a lock is free, milliseconds; default 250. */
  readonly pollMs?: number;
  /** Callers of this process that may wait for one lock; the next one is refused; default 1,000. */
  readonly waitingMax?: number;
  readonly random?: Random;
  readonly onEvent?: (event: LockEvent) => void;
}

const defaultLeaseMs = 30_000;

/** A place in the line of one lock's callers in this process. */
interface Place {
  readonly isFirst: boolean;
  /** Resolves when everybody before has left, or the signal is aborted. */
  untilFirst(signal: AbortSignal): Promise<void>;
  leave(): void;
}

/** Makes locks over a store. */
export function createLocks(config: LocksConfig): Locks {
  const { store, pollMs = 250, waitingMax = 1_000, random = Math.random } = config;
  const onEvent = config.onEvent ?? (() => {});
  const held = new Set<Lock>();
  /** Callers of this process in order, by name; only the first of them asks the store. */
  const lines = new Map<string, (() => void)[]>();
  const sleepers = new Set<() => void>();
  const stopping = new AbortController();
  const unhear = store.onFreed?.(() => {
    for (const wake of [...sleepers]) wake();
  });

  const take = async (
    name: string,
    { leaseMs = defaultLeaseMs, renews = true }: LockOptions,
    sinceMs: number,
  ): Promise<Lock | undefined> => {
    checkLease(name, leaseMs);
    const request = { name, holder: newId(), leaseMs };
    const lease = await store.take(request);
    if (!lease) return undefined;
    if (stopping.signal.aborted || performance.now() >= lease.validUntilMs) {
      await store.release(request);
      return undefined;
    }
    const onEnd = (lock: Lock) => held.delete(lock);
    const lock = holdLock({ store, request, lease, renews, onEvent, onEnd });
    held.add(lock);
    onEvent({ kind: "acquired", name, token: lock.token, waitedMs: performance.now() - sinceMs });
    return lock;
  };

  /** Sleeps until somebody gives a lock back, or for a while. */
  const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
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
      if (signal.aborted) wake();
    });

  /** Stands in line behind the callers of this process. */
  const standInLine = (name: string): Place => {
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
      leave() {
        const at = line.indexOf(move);
        line.splice(at, 1);
        if (at === 0) line[0]?.();
        if (line.length === 0) lines.delete(name);
      },
    };
  };

  /** Asks again and again for a lock, until it is had or the wait is over. */
  const keepAsking = async (
    name: string,
    options: LockOptions,
    { sinceMs, signal }: { readonly sinceMs: number; readonly signal: AbortSignal },
  ): Promise<Lock | undefined> => {
    let problem: unknown;
    while (!signal.aborted) {
      try {
        const lock = await take(name, options, sinceMs);
        if (lock) return lock;
        problem = undefined;
      } catch (error) {
        if (!(error instanceof LockError && error.retryable)) throw error;
        problem = error;
      }
      await sleep(pollMs * (0.5 + random() / 2), signal);
    }
    if (problem) throw problem;
    return undefined;
  };

  const wait = async (name: string, options: LockOptions): Promise<Lock | undefined> => {
    const sinceMs = performance.now();
    const place = standInLine(name);
    try {
      // Mostly it is free: then nothing need be made to wait with.
      const lock = place.isFirst
        ? await take(name, options, sinceMs).catch(unlessFinal)
        : undefined;
      if (lock) return lock;
      const ends = [stopping.signal, ...(options.signal ? [options.signal] : [])];
      const { waitMs } = options;
      const restMs = waitMs === undefined ? undefined : waitMs - (performance.now() - sinceMs);
      const timer =
        restMs === undefined ? [] : [AbortSignal.timeout(Math.max(0, Math.ceil(restMs)))];
      const signal = AbortSignal.any([...ends, ...timer]);
      await place.untilFirst(signal);
      return await keepAsking(name, options, { sinceMs, signal });
    } finally {
      place.leave();
    }
  };

  const tryAcquire = async (name: string, options: LockOptions = {}): Promise<Lock | undefined> => {
    throwIfStopped(stopping.signal);
    options.signal?.throwIfAborted();
    // Whoever waits in this process came first.
    if (lines.has(name)) return undefined;
    return take(name, options, performance.now());
  };

  const acquire = async (name: string, options: LockOptions = {}): Promise<Lock> => {
    throwIfStopped(stopping.signal);
    options.signal?.throwIfAborted();
    const { waitMs } = options;
    if (waitMs === 0) {
      const lock = await tryAcquire(name, options);
      if (lock) return lock;
      throw timedOut(name, 0);
    }
    const lock = await wait(name, options);
    if (lock) return lock;
    throwIfStopped(stopping.signal);
    options.signal?.throwIfAborted();
    throw timedOut(name, waitMs ?? 0);
  };

  return {
    acquire,
    tryAcquire,
    async withLock(name, options, work) {
      await using lock = await acquire(name, options);
      return await work(lock);
    },
    async stop() {
      stopping.abort();
      unhear?.();
      await Promise.allSettled([...held].map((lock) => lock.release()));
    },
  };
}

function throwIfStopped(stopped: AbortSignal): void {
  if (stopped.aborted) throw new LockError("ERR_LOCKS_STOPPED", "these locks were stopped");
}

/** A store that is away may be back before the wait is over. */
function unlessFinal(error: unknown): undefined {
  if (!(error instanceof LockError && error.retryable)) throw error;
}

function timedOut(name: string, waitMs: number): LockError {
  return new LockError("ERR_LOCK_TIMEOUT", `somebody else had the lock ${name} for ${waitMs} ms`);
}
