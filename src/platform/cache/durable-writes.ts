import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { type Codec, jsonCodec } from "./envelope.ts";
import { CacheError } from "./errors.ts";
import { overlayWaiting, type WriteBehind, type WriteBehindEvent } from "./write-behind.ts";
import {
  claimWrites,
  countWaiting,
  findWaiting,
  markApplied,
  markFailed,
  saveWrites,
  setSinkTimeout,
  tenantsDue,
  type WaitingWrite,
} from "./write-table.ts";
import type { Put } from "./write-through.ts";

/** A write as it reaches its sink. */
export interface DurableWrite<Value> {
  readonly key: string;
  /** Nothing: does not exist any more. */
  readonly value: Value | undefined;
  /** Grows with every write of the key: a sink outside this database compares it to refuse older ones. */
  readonly revision: number;
}

/**
 * Applies writes of one tenant. What it writes by `tx` is applied exactly once; what it does elsewhere
 * may be done again after a crash, within `sinkTimeoutMs`.
 */
export type DurableSink<Value> = (
  tx: TenantTx,
  writes: readonly DurableWrite<Value>[],
) => Promise<void>;

/** How durable writes are kept and applied. */
export interface DurableWritesConfig<Value> {
  readonly db: Db;
  /** Of the cache: who applies its writes has the same. */
  readonly name: string;
  readonly sink: DurableSink<Value>;
  readonly codec?: Codec<Value>;
  /** Databases looked through for writes; default `home`. */
  readonly databases?: () => readonly string[];
  /** Writes given to the sink at once; default 500. */
  readonly batchMax?: number;
  /** How long writes gather before they are applied, milliseconds; default 50. */
  readonly gatherMs?: number;
  /** Longest time between two looks for writes of other processes, milliseconds; default 1,000. */
  readonly pollMs?: number;
  /** Longest the sink may be silent towards the database, milliseconds; default 10,000. */
  readonly sinkTimeoutMs?: number;
  /** Attempts after which a write is parked; default 10. */
  readonly attemptsMax?: number;
  /** Waits between attempts; default 1 s doubling up to 5 min. */
  readonly backoff?: Backoff;
  /** Writes that may wait; more are refused, as far as was counted at the last look; default 100,000. */
  readonly waitingMax?: number;
  readonly random?: Random;
  readonly onEvent?: (event: WriteBehindEvent) => void;
}

interface Queue<Value> {
  readonly config: DurableWritesConfig<Value>;
  readonly codec: Codec<Value>;
  readonly emit: (event: WriteBehindEvent) => void;
  isFull: boolean;
  isStopped: boolean;
}

/** Durable writes of one cache. */
export interface DurableWrites<Value> extends WriteBehind<Value> {
  /** Acknowledges writes with the transaction they are part of. @throws CacheError ERR_CACHE_WRITES_FULL */
  writeIn(tx: TenantTx, puts: readonly Put<Value>[]): void;
}

/**
 * Acknowledges a write when it is durable in the database of its tenant, and has whichever process
 * comes first apply it: in order per key, at least once. A crash loses nothing.
 */
export function createDurableWrites<Value>(
  config: DurableWritesConfig<Value>,
): DurableWrites<Value> {
  const { db, name, gatherMs = 50, pollMs = 1_000, onEvent = () => {} } = config;
  const codec = config.codec ?? (jsonCodec as Codec<Value>);
  const queue: Queue<Value> = { config, codec, emit: onEvent, isFull: false, isStopped: true };
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    running ??= applyDue(queue).finally(() => {
      running = undefined;
      schedule(pollMs);
    });
    await running;
  };
  const schedule = (ms: number) => {
    clearTimeout(timer);
    if (queue.isStopped) return;
    timer = setTimeout(() => void run(), ms);
    timer.unref();
  };
  const writeIn = (tx: TenantTx, puts: readonly Put<Value>[]) => {
    if (queue.isFull)
      throw new CacheError("ERR_CACHE_WRITES_FULL", `${name}: too many writes wait`);
    const last = new Map(puts.map(({ key, value }) => [key, value]));
    const rows = [...last].map(([key, value]) => ({
      key,
      value: value === undefined ? null : codec.encode(value),
    }));
    saveWrites(tx, name, rows);
    tx.afterCommit(() => {
      if (!running) schedule(gatherMs);
    });
  };
  return {
    writeIn,
    async write(tenantId, puts) {
      await db.commit(tenantId, async (tx) => writeIn(tx, puts), { name: "cache.write_behind" });
      return undefined;
    },
    overlay: (load) =>
      overlayWaiting(async (tenantId, keys) => {
        const rows = await db.read(tenantId, (tx) => findWaiting(tx, name, keys));
        return new Map(rows.map((row) => [row.key, { key: row.key, value: decoded(queue, row) }]));
      }, load),
    start() {
      if (!queue.isStopped) return;
      queue.isStopped = false;
      schedule(0);
    },
    flush: run,
    async stop() {
      queue.isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

function decoded<Value>({ codec }: Queue<Value>, { value }: WaitingWrite): Value | undefined {
  return value === null ? undefined : codec.decode(value);
}

/** Applies everything that is due, of all tenants. */
async function applyDue<Value>(queue: Queue<Value>): Promise<void> {
  const { db, name, databases = () => ["home"], waitingMax = 100_000 } = queue.config;
  let waiting = 0;
  for (const database of databases()) {
    try {
      let applied: number;
      do {
        const tenants = await db.platform(database, (tx) => tenantsDue(tx, name));
        applied = 0;
        for (const tenantId of tenants) applied += await tryTenant(queue, tenantId);
        // With nothing applied, others are at work on the rest.
      } while (applied > 0);
      waiting += await db.platform(database, (tx) => countWaiting(tx, name, waitingMax));
    } catch (error) {
      queue.emit({ kind: "look_failed", cache: name, error });
    }
  }
  queue.isFull = waiting >= waitingMax;
}

/** Applies what is due of one tenant; one that cannot be reached holds up no other. @returns how many */
async function tryTenant<Value>(queue: Queue<Value>, tenantId: TenantId): Promise<number> {
  try {
    return await applyTenant(queue, tenantId);
  } catch (error) {
    queue.emit({ kind: "look_failed", cache: queue.config.name, error });
    return 0;
  }
}

/** Applies what is due of one tenant, in batches. @returns how many writes */
async function applyTenant<Value>(queue: Queue<Value>, tenantId: TenantId): Promise<number> {
  const { batchMax = 500 } = queue.config;
  let applied = 0;
  for (;;) {
    const outcome = await applyBatch(queue, tenantId, { max: batchMax, keys: undefined });
    applied += outcome.applied;
    // One bad write must not hold up the others: each on its own, the bad one waits or is parked.
    if (outcome.error) {
      for (const write of outcome.writes) {
        const alone = await applyBatch(queue, tenantId, { max: 1, keys: [write.key] });
        applied += alone.applied;
        if (alone.error) await putOff(queue, tenantId, alone.writes, alone.error);
      }
    }
    if (outcome.writes.length < batchMax) return applied;
  }
}

interface Outcome {
  readonly writes: readonly WaitingWrite[];
  readonly applied: number;
  readonly error: unknown;
}

async function applyBatch<Value>(
  queue: Queue<Value>,
  tenantId: TenantId,
  which: { readonly max: number; readonly keys: readonly string[] | undefined },
): Promise<Outcome> {
  const { db, name, sink, sinkTimeoutMs = 10_000 } = queue.config;
  let writes: readonly WaitingWrite[] = [];
  const work = async (tx: TenantTx) => {
    writes = [];
    setSinkTimeout(tx, sinkTimeoutMs);
    writes = await claimWrites(tx, name, which);
    if (writes.length === 0) return;
    const given = writes.map((row) => ({ ...row, value: decoded(queue, row) }));
    await sink(tx, given);
    markApplied(tx, name, writes);
  };
  try {
    await db.commit(tenantId, work, { name: "cache.apply", attemptsMax: 1 });
    if (writes.length > 0) {
      queue.emit({ kind: "applied", cache: name, tenantId, writes: writes.length });
    }
    return { writes, applied: writes.length, error: undefined };
  } catch (error) {
    queue.emit({ kind: "apply_failed", cache: name, tenantId, writes: writes.length, error });
    if (writes.length === 0) throw error;
    return { writes, applied: 0, error };
  }
}

/** Has a write wait for its next attempt, or parks it. */
async function putOff<Value>(
  queue: Queue<Value>,
  tenantId: TenantId,
  writes: readonly WaitingWrite[],
  error: unknown,
): Promise<void> {
  const { db, name, attemptsMax = 10, random = Math.random } = queue.config;
  const { backoff = { baseMs: 1_000, maxMs: 300_000 } } = queue.config;
  for (const write of writes) {
    const isLast = write.attempts + 1 >= attemptsMax;
    const waitMs = isLast ? undefined : fullJitter(backoff, write.attempts, random);
    await db.commit(tenantId, (tx) => markFailed(tx, name, write, { error, waitMs }), {
      name: "cache.put_off",
    });
    if (isLast) queue.emit({ kind: "parked", cache: name, tenantId, key: write.key, error });
  }
}
