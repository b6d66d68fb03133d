import { assert } from "../../kernel/assert.ts";

/** How a coalescer batches, and what it runs. */
export interface CoalescerConfig<Item, Value> {
  /** Label in metrics and errors: `orders.place`. */
  readonly name: string;
  /** Items in one batch at most. */
  readonly batchMax: number;
  /** Batches in flight at once per key. */
  readonly inFlightMax: number;
  /** Callers that must wait before a batch starts beside another of its key; default 1. */
  readonly besideMin?: number;
  /**
   * Into how many batches those who wait are divided, two in each at least; default 1. For round trips
   * that cost so little that small batches in flight together beat a large one.
   */
  readonly divideInto?: number;
  /** Callers that may wait per key; the next one is refused with ERR_COALESCER_FULL. */
  readonly waitingMax: number;
  /**
   * Does one batch of one key. Resolves with one value per item, in order; the values say who was
   * refused. A rejection means that nothing of the batch was kept.
   */
  readonly run: (key: string, items: readonly Item[]) => Promise<readonly Value[]>;
  /** Whether a failed batch may be split and its members run one by one; default: always. */
  readonly isSplittable?: (error: unknown) => boolean;
  readonly onBatch?: (report: BatchReport) => void;
}

/** What one batch did, for observers. */
export interface BatchReport {
  readonly name: string;
  readonly size: number;
  readonly elapsedMs: number;
  readonly failed: boolean;
}

/** Refuses a caller because too many already wait. */
export class CoalescerFullError extends Error {
  override readonly name = "CoalescerFullError";
  readonly code = "ERR_COALESCER_FULL";
  readonly retryable = true;
}

/** Turns concurrent single calls into batches. */
export interface Coalescer<Item, Value> {
  /**
   * Adds one item to the next batch of its key.
   *
   * @throws CoalescerFullError when waitingMax callers wait; or what `run` threw for this item alone
   */
  submit(key: string, item: Item): Promise<Value>;
  /** Callers waiting or in flight, over all keys. */
  depth(): number;
}

interface Waiter<Item, Value> {
  readonly item: Item;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane<Item, Value> {
  waiting: Waiter<Item, Value>[];
  inFlight: number;
  scheduled: boolean;
}

/**
 * Makes a coalescer. While a batch of a key is in flight, callers of that key gather; when it is
 * done they are the next batch. An idle key starts at once: there is no timer, the database's own
 * latency sets the batch size.
 */
export function createCoalescer<Item, Value>(
  config: CoalescerConfig<Item, Value>,
): Coalescer<Item, Value> {
  assert(config.batchMax > 0 && config.inFlightMax > 0, "a coalescer's limits are positive");
  const { besideMin = 1 } = config;
  const lanes = new Map<string, Lane<Item, Value>>();
  let depth = 0;

  const mayStart = ({ inFlight, waiting }: Lane<Item, Value>): boolean =>
    inFlight === 0
      ? waiting.length > 0
      : inFlight < config.inFlightMax && waiting.length >= besideMin;

  const pump = (key: string, lane: Lane<Item, Value>): void => {
    lane.scheduled = false;
    if (lane.waiting.length === 0 && lane.inFlight === 0) lanes.delete(key);
    while (mayStart(lane)) {
      const batch = lane.waiting.splice(0, batchSize(config, lane));
      lane.inFlight++;
      void runBatch(config, key, batch).finally(() => {
        lane.inFlight--;
        depth -= batch.length;
        if (lane.scheduled) return;
        // The callers just answered may come again at once: they join the next batch instead of
        // splitting into two half-full ones (closed loop of 256: batches of 250 instead of 60).
        lane.scheduled = true;
        setImmediate(pump, key, lane);
      });
    }
  };

  return {
    submit(key, item) {
      let lane = lanes.get(key);
      if (!lane) {
        lane = { waiting: [], inFlight: 0, scheduled: false };
        lanes.set(key, lane);
      }
      if (lane.waiting.length >= config.waitingMax) {
        const message = `${config.name}: ${config.waitingMax} callers wait already; try again shortly`;
        return Promise.reject(new CoalescerFullError(message));
      }
      depth++;
      const joined = lane;
      return new Promise<Value>((resolve, reject) => {
        joined.waiting.push({ item, resolve, reject });
        if (joined.scheduled || !mayStart(joined)) return;
        joined.scheduled = true;
        // Behind the current I/O turn: callers woken by the same packet share the first batch.
        setImmediate(pump, key, joined);
      });
    },
    depth: () => depth,
  };
}

/** Those who wait, divided over the batches that may start still: a last slot takes all that are left. */
function batchSize<Item, Value>(
  { batchMax, divideInto = 1, inFlightMax }: CoalescerConfig<Item, Value>,
  { waiting, inFlight }: Lane<Item, Value>,
): number {
  const into = Math.min(divideInto, inFlightMax - inFlight);
  return Math.min(batchMax, Math.max(2, Math.ceil(waiting.length / into)));
}

async function runBatch<Item, Value>(
  config: CoalescerConfig<Item, Value>,
  key: string,
  batch: readonly Waiter<Item, Value>[],
): Promise<void> {
  const startedAt = performance.now();
  const report = (failed: boolean) => {
    const elapsedMs = performance.now() - startedAt;
    config.onBatch?.({ name: config.name, size: batch.length, elapsedMs, failed });
  };
  try {
    const values = await config.run(
      key,
      batch.map((waiter) => waiter.item),
    );
    assert(values.length === batch.length, `${config.name}: one value per item`);
    report(false);
    for (const [index, waiter] of batch.entries()) waiter.resolve(values[index] as Value);
  } catch (error) {
    report(true);
    if (batch.length === 1 || config.isSplittable?.(error) === false) {
      for (const waiter of batch) waiter.reject(error);
    } else {
      for (const waiter of batch) await runBatch(config, key, [waiter]);
    }
  }
}
