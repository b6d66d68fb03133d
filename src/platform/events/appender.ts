import type { TenantId } from "../../kernel/ids.ts";
import { createCoalescer } from "../coalescer/coalescer.ts";
import type { Db } from "../db/db.ts";
import { type AttributedEvent, writeEvents } from "./append.ts";
import type { EventOrigin, NewEvent } from "./event.ts";

/** Limits of an appender; every one has a default. */
export interface EventAppenderLimits {
  /** Callers' appends in one transaction at most; default 500. */
  readonly batchMax: number;
  /** Transactions in flight per tenant; default 2. */
  readonly inFlightMax: number;
  /** Callers that may wait per tenant; default 10,000. Then ERR_COALESCER_FULL. */
  readonly waitingMax: number;
}

/** Appends events for callers whose only effect they are. */
export interface EventAppender {
  /**
   * Resolves once the events are durable. Callers at the same time share a transaction; one whose
   * event is refused does not fail the others.
   *
   * @throws DbError, CoalescerFullError
   */
  append(tenantId: TenantId, origin: EventOrigin, events: readonly NewEvent[]): Promise<void>;
}

const defaults: EventAppenderLimits = { batchMax: 500, inFlightMax: 2, waitingMax: 10_000 };

/** Makes an appender. Whoever changes rows as well uses `appendEvents` in its own transaction. */
export function createEventAppender(
  db: Db,
  limits: Partial<EventAppenderLimits> = {},
): EventAppender {
  const coalescer = createCoalescer<readonly AttributedEvent[], undefined>({
    name: "events.append",
    ...defaults,
    ...limits,
    run: async (tenantId, appends) => {
      await db.commit(
        tenantId as TenantId,
        async (tx) => {
          writeEvents(tx, appends.flat());
        },
        { name: "events.append" },
      );
      return appends.map(() => undefined);
    },
  });
  return {
    async append(tenantId, origin, events) {
      await coalescer.submit(
        tenantId,
        events.map((event) => ({ origin, event })),
      );
    },
  };
}
