import type { Context } from "../../kernel/context.ts";
import type { Db } from "../../platform/db/db.ts";
import { defineJob, type JobDefinition } from "../../platform/jobs/jobs.ts";
import { expireReservations } from "./settle.ts";

/** Kind of the job that gives overdue reservations back; schedule it per tenant, every few seconds. */
export const expiryJob = "inventory.expire_reservations";

/** Reservations expired in one transaction. */
const expiryBatch = 500;

/**
 * Gives overdue reservations of a tenant back, in short transactions. Several may run at once: they pass
 * over each other's rows.
 *
 * @returns how many expired
 */
export async function sweepReservations(
  db: Db,
  ctx: Context,
  signal?: AbortSignal,
): Promise<number> {
  let expired = 0;
  for (;;) {
    const ids = await db.commit(ctx.tenantId, (tx) => expireReservations(tx, ctx, expiryBatch), {
      name: "inventory.expire",
    });
    expired += ids.length;
    if (ids.length < expiryBatch || signal?.aborted) return expired;
  }
}

/** Jobs of inventory. */
export function inventoryJobs(db: Db): readonly JobDefinition[] {
  const expire = defineJob({
    kind: expiryJob,
    handle: async ({ ctx, signal }) => {
      await sweepReservations(db, ctx, signal);
    },
  });
  return [expire];
}
