import { setTimeout } from "node:timers/promises";
import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import { poke } from "../wakeup/poke.ts";
import { type HeldPartition, type Holder, isLeaseLost } from "./cursors.ts";
import type { ParkedEvent } from "./dead-letters.ts";
import { deliverExternal } from "./deliver-external.ts";
import { deliverTransactional } from "./deliver-transactional.ts";
import type { Delivery, DeliveryDeps } from "./delivery.ts";
import { type RecordedEvent, readersTopic } from "./event.ts";
import { createGate, type Gate } from "./gate.ts";
import { createHoldings, type Holdings } from "./holdings.ts";
import { type EventLog, isBefore, type LogState } from "./log.ts";
import { replayLetters } from "./replay-letters.ts";
import { LeaseLostError, type Subscription, type SubscriptionEvent } from "./subscription.ts";

/** What running one subscription over one database needs. */
export interface RunnerDeps {
  readonly holder: Holder;
  readonly log: EventLog;
  readonly subscription: Subscription;
  readonly registry: DeliveryDeps["registry"];
  readonly random: DeliveryDeps["random"];
  readonly onEvent: (event: SubscriptionEvent) => void;
  /** Asks for a heartbeat soon, because a lease was lost. */
  readonly onLeaseLost: () => void;
}

/** One subscription over one database, in this process. */
export interface Runner {
  readonly subscription: Subscription;
  /** What it holds and how far it is; what is idle is saved with the heartbeat. */
  held(): readonly HeldPartition[];
  /** Takes over what the database says this node holds, and its fair share of partitions. */
  reconcile(held: readonly HeldPartition[], share: number): void;
  /** Looks at the log now, or right after what it does now. */
  wake(): void;
  /** Resolves when the batch in work is done; may be called twice. */
  stop(): Promise<void>;
}

const batchDefaults = { transactional: 1_000, external: 100 } as const;
const bytesDefault = 4 * 1024 * 1024;
const failureBackoff: Backoff = { baseMs: 50, maxMs: 5_000 };
/** Rest after a delivery where the subscription names none: a part of its time, and at most so long. */
const restDefaults = { factor: 2, maxMs: 40 } as const;
/** How soon to look again at events that a transaction still running holds back. */
const heldBackMs = { first: 2, max: 64 } as const;

/** Runs the loop of a runner, and what it reads and writes. */
interface Work extends RunnerDeps {
  readonly holdings: Holdings;
  readonly delivery: DeliveryDeps;
  readonly gate: Gate;
  readonly stopping: AbortSignal;
}

/** Starts a runner; it does nothing before it holds a partition. */
export function createRunner(deps: RunnerDeps): Runner {
  const { subscription, log, holder, onEvent } = deps;
  const holdings = createHoldings(holder, subscription.name);
  const gate = createGate();
  const stop = new AbortController();
  const label = { subscription: subscription.name, database: log.database };
  const delivery: DeliveryDeps = {
    db: holder.db,
    database: log.database,
    node: holder.node,
    subscription,
    registry: deps.registry,
    random: deps.random,
    parked: holdings.parked,
    streak: { parked: 0 },
    onParked: (letter) => onEvent({ ...label, kind: "parked", ...describe(letter) }),
  };
  const done = runLoop({ ...deps, holdings, delivery, gate, stopping: stop.signal });
  return {
    subscription,
    held: holdings.list,
    reconcile(rows, share) {
      if (holdings.reconcile(rows, share)) reportLease(deps, holdings);
      gate.open();
    },
    wake: gate.open,
    async stop() {
      stop.abort();
      gate.open();
      await done;
    },
  };
}

async function runLoop(work: Work): Promise<void> {
  const { holdings, gate, stopping, random, onEvent } = work;
  const label = { subscription: work.subscription.name, database: work.log.database };
  let failures = 0;
  let held = 0;
  for (;;) {
    await gate.passed();
    if (stopping.aborted) return;
    try {
      const startedAt = performance.now();
      const { isHeldBack, hasDelivered } = await drain(work);
      failures = 0;
      if (hasDelivered) await pause(restOf(work.subscription, startedAt), stopping);
      held = isHeldBack ? held + 1 : 0;
      if (isHeldBack) gate.openIn(Math.min(heldBackMs.first * 2 ** (held - 1), heldBackMs.max));
    } catch (error) {
      holdings.distrust();
      if (error instanceof LeaseLostError || isLeaseLost(error)) work.onLeaseLost();
      else onEvent({ ...label, kind: "failed", error });
      gate.openIn(fullJitter(failureBackoff, failures++, random));
    }
  }
}

interface Drained {
  /** A running transaction holds more back. */
  readonly isHeldBack: boolean;
  readonly hasDelivered: boolean;
}

const nothing: Drained = { isHeldBack: false, hasDelivered: false };

/** Handles what there is. */
async function drain(work: Work): Promise<Drained> {
  const { holdings, log, subscription } = work;
  if (await holdings.refresh()) {
    reportLease(work, holdings);
    // Nobody reads what was given back until somebody claims it.
    poke(readersTopic);
  }
  if (holdings.list().length === 0) return nothing;
  const state = await log.look();
  if (state.paused.has(subscription.name)) return nothing;
  if (state.released.has(subscription.name)) await replayLetters(work.delivery, holdings.list());
  const news = withNews(holdings.list(), state);
  const hasDelivered = news.length > 0 && (await consume(work, news, state.watermark));
  return { isHeldBack: isHeldBack(holdings.list(), state), hasDelivered };
}

/**
 * An idle log is read at once, a busy one in fewer, larger batches: readers that never rested took a
 * third of a machine that buyers need.
 */
function restOf({ restMs }: Subscription, startedAt: number): number {
  const { factor, maxMs } = restDefaults;
  return restMs ?? Math.min(factor * (performance.now() - startedAt), maxMs);
}

/** Ends early when the runner stops. */
async function pause(ms: number, stopping: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal: stopping, ref: false }).catch(() => {});
}

/** Reads and hands over batch after batch up to the watermark. @returns whether there were events */
async function consume(
  work: Work,
  from: readonly HeldPartition[],
  watermark: number,
): Promise<boolean> {
  const { subscription, log, stopping } = work;
  const read = (places: readonly HeldPartition[]) =>
    log.read({
      after: new Map(places.map((place) => [place.partition, place])),
      watermark,
      types: subscription.types,
      eventsMax: subscription.batchMax ?? batchDefaults[subscription.mode],
      bytesMax: subscription.bytesMax ?? bytesDefault,
    });
  let places = from;
  let reading = read(places);
  let hasDelivered = false;
  for (;;) {
    const { events, reached, more } = await reading;
    hasDelivered ||= events.length > 0;
    const checkpoint = places.map((place) => ({ ...place, ...reached.get(place.partition) }));
    places = checkpoint.filter((place) => place.horizon < watermark);
    const goOn = more && !stopping.aborted;
    // Read the next batch while this one is handled: the two use different connections.
    if (goOn) reading = read(places);
    if (goOn) reading.catch(() => {});
    await deliver(work, { events, checkpoint });
    if (!goOn) return hasDelivered;
  }
}

async function deliver(work: Work, batch: Delivery): Promise<void> {
  const { delivery, subscription, holdings, onEvent, log } = work;
  const { events, checkpoint } = batch;
  if (events.length > 0) {
    const startedAt = performance.now();
    const lagMs = Date.now() - oldest(events);
    if (subscription.mode === "external") {
      await deliverExternal({ ...delivery, subscription }, batch);
    } else {
      await deliverTransactional({ ...delivery, subscription }, batch);
    }
    const elapsedMs = performance.now() - startedAt;
    const label = { subscription: subscription.name, database: log.database };
    onEvent({ ...label, kind: "batch", events: events.length, elapsedMs, lagMs });
  }
  holdings.moveTo(checkpoint);
}

/** Partitions with something to read below the watermark. */
function withNews(held: readonly HeldPartition[], state: LogState): HeldPartition[] {
  return held.filter((place) => {
    const head = state.heads[place.partition];
    return head !== undefined && place.horizon < state.watermark && isBefore(place, head);
  });
}

/** Whether events are there that may not be read yet. */
function isHeldBack(held: readonly HeldPartition[], state: LogState): boolean {
  return held.some(({ partition }) => {
    const head = state.heads[partition];
    return head !== undefined && head.horizon >= state.watermark;
  });
}

function oldest(events: readonly RecordedEvent[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const event of events) least = Math.min(least, event.recordedAt.getTime());
  return least;
}

function describe({ event, attempts, error }: ParkedEvent) {
  return { eventId: event.id, type: event.type, attempts, error };
}

function reportLease({ subscription, log, onEvent }: RunnerDeps, holdings: Holdings): void {
  const label = { subscription: subscription.name, database: log.database };
  const partitions = holdings.list().map(({ partition }) => partition);
  onEvent({ ...label, kind: "lease", partitions });
}
