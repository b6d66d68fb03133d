import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin, type NewEvent } from "../../platform/events/events.ts";
import { totalsOf } from "./allocate.ts";
import type {
  Reservation,
  ReservationId,
  ReservationSettled,
  ReservationState,
  SettleFailure,
  Settlement,
} from "./contract.ts";
import { salesOf } from "./reserve.ts";
import {
  lockCells,
  lockOverdue,
  lockReservations,
  subtractReserved,
  updateReservationState,
} from "./store.ts";
import { insertMovements } from "./store-cells.ts";

/** What settling one reservation came to. */
export type Settled = Result<Settlement, SettleFailure>;

type FinalState = Exclude<ReservationState, "active">;

/**
 * Turns reservations into sales inside the caller's transaction: the units leave `on_hand`, each
 * with a movement. Committing twice is the same as once. One that is overdue but not yet swept is
 * still committed: its units are still there.
 *
 * @returns one result per id, in order
 */
export function commitReservations(
  tx: TenantTx,
  origin: EventOrigin,
  ids: readonly ReservationId[],
): Promise<Settled[]> {
  return settle(tx, origin, { ids, state: "committed" });
}

/**
 * Gives reserved units back inside the caller's transaction. Releasing twice, or after it expired, is
 * the same as once; what was committed stays sold.
 *
 * @returns one result per id, in order
 */
export function releaseReservations(
  tx: TenantTx,
  origin: EventOrigin,
  ids: readonly ReservationId[],
): Promise<Settled[]> {
  return settle(tx, origin, { ids, state: "released" });
}

/**
 * Expires reservations past their end, the most overdue first, passing over those somebody else is
 * just settling.
 *
 * @param limit reservations at most, 1 to 10,000
 * @returns ids of those that expired
 */
export async function expireReservations(
  tx: TenantTx,
  origin: EventOrigin,
  limit: number,
): Promise<ReservationId[]> {
  const ids = await lockOverdue(tx, limit);
  await settle(tx, origin, { ids, state: "expired" });
  return ids;
}

interface SettleOrder {
  readonly ids: readonly ReservationId[];
  readonly state: FinalState;
}

async function settle(
  tx: TenantTx,
  origin: EventOrigin,
  { ids, state }: SettleOrder,
): Promise<Settled[]> {
  const found = await lockReservations(tx, ids);
  const active = [...found.values()].filter((reservation) => reservation.state === "active");
  if (active.length > 0) {
    const totals = totalsOf(active.flatMap((reservation) => reservation.allocations));
    lockCells(tx, totals);
    subtractReserved(tx, totals, state === "committed");
    const settledIds = active.map((reservation) => reservation.id);
    updateReservationState(tx, settledIds, state);
    if (state === "committed") insertMovements(tx, active.flatMap(salesOf));
    appendEvents(
      tx,
      origin,
      active.map((reservation) => settledEvent(reservation, state)),
    );
  }
  const seen = new Set<ReservationId>();
  return ids.map((id) => {
    const repeated = seen.has(id);
    seen.add(id);
    return outcome(id, found.get(id), { state, repeated });
  });
}

function outcome(
  id: ReservationId,
  before: Reservation | undefined,
  wish: { readonly state: FinalState; readonly repeated: boolean },
): Settled {
  if (!before) return fail({ code: "inventory.reservation_not_found", id });
  if (before.state === "active") return ok({ id, ...wish });
  const given = wish.state === "released" && before.state === "expired";
  if (before.state === wish.state || given) return ok({ id, state: before.state, repeated: true });
  return fail({ code: "inventory.reservation_closed", id, state: before.state });
}

function settledEvent({ id, reference }: Reservation, state: FinalState): NewEvent {
  const data: ReservationSettled = {
    reservationId: id,
    ...(reference === undefined ? {} : { reference }),
  };
  return { type: `inventory.reservation_${state}`, version: 1, stream: `reservation:${id}`, data };
}
