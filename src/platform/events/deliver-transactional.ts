import type { TenantId } from "../../kernel/ids.ts";
import { advance, type HeldPartition } from "./cursors.ts";
import { forgetLetters, park } from "./dead-letters.ts";
import {
  attemptsMaxOf,
  checkpointAt,
  type Delivery,
  type DeliveryDeps,
  isPoison,
  mustWait,
  parkAndAdvance,
  poisonPause,
  upcastAll,
  waiting,
} from "./delivery.ts";
import type { RecordedEvent } from "./event.ts";
import type { TransactionalSubscription } from "./subscription.ts";

/** Dependencies of a subscription whose effects are in the database. */
export interface TransactionalDeps extends DeliveryDeps {
  readonly subscription: TransactionalSubscription;
}

/**
 * Hands events to a transactional subscription: the effects of a batch, its letters and its cursor
 * are one commit. A batch that fails is halved until the event to blame stands alone: 10 failures
 * find one among 1,000, and the others take effect meanwhile.
 *
 * @throws DbError, LeaseLostError when the platform is to blame; nothing past the cursor was kept
 */
export async function deliverTransactional(
  deps: TransactionalDeps,
  { events, checkpoint }: Delivery,
): Promise<void> {
  try {
    await commit(deps, { events, checkpoint });
  } catch (error) {
    if (!isPoison(error)) throw error;
    const [only, ...others] = events;
    if (only && others.length === 0) return tryAgain(deps, only, { checkpoint, error });
    const first = events.slice(0, events.length >> 1);
    const rest = events.slice(first.length);
    await deliverTransactional(deps, {
      events: first,
      checkpoint: checkpointAt(first, checkpoint),
    });
    await deliverTransactional(deps, { events: rest, checkpoint });
  }
}

async function tryAgain(
  deps: TransactionalDeps,
  event: RecordedEvent,
  first: { readonly checkpoint: readonly HeldPartition[]; readonly error: unknown },
): Promise<void> {
  const attemptsMax = attemptsMaxOf(deps.subscription);
  let { error } = first;
  let attempts = 1;
  for (; attempts < attemptsMax; attempts++) {
    await poisonPause(deps, attempts);
    try {
      return await commit(deps, { events: [event], checkpoint: first.checkpoint });
    } catch (again) {
      if (!isPoison(again)) throw again;
      error = again;
    }
  }
  await parkAndAdvance(deps, [{ event, state: "dead", attempts, error }], first.checkpoint);
}

async function commit(deps: TransactionalDeps, { events, checkpoint }: Delivery): Promise<void> {
  const { db, database, node, subscription } = deps;
  await db.worker(
    database,
    async (tx) => {
      for (const [tenantId, group] of byTenant(events)) {
        const tenantTx = await tx.enter(tenantId);
        const free = group.filter((event) => !mustWait(deps, event));
        if (free.length > 0) await subscription.handle(tenantTx, upcastAll(deps, free));
        if (free.length === group.length) continue;
        const held = group.filter((event) => mustWait(deps, event));
        park(tenantTx, subscription.name, held.map(waiting));
      }
      advance(tx, node, checkpoint);
    },
    { name: `subscription ${subscription.name}` },
  );
  deps.streak.parked = 0;
}

/** Handles one released letter again: its effects, its removal and the lease check are one commit. */
export async function redeliverTransactional(
  deps: TransactionalDeps,
  event: RecordedEvent,
  lease: readonly HeldPartition[],
): Promise<void> {
  const { db, database, node, subscription } = deps;
  await db.worker(
    database,
    async (tx) => {
      const tenantTx = await tx.enter(event.tenantId);
      await subscription.handle(tenantTx, upcastAll(deps, [event]));
      const letter = { tenantId: event.tenantId, eventId: event.id };
      forgetLetters(tenantTx, subscription.name, [letter]);
      advance(tx, node, lease);
    },
    { name: `subscription ${subscription.name}` },
  );
}

/** Events by tenant, each tenant's in log order. */
function byTenant(events: readonly RecordedEvent[]): Map<TenantId, RecordedEvent[]> {
  const groups = new Map<TenantId, RecordedEvent[]>();
  for (const event of events) {
    const group = groups.get(event.tenantId);
    if (group) group.push(event);
    else groups.set(event.tenantId, [event]);
  }
  return groups;
}
