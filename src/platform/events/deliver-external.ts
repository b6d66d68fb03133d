import type { Context } from "../../kernel/context.ts";
import { advance, type HeldPartition } from "./cursors.ts";
import { forgetLetters, type ParkedEvent, streamKey } from "./dead-letters.ts";
import {
  attemptsMaxOf,
  type Delivery,
  type DeliveryDeps,
  isPoison,
  mustWait,
  parkAndAdvance,
  poisonPause,
  upcastAll,
  waiting,
} from "./delivery.ts";
import { originOf, type RecordedEvent } from "./event.ts";
import type { ExternalSubscription } from "./subscription.ts";

/** Dependencies of a subscription whose effects are elsewhere. */
export interface ExternalDeps extends DeliveryDeps {
  readonly subscription: ExternalSubscription;
}

const concurrencyDefault = 8;
const timeoutDefaultMs = 10_000;

/**
 * Hands events to an external subscription: streams side by side, the events of one stream one after
 * the other; the cursor moves when all have been handled or parked. After a crash those since the
 * last cursor come again, with the same ids.
 *
 * @throws DbError, LeaseLostError when the platform is to blame
 */
export async function deliverExternal(
  deps: ExternalDeps,
  { events, checkpoint }: Delivery,
): Promise<void> {
  const parked: ParkedEvent[] = [];
  const streams = [...byStream(events).values()];
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    for (let stream = streams.shift(); stream && !failure; stream = streams.shift()) {
      try {
        parked.push(...(await deliverStream(deps, stream)));
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  const lanes = Math.min(deps.subscription.concurrency ?? concurrencyDefault, streams.length);
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failure) throw failure.error;
  if (parked.length < events.length) deps.streak.parked = 0;
  await parkAndAdvance(deps, parked, checkpoint);
}

async function deliverStream(
  deps: ExternalDeps,
  events: readonly RecordedEvent[],
): Promise<ParkedEvent[]> {
  const parked: ParkedEvent[] = [];
  const holds = deps.subscription.afterPoison !== "continue";
  for (const event of events) {
    if (mustWait(deps, event) || (holds && parked.length > 0)) {
      parked.push(waiting(event));
      continue;
    }
    const letter = await tryEvent(deps, event);
    if (letter) parked.push(letter);
  }
  return parked;
}

/** Tries an event until it is handled or out of attempts. */
async function tryEvent(
  deps: ExternalDeps,
  event: RecordedEvent,
): Promise<ParkedEvent | undefined> {
  const attemptsMax = attemptsMaxOf(deps.subscription);
  for (let attempts = 1; ; attempts++) {
    try {
      await handleOnce(deps, event);
      return undefined;
    } catch (error) {
      if (!isPoison(error)) throw error;
      if (attempts >= attemptsMax) return { event, state: "dead", attempts, error };
    }
    await poisonPause(deps, attempts);
  }
}

async function handleOnce(deps: ExternalDeps, event: RecordedEvent): Promise<void> {
  const [current] = upcastAll(deps, [event]);
  if (!current) return;
  const timeoutMs = deps.subscription.timeoutMs ?? timeoutDefaultMs;
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const origin = originOf(event);
  const ctx: Context = {
    tenantId: event.tenantId,
    actor: origin.actor,
    requestId: origin.requestId,
    ...(origin.traceparent ? { traceparent: origin.traceparent } : {}),
    signal,
  };
  await Promise.race([deps.subscription.handle(ctx, current), late]);
}

/** Handles one released letter again, then removes it. */
export async function redeliverExternal(
  deps: ExternalDeps,
  event: RecordedEvent,
  lease: readonly HeldPartition[],
): Promise<void> {
  await handleOnce(deps, event);
  await deps.db.platform(deps.database, async (tx) => {
    const letter = { tenantId: event.tenantId, eventId: event.id };
    forgetLetters(tx, deps.subscription.name, [letter]);
    advance(tx, deps.node, lease);
  });
}

function byStream(events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> {
  const groups = new Map<string, RecordedEvent[]>();
  for (const event of events) {
    const key = streamKey(event);
    const group = groups.get(key);
    if (group) group.push(event);
    else groups.set(key, [event]);
  }
  return groups;
}
