import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { DbError, type DbErrorCode } from "../db/errors.ts";
import { advance, type HeldPartition, isLeaseLost } from "./cursors.ts";
import { type ParkedEvent, park, streamKey } from "./dead-letters.ts";
import { type EventRegistry, UnknownEventVersionError } from "./definition.ts";
import type { LogPlace, RecordedEvent } from "./event.ts";
import { LeaseLostError, type Subscription, SubscriptionStalledError } from "./subscription.ts";

/** What handing events over needs. */
export interface DeliveryDeps {
  readonly db: Db;
  readonly database: string;
  readonly node: string;
  readonly subscription: Subscription;
  readonly registry: EventRegistry | undefined;
  readonly random: Random;
  /** Streams whose later events wait behind a parked one, by stream key. Changed in place. */
  readonly parked: Map<string, number>;
  readonly onParked: (parked: ParkedEvent) => void;
  /** Events parked since the last success. Changed in place. */
  readonly streak: { parked: number };
}

/** Events to hand over, and where the cursor stands after them. */
export interface Delivery {
  /** In log order. */
  readonly events: readonly RecordedEvent[];
  readonly checkpoint: readonly HeldPartition[];
}

/** Waits between tries of one event: short, because the partition's other events wait meanwhile. */
const poisonBackoff: Backoff = { baseMs: 50, maxMs: 200 };

const attemptsDefault = 3;

/** Times an event is tried before it is parked. */
export function attemptsMaxOf(subscription: Subscription): number {
  return subscription.attemptsMax ?? attemptsDefault;
}

/** Pause before trying an event again. */
export function poisonPause({ random }: Pick<DeliveryDeps, "random">, failed: number) {
  const waitMs = fullJitter(poisonBackoff, failed - 1, random);
  return new Promise<void>((resolve) => setTimeout(resolve, waitMs));
}

const transient: ReadonlySet<DbErrorCode> = new Set<DbErrorCode>([
  "ERR_DB_UNAVAILABLE",
  "ERR_DB_POOL_EXHAUSTED",
  "ERR_DB_SERIALIZATION",
  "ERR_DB_DEADLOCK",
  "ERR_DB_COMMIT_UNKNOWN",
]);

/** Whether an event is to blame. When the platform is, the batch as a whole is tried again later. */
export function isPoison(error: unknown): boolean {
  if (error instanceof LeaseLostError || isLeaseLost(error)) return false;
  if (error instanceof UnknownEventVersionError) return false;
  if (error instanceof SubscriptionStalledError) return false;
  return !(error instanceof DbError && transient.has(error.code));
}

/** Brings events up to their types' current versions. */
export function upcastAll(
  { registry }: Pick<DeliveryDeps, "registry">,
  events: readonly RecordedEvent[],
): readonly RecordedEvent[] {
  return registry ? events.map((event) => registry.upcast(event)) : events;
}

/** Whether an event has to wait behind a parked one of its stream. */
export function mustWait({ parked, subscription }: DeliveryDeps, event: RecordedEvent): boolean {
  if (parked.size === 0 || subscription.afterPoison === "continue") return false;
  return parked.has(streamKey(event));
}

/** An event that waits. */
export function waiting(event: RecordedEvent): ParkedEvent {
  return { event, state: "waiting", attempts: 0 };
}

/** Parks events and moves the cursor past them, in one commit. */
export async function parkAndAdvance(
  deps: DeliveryDeps,
  parked: readonly ParkedEvent[],
  checkpoint: readonly HeldPartition[],
): Promise<void> {
  const { db, database, node, subscription } = deps;
  countStreak(deps, parked);
  await db.platform(
    database,
    async (tx) => {
      park(tx, subscription.name, parked);
      advance(tx, node, checkpoint);
    },
    { name: "events.park" },
  );
  for (const letter of parked) {
    if (letter.state !== "dead") continue;
    deps.parked.set(streamKey(letter.event), letter.event.partition);
    deps.onParked(letter);
  }
}

const parkedInRowDefault = 100;

function countStreak({ streak, subscription }: DeliveryDeps, parked: readonly ParkedEvent[]): void {
  const dead = parked.filter(({ state }) => state === "dead");
  if (dead.length === 0) return;
  if (streak.parked >= (subscription.parkedInRowMax ?? parkedInRowDefault)) {
    const message = `${subscription.name}: ${streak.parked} events in a row failed`;
    throw new SubscriptionStalledError(message, { cause: dead[0]?.error });
  }
  streak.parked += dead.length;
}

/** The part of a checkpoint that a prefix of its events has reached. */
export function checkpointAt(
  events: readonly RecordedEvent[],
  checkpoint: readonly HeldPartition[],
): HeldPartition[] {
  const last = new Map<number, LogPlace>();
  for (const event of events) last.set(event.partition, event);
  return checkpoint.flatMap((held) => {
    const place = last.get(held.partition);
    return place ? [{ ...held, horizon: place.horizon, position: place.position }] : [];
  });
}
