import { newId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import { type Alarms, createAlarms } from "./alarms.ts";
import { LockError } from "./errors.ts";
import { holdLock, type Lock, type LockEvent } from "./held-lock.ts";
import { checkLease } from "./lease.ts";
import type { LeaseStore } from "./store.ts";
import { createWaiting, type Waiting } from "./waiting.ts";

export type { RedisNode } from "../redis/node.ts";
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
export { createRedisLeaseStore, type RedisLeaseStoreConfig } from "./redis-store.ts";
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

/** Makes locks over a store. */
export function createLocks(config: LocksConfig): Locks {
  const waiting = createWaiting(config.waitingMax ?? 1_000);
  const stopping = new AbortController();
  const desk: Desk = {
    config,
    waiting,
    held: new Set(),
    alarms: createAlarms(),
    stopping: stopping.signal,
  };
  const unhear = config.store.onFreed?.(() => waiting.wakeAll());
  const acquire = (name: string, options: LockOptions = {}) => acquireLock(desk, name, options);
  return {
    acquire,
    tryAcquire: (name, options = {}) => tryLock(desk, name, options),
    async withLock(name, options, work) {
      await using lock = await acquire(name, options);
      return await work(lock);
    },
    async stop() {
      stopping.abort();
      unhear?.();
      await Promise.allSettled([...desk.held].map((lock) => lock.release()));
    },
  };
}

/** Where locks are handed out. */
interface Desk {
  readonly config: LocksConfig;
  readonly waiting: Waiting;
  readonly held: Set<Lock>;
  readonly alarms: Alarms;
  readonly stopping: AbortSignal;
}

async function acquireLock(desk: Desk, name: string, options: LockOptions): Promise<Lock> {
  const { waitMs } = options;
  const lock = waitMs === 0 ? await tryLock(desk, name, options) : await wait(desk, name, options);
  if (lock) return lock;
  throwIfOver(desk, options);
  const message = `somebody else had the lock ${name} for ${waitMs ?? 0} ms`;
  throw new LockError("ERR_LOCK_TIMEOUT", message);
}

async function tryLock(desk: Desk, name: string, options: LockOptions): Promise<Lock | undefined> {
  throwIfOver(desk, options);
  // Whoever waits in this process came first.
  if (desk.waiting.isWaitedFor(name)) return undefined;
  return take(desk, name, options, performance.now());
}

async function wait(desk: Desk, name: string, options: LockOptions): Promise<Lock | undefined> {
  throwIfOver(desk, options);
  const sinceMs = performance.now();
  const place = desk.waiting.standInLine(name);
  try {
    // Mostly it is free: then nothing need be made to wait with.
    const lock = place.isFirst
      ? await take(desk, name, options, sinceMs).catch(unlessFinal)
      : undefined;
    if (lock) return lock;
    const signal = endOfWait(desk, options, sinceMs);
    await place.untilFirst(signal);
    return await keepAsking(desk, name, options, { sinceMs, signal });
  } finally {
    place.leave();
  }
}

function endOfWait(desk: Desk, { signal, waitMs }: LockOptions, sinceMs: number): AbortSignal {
  const ends = [desk.stopping, ...(signal ? [signal] : [])];
  if (waitMs === undefined) return AbortSignal.any(ends);
  const restMs = Math.max(0, Math.ceil(waitMs - (performance.now() - sinceMs)));
  return AbortSignal.any([...ends, AbortSignal.timeout(restMs)]);
}

/** Asks again and again for a lock, until it is had or the wait is over. */
async function keepAsking(
  desk: Desk,
  name: string,
  options: LockOptions,
  { sinceMs, signal }: { readonly sinceMs: number; readonly signal: AbortSignal },
): Promise<Lock | undefined> {
  const { pollMs = 250, random = Math.random } = desk.config;
  let problem: unknown;
  while (!signal.aborted) {
    const seen = desk.waiting.wakes();
    try {
      const lock = await take(desk, name, options, sinceMs);
      if (lock) return lock;
      problem = undefined;
    } catch (error) {
      unlessFinal(error);
      problem = error;
    }
    await desk.waiting.sleep(pollMs * (0.5 + random() / 2), signal, seen);
  }
  if (problem) throw problem;
  return undefined;
}

/** Asks the store once. */
async function take(
  { config, held, alarms, stopping }: Desk,
  name: string,
  { leaseMs = defaultLeaseMs, renews = true }: LockOptions,
  sinceMs: number,
): Promise<Lock | undefined> {
  checkLease(name, leaseMs);
  const { store, onEvent = () => {} } = config;
  const request = { name, holder: newId(), leaseMs };
  const lease = await store.take(request);
  if (!lease) return undefined;
  if (stopping.aborted || performance.now() >= lease.validUntilMs) {
    await store.release(request);
    return undefined;
  }
  const onEnd = (lock: Lock) => held.delete(lock);
  const lock = holdLock({ store, request, lease, renews, alarms, onEvent, onEnd });
  held.add(lock);
  onEvent({ kind: "acquired", name, token: lock.token, waitedMs: performance.now() - sinceMs });
  return lock;
}

function throwIfOver({ stopping }: Desk, { signal }: LockOptions): void {
  if (stopping.aborted) throw new LockError("ERR_LOCKS_STOPPED", "these locks were stopped");
  signal?.throwIfAborted();
}

/** A store that is away may be back before the wait is over. */
function unlessFinal(error: unknown): undefined {
  if (!(error instanceof LockError && error.retryable)) throw error;
}
