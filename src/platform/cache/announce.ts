import { assert } from "../../kernel/assert.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { RecordedEvent } from "../events/event.ts";
import type { TransactionalSubscription } from "../events/subscription.ts";
import { poke } from "../wakeup/poke.ts";
import type { Invalidation } from "./invalidation.ts";

/** Poked when invalidations were committed, for a `Wakeup`. */
export const invalidationsTopic = "invalidations";

/** Keys and tags of one invalidation at most: a tag says the same of any number of keys. */
const namesMax = 1_000;

const gathered = new WeakMap<Tx, Invalidation[]>();

/**
 * Tells the caches of all nodes what is not true any more, in the transaction that changes it: they
 * hear of it if and only if it commits, right after. All that one transaction announces goes out as
 * one statement, with COMMIT. Work for a tenant may announce what is that tenant's.
 */
export function announceInvalidations(tx: Tx, invalidations: readonly Invalidation[]): void {
  if (invalidations.length === 0) return;
  for (const { cache, keys = [], tags = [] } of invalidations)
    assert(keys.length + tags.length <= namesMax, `${cache}: ${namesMax} keys and tags at most`);
  const known = gathered.get(tx);
  if (known) {
    known.push(...invalidations);
    return;
  }
  gathered.set(tx, [...invalidations]);
  tx.beforeCommit(() => flush(tx));
  tx.afterCommit(() => poke(invalidationsTopic));
}

function flush(tx: Tx): void {
  const rows = gathered.get(tx) ?? [];
  gathered.delete(tx);
  const json = (names: readonly string[] | undefined) => names && JSON.stringify(names);
  tx.write(sql("cache.announce")`
    insert into platform.cache_invalidations (tenant_id, cache, keys, tags, truth)
    select tenant_id, cache, keys, tags, truth
    from unnest(${rows.map(({ tenantId }) => tenantId)}::uuid[],
      ${rows.map(({ cache }) => cache)}::text[],
      ${rows.map(({ keys }) => json(keys) ?? null)}::json[],
      ${rows.map(({ tags }) => json(tags) ?? null)}::json[],
      ${rows.map(({ position }) => position ?? null)}::double precision[])
      as new (tenant_id, cache, keys, tags, truth)`);
}

/** Which events make caches stale, and how. */
export interface InvalidationSource {
  /** Names its cursor for ever: `cache.products`. */
  readonly name: string;
  readonly eventTypes: readonly string[];
  /** What an event says is not true any more. Pure. */
  readonly map: (event: RecordedEvent) => readonly Invalidation[];
}

/**
 * Turns events into announcements, exactly once, so that the modules that record them need not know
 * any cache.
 */
export function invalidationSubscription(source: InvalidationSource): TransactionalSubscription {
  return {
    mode: "transactional",
    name: source.name,
    types: source.eventTypes,
    // What was cached before it existed lives no longer than its TTL.
    from: "now",
    // Staleness ends sooner than batches get larger.
    restMs: 5,
    handle: async (tx, events) => announceInvalidations(tx, events.flatMap(source.map)),
  };
}
