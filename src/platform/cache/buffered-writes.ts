import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import { CacheError } from "./errors.ts";
import { overlayWaiting, type WriteBehind, type WriteBehindEvent } from "./write-behind.ts";
import type { Put } from "./write-through.ts";

/** How writes are buffered and applied. */
export interface BufferedWritesConfig<Value> {
  /** Of the cache. */
  readonly name: string;
  /** Applies writes of one tenant; batches of a tenant follow one another. May be called again with the same. */
  readonly sink: (tenantId: TenantId, puts: readonly Put<Value>[]) => Promise<void>;
  /** Keys that may wait; default 10,000. */
  readonly waitingMax?: number;
  /** What a write does that finds no room: waits for some, or is refused; default `wait`. */
  readonly whenFull?: "wait" | "refuse";
  /** Writes given to the sink at once; default 500. */
  readonly batchMax?: number;
  /** How long writes gather before they are applied, milliseconds; default 50. */
  readonly gatherMs?: number;
  /** Attempts after which a write is parked; default 10. */
  readonly attemptsMax?: number;
  /** Waits between attempts; default 100 ms doubling up to 30 s. */
  readonly backoff?: Backoff;
  /** Parked writes that are kept; the oldest goes first; default 1,000. */
  readonly parkedMax?: number;
  /** Longest `stop` tries to apply what waits, milliseconds; default 10,000. */
  readonly stopWithinMs?: number;
  readonly random?: Random;
  readonly onEvent?: (event: WriteBehindEvent) => void;
}

/** A write that was given up. */
export interface ParkedWrite<Value> extends Put<Value> {
  readonly tenantId: TenantId;
  readonly error: unknown;
}

interface Waiting<Value> extends Put<Value> {
  readonly attempts: number;
}

interface Lane<Value> {
  readonly waiting: Map<string, Waiting<Value>>;
  /** Being applied. */
  flying: ReadonlyMap<string, Waiting<Value>>;
  applying: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
}

interface Buffer<Value> {
  readonly config: BufferedWritesConfig<Value>;
  readonly lanes: Map<TenantId, Lane<Value>>;
  readonly parked: ParkedWrite<Value>[];
  readonly emit: (event: WriteBehindEvent) => void;
  keys: number;
  /** Callers that wait for room. */
  readonly queue: (() => void)[];
  isStopped: boolean;
}

/** Buffered writes of one cache. */
export interface BufferedWrites<Value> extends WriteBehind<Value> {
  /** Writes that were given up, the oldest first. */
  parked(): readonly ParkedWrite<Value>[];
}

/**
 * Acknowledges writes when they are in the memory of this process, and applies them soon after: fast,
 * and lost with the process. A stop applies what waits.
 */
export function createBufferedWrites<Value>(
  config: BufferedWritesConfig<Value>,
): BufferedWrites<Value> {
  const buffer: Buffer<Value> = {
    config,
    lanes: new Map(),
    parked: [],
    emit: config.onEvent ?? (() => {}),
    keys: 0,
    queue: [],
    isStopped: false,
  };
  const flush = async (): Promise<void> => {
    await Promise.all([...buffer.lanes.keys()].map((tenantId) => apply(buffer, tenantId)));
  };
  return {
    async write(tenantId, puts) {
      for (const put of puts) await admit(buffer, tenantId, put);
      return undefined;
    },
    overlay: (load) =>
      overlayWaiting(async (tenantId, keys) => {
        const lane = buffer.lanes.get(tenantId);
        const found = keys.flatMap((key) => lane?.waiting.get(key) ?? lane?.flying.get(key) ?? []);
        return new Map(found.map((put) => [put.key, put]));
      }, load),
    start() {},
    flush,
    parked: () => [...buffer.parked],
    async stop() {
      if (buffer.isStopped) return;
      buffer.isStopped = true;
      for (const wake of buffer.queue.splice(0)) wake();
      const untilMs = performance.now() + (config.stopWithinMs ?? 10_000);
      while (buffer.lanes.size > 0 && performance.now() < untilMs) {
        await flush();
        if (buffer.lanes.size > 0) await pause(10);
      }
      for (const { timer } of buffer.lanes.values()) clearTimeout(timer);
    },
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function admit<Value>(
  buffer: Buffer<Value>,
  tenantId: TenantId,
  put: Put<Value>,
): Promise<void> {
  const { name, waitingMax = 10_000, whenFull = "wait", gatherMs = 50 } = buffer.config;
  const isNew = () => !buffer.lanes.get(tenantId)?.waiting.has(put.key);
  while (!buffer.isStopped && buffer.keys >= waitingMax && isNew()) {
    if (whenFull === "refuse") {
      throw new CacheError("ERR_CACHE_WRITES_FULL", `${name}: ${waitingMax} writes wait already`);
    }
    await new Promise<void>((resolve) => buffer.queue.push(resolve));
  }
  if (buffer.isStopped) throw new CacheError("ERR_CACHE_WRITES_STOPPED", `${name} was stopped`);
  const lane = laneOf(buffer, tenantId);
  if (isNew()) buffer.keys++;
  lane.waiting.set(put.key, { ...put, attempts: 0 });
  schedule(buffer, tenantId, gatherMs);
}

function laneOf<Value>({ lanes }: Buffer<Value>, tenantId: TenantId): Lane<Value> {
  const known = lanes.get(tenantId);
  if (known) return known;
  const lane: Lane<Value> = {
    waiting: new Map(),
    flying: new Map(),
    applying: undefined,
    timer: undefined,
  };
  lanes.set(tenantId, lane);
  return lane;
}

function schedule<Value>(buffer: Buffer<Value>, tenantId: TenantId, ms: number): void {
  const lane = buffer.lanes.get(tenantId);
  if (!lane || lane.timer) return;
  lane.timer = setTimeout(() => void apply(buffer, tenantId), ms);
}

/** Applies what waits of a tenant now, in batches; what fails waits on. */
async function apply<Value>(buffer: Buffer<Value>, tenantId: TenantId): Promise<void> {
  const lane = buffer.lanes.get(tenantId);
  if (!lane) return;
  clearTimeout(lane.timer);
  lane.timer = undefined;
  lane.applying ??= applyLane(buffer, tenantId, lane).finally(() => {
    lane.applying = undefined;
    if (lane.waiting.size === 0) buffer.lanes.delete(tenantId);
    else schedule(buffer, tenantId, waitOf(buffer, lane));
  });
  await lane.applying;
}

/** How long what is left of a lane waits: new writes gather, failed ones are put off. */
function waitOf<Value>(buffer: Buffer<Value>, { waiting }: Lane<Value>): number {
  const { gatherMs = 50, backoff = { baseMs: 100, maxMs: 30_000 } } = buffer.config;
  const attempts = Math.min(...[...waiting.values()].map((write) => write.attempts));
  if (attempts === 0) return gatherMs;
  return fullJitter(backoff, attempts, buffer.config.random ?? Math.random);
}

async function applyLane<Value>(
  buffer: Buffer<Value>,
  tenantId: TenantId,
  lane: Lane<Value>,
): Promise<void> {
  const { batchMax = 500 } = buffer.config;
  // What comes in meanwhile is for the next time: a failing write must not turn in circles here.
  for (let left = lane.waiting.size; left > 0; left -= batchMax) {
    const batch = [...lane.waiting.values()].slice(0, Math.min(left, batchMax));
    lane.flying = new Map(batch.map((write) => [write.key, write]));
    for (const { key } of batch) lane.waiting.delete(key);
    const failed = await send(buffer, tenantId, batch);
    for (const { write, error } of failed) putOff(buffer, tenantId, lane, { write, error });
    lane.flying = new Map();
    buffer.keys = [...buffer.lanes.values()].reduce((sum, { waiting }) => sum + waiting.size, 0);
    for (const wake of buffer.queue.splice(0)) wake();
  }
}

interface FailedWrite<Value> {
  readonly write: Waiting<Value>;
  readonly error: unknown;
}

/** Gives a batch to the sink, and one by one what fails as a whole. @returns what failed alone */
async function send<Value>(
  buffer: Buffer<Value>,
  tenantId: TenantId,
  batch: readonly Waiting<Value>[],
): Promise<readonly FailedWrite<Value>[]> {
  const { name: cache, sink } = buffer.config;
  const puts = batch.map(({ key, value }) => ({ key, value }));
  try {
    await sink(tenantId, puts);
    buffer.emit({ kind: "applied", cache, tenantId, writes: batch.length });
    return [];
  } catch (error) {
    buffer.emit({ kind: "apply_failed", cache, tenantId, writes: batch.length, error });
    const [write] = batch;
    if (batch.length === 1 && write) return [{ write, error }];
  }
  const failed: FailedWrite<Value>[] = [];
  for (const write of batch) failed.push(...(await send(buffer, tenantId, [write])));
  return failed;
}

function putOff<Value>(
  buffer: Buffer<Value>,
  tenantId: TenantId,
  lane: Lane<Value>,
  { write, error }: FailedWrite<Value>,
): void {
  const { name: cache, attemptsMax = 10, parkedMax = 1_000 } = buffer.config;
  const attempts = write.attempts + 1;
  // A later write of the key is what counts.
  if (lane.waiting.has(write.key)) return;
  if (attempts < attemptsMax) {
    lane.waiting.set(write.key, { ...write, attempts });
    return;
  }
  buffer.parked.push({ tenantId, key: write.key, value: write.value, error });
  if (buffer.parked.length > parkedMax) buffer.parked.shift();
  buffer.emit({ kind: "parked", cache, tenantId, key: write.key, error });
}
