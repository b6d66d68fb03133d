import type { Context } from "../../kernel/context.ts";
import type { TenantTx } from "../db/transaction.ts";
import type { RecordedEvent } from "./event.ts";

/** What every subscription says about itself. */
export interface SubscriptionBase {
  /** Names its cursor for ever: `search.index`. */
  readonly name: string;
  /** Types of events it wants; all when left out. */
  readonly types?: readonly string[];
  /** Where a new subscription begins: `beginning` (default) or `now`. */
  readonly from?: "beginning" | "now";
  /** Events in one batch at most, 1 to 10,000; default 1,000 transactional, 100 external. */
  readonly batchMax?: number;
  /** Stored bytes of event data in one batch at most; default 4 MiB. */
  readonly bytesMax?: number;
  /**
   * Rest after each delivery, milliseconds: what is appended meanwhile comes with the next batch, and
   * batches cost less than their events one by one. An idle log is read at once all the same. Default:
   * twice as long as the delivery took, at most 40.
   */
  readonly restMs?: number;
  /** Times an event is tried before it is parked, 1 to 20; default 3. */
  readonly attemptsMax?: number;
  /**
   * What happens to later events of a stream whose event is parked: they wait behind it, in order,
   * until it is replayed or discarded (default), or go on without it.
   */
  readonly afterPoison?: "hold_stream" | "continue";
  /**
   * Events parked in a row, with no success between them, before the subscription stalls: then it is
   * the handler that is broken, and it is tried again with backoff instead of parking the whole log;
   * default 100.
   */
  readonly parkedInRowMax?: number;
}

/** A subscription whose effects are in the database: they happen exactly once. */
export interface TransactionalSubscription extends SubscriptionBase {
  readonly mode: "transactional";
  /**
   * Handles events of one tenant, in order per stream, in the transaction that also moves the
   * cursor. It may run again after a rollback, so it must have no effect outside the database.
   */
  readonly handle: (tx: TenantTx, events: readonly RecordedEvent[]) => Promise<void>;
}

/** A subscription whose effects are elsewhere: at least once, `event.id` is stable. */
export interface ExternalSubscription extends SubscriptionBase {
  readonly mode: "external";
  /** Handles one event outside any transaction; `ctx.signal` aborts at the timeout. */
  readonly handle: (ctx: Context, event: RecordedEvent) => Promise<void>;
  /** Streams handled at once, 1 to 100; default 8. */
  readonly concurrency?: number;
  /** Longest one attempt may take, milliseconds; default 10,000. */
  readonly timeoutMs?: number;
}

/** A named reader of the log. */
export type Subscription = TransactionalSubscription | ExternalSubscription;

/** What subscriptions tell their observers. */
export type SubscriptionEvent =
  | {
      readonly kind: "batch";
      readonly subscription: string;
      readonly database: string;
      readonly events: number;
      readonly elapsedMs: number;
      /** Age of the oldest event of the batch when it was read, milliseconds. */
      readonly lagMs: number;
    }
  | {
      readonly kind: "parked";
      readonly subscription: string;
      readonly database: string;
      readonly eventId: string;
      readonly type: string;
      readonly attempts: number;
      readonly error: unknown;
    }
  | {
      readonly kind: "lease";
      readonly subscription: string;
      readonly database: string;
      /** Partitions this node holds now. */
      readonly partitions: readonly number[];
    }
  | {
      readonly kind: "failed";
      readonly subscription: string;
      readonly database: string;
      readonly error: unknown;
    };

/** Event after event failed: the subscription waits for its handler to be repaired. */
export class SubscriptionStalledError extends Error {
  override readonly name = "SubscriptionStalledError";
  readonly code = "ERR_SUBSCRIPTION_STALLED";
  readonly retryable = true;
}

/** The lease of a partition went to another node: nothing of the batch was kept. */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
  readonly code = "ERR_LEASE_LOST";
  readonly retryable = false;
}
