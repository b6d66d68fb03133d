import { present } from "../../kernel/assert.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { type EventOrigin, type NewEvent, writeEvents } from "../../platform/events/events.ts";
import type { VariantId } from "../catalog/contract.ts";
import { checkRequest, isSameRequest, openBook, type StockCell, totalsOf } from "./allocate.ts";
import type {
  InventoryEvents,
  Reservation,
  ReservationId,
  ReservationLine,
  ReservationRequest,
  ReserveFailure,
} from "./contract.ts";
import {
  addReserved,
  insertReservations,
  lockStock,
  type NewReservation,
  readReservations,
  subtractSold,
} from "./store.ts";
import { insertMovements } from "./store-cells.ts";

/** What reserving came to. */
export type Reserved = Result<Reservation, ReserveFailure>;

/** What is known when requests are decided. */
export interface ReserveFacts {
  readonly cells: readonly StockCell[];
  /** Reservations that exist already under ids of this batch. */
  readonly existing: ReadonlyMap<ReservationId, Reservation>;
  /** The transaction's time. */
  readonly at: Date;
}

/** The outcome of a batch: one result per request, and what to write. */
export interface ReserveDecision {
  readonly results: readonly Reserved[];
  readonly made: readonly NewReservation[];
}

/** A request together with its own origin. */
export interface AttributedRequest {
  readonly origin: EventOrigin;
  readonly request: ReservationRequest;
  /** True when the money is there: the units are sold at once. */
  readonly sold?: boolean;
}

/**
 * Reserves stock for many requests inside the caller's transaction: each all or nothing, in arrival
 * order. One round trip to lock and read; the writes travel with what follows.
 *
 * A request whose id exists with the same units is answered with the reservation that exists.
 * @returns one result per request, in order; a refusal touches nothing
 */
export function reserveStock(
  tx: TenantTx,
  origin: EventOrigin,
  requests: readonly ReservationRequest[],
): Promise<Reserved[]> {
  return reserveEach(
    tx,
    requests.map((request) => ({ origin, request })),
  );
}

/**
 * Like {@link reserveStock} for a batch whose requests come from different callers, some of whom have
 * paid already: what is `sold` is reserved and committed in one.
 */
export async function reserveEach(
  tx: TenantTx,
  items: readonly AttributedRequest[],
): Promise<Reserved[]> {
  if (items.length === 0) return [];
  const requests = items.map((item) => item.request);
  const { results, made } = decideReservations(requests, await loadFacts(tx, requests));
  const itemOf = new Map(items.map((item) => [item.request.id, item]));
  const isSold = ({ id }: NewReservation) => itemOf.get(id)?.sold === true;
  writeReservations(
    tx,
    made.filter((reservation) => !isSold(reservation)),
  );
  writeSales(tx, made.filter(isSold));
  writeEvents(
    tx,
    made.map((reservation) => ({
      origin: present(itemOf.get(reservation.id), "a request").origin,
      event: isSold(reservation) ? stockSold(reservation) : stockReserved([reservation]),
    })),
  );
  return [...results];
}

/** Units go straight from `on_hand` to a movement; the reservation is written as committed. */
function writeSales(tx: TenantTx, sold: readonly NewReservation[]): void {
  subtractSold(tx, totalsOf(sold.flatMap((reservation) => reservation.allocations)));
  insertReservations(tx, sold, "committed");
  insertMovements(tx, sold.flatMap(salesOf));
}

function stockSold({ id, reference, allocations }: NewReservation): NewEvent {
  const data: InventoryEvents["inventory.stock_sold"] = {
    reservationId: id,
    allocations,
    ...(reference === undefined ? {} : { reference }),
  };
  return { type: "inventory.stock_sold", version: 1, stream: `reservation:${id}`, data };
}

/** The movements that a sale is explained by. */
export function salesOf({ id, reference, allocations }: Omit<NewReservation, "ttlMs">) {
  const movementId = newId<"stock command">();
  return allocations.map((allocation, line) => ({
    id: movementId,
    line,
    variantId: allocation.variantId,
    locationId: allocation.locationId,
    quantity: -allocation.quantity,
    reason: "sale" as const,
    reference: reference ?? `reservation:${id}`,
  }));
}

/** Locks and reads what requests are decided by; one round trip. */
export async function loadFacts(
  tx: TenantTx,
  requests: readonly ReservationRequest[],
): Promise<ReserveFacts> {
  const stock = lockStock(tx, variantsOf(requests));
  // Behind the locks on purpose: whoever made the same reservation before has committed by then.
  const known = readReservations(
    tx,
    requests.map((request) => request.id),
  );
  const [{ cells, at }, existing] = await Promise.all([stock, known]);
  return { cells, existing, at: at ?? new Date(0) };
}

/** Writes reservations decided on locked cells; travels with what follows. */
export function writeReservations(tx: TenantTx, made: readonly NewReservation[]): void {
  addReserved(tx, totalsOf(made.flatMap((reservation) => reservation.allocations)));
  insertReservations(tx, made);
}

/** Variants of some requests, each once. */
export function variantsOf(requests: readonly ReservationRequest[]): VariantId[] {
  return [...new Set(requests.flatMap(({ lines }) => lines.map((line) => line.variantId)))];
}

/** Decides requests in arrival order. Pure. */
export function decideReservations(
  requests: readonly ReservationRequest[],
  facts: ReserveFacts,
): ReserveDecision {
  const book = openBook(facts.cells);
  const known = new Map(facts.existing);
  const made: NewReservation[] = [];
  const results = requests.map((request): Reserved => {
    const lines = checkRequest(request);
    if (!lines.ok) return lines;
    const before = known.get(request.id);
    if (before) return repeatReservation(lines.value, before);
    const taken = book.take(lines.value);
    if (!taken.ok) return taken;
    const { id, reference, ttlMs } = request;
    made.push({ id, reference, ttlMs, allocations: taken.value });
    const reservation: Reservation = {
      id,
      state: "active",
      allocations: taken.value,
      ...(reference === undefined ? {} : { reference }),
      ...(ttlMs === undefined ? {} : { expiresAt: new Date(facts.at.getTime() + ttlMs) }),
    };
    known.set(id, reservation);
    return ok(reservation);
  });
  return { results, made };
}

/** Answers a request whose id exists: with the same units it is a retry. */
export function repeatReservation(
  lines: readonly ReservationLine[],
  before: Reservation,
): Reserved {
  const { id, state } = before;
  if (!isSameRequest(lines, before.allocations)) {
    return fail({ code: "inventory.reservation_differs", id });
  }
  if (state === "released" || state === "expired") {
    return fail({ code: "inventory.reservation_closed", id, state });
  }
  return ok(before);
}

/** The event of new reservations: one, or a batch that was made together. */
export function stockReserved(made: readonly [NewReservation, ...NewReservation[]]): NewEvent {
  const [first] = made;
  const { reference } = first;
  const alone = made.length === 1;
  const data: InventoryEvents["inventory.stock_reserved"] = {
    reservationIds: made.map((reservation) => reservation.id),
    allocations: alone
      ? first.allocations
      : totalsOf(made.flatMap((reservation) => reservation.allocations)),
    ...(alone && reference !== undefined ? { reference } : {}),
  };
  return { type: "inventory.stock_reserved", version: 1, stream: `reservation:${first.id}`, data };
}
