import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { StockCell } from "./allocate.ts";
import type {
  Allocation,
  LocationId,
  Reservation,
  ReservationId,
  ReservationLine,
  ReservationState,
} from "./contract.ts";

/** Stock cells of variants, and the transaction's time by the database's clock. */
export interface LockedStock {
  readonly cells: readonly StockCell[];
  /** `now()` of the transaction; absent when there is no cell. */
  readonly at?: Date;
}

interface CellRow extends StockCell {
  readonly at: Date;
}

/** Locks all cells of some variants at active locations, in order of (variant, location). */
export async function lockStock(
  tx: TenantTx,
  variantIds: readonly VariantId[],
): Promise<LockedStock> {
  return locked(
    await tx.rows<CellRow>(sql("inventory.lock_stock")`
      select s.variant_id as "variantId", s.location_id as "locationId", s.on_hand as "onHand",
        s.reserved, s.backorder_limit as "backorderLimit", s.version, l.priority, now() as at
      -- Variants come sorted, each is looked up and locked by its key: in order, and whatever the
      -- planner believes of the table.
      from unnest(${variantIds.toSorted()}::uuid[]) as wanted (variant_id)
      cross join lateral (
        select * from stock
        where tenant_id = ${tx.tenantId} and variant_id = wanted.variant_id
        order by location_id for update) as s
      join stock_locations l on l.tenant_id = ${tx.tenantId} and l.id = s.location_id and l.active`),
  );
}

/** Reads the same without locking. */
export async function readStock(
  tx: TenantTx,
  variantIds: readonly VariantId[],
): Promise<LockedStock> {
  return locked(
    await tx.rows<CellRow>(sql("inventory.read_stock")`
      select s.variant_id as "variantId", s.location_id as "locationId", s.on_hand as "onHand",
        s.reserved, s.backorder_limit as "backorderLimit", s.version, l.priority, now() as at
      from stock s
      join stock_locations l on l.tenant_id = s.tenant_id and l.id = s.location_id and l.active
      where s.tenant_id = ${tx.tenantId} and s.variant_id = any(${variantIds}::uuid[])`),
  );
}

function locked(rows: readonly CellRow[]): LockedStock {
  const [first] = rows;
  return first ? { cells: rows, at: first.at } : { cells: rows };
}

/** Adds units to `reserved`, in order of (variant, location), of cells this transaction has locked. */
export function addReserved(tx: TenantTx, totals: readonly Allocation[]): void {
  if (totals.length === 0) return;
  const cells = cellColumns(totals);
  tx.write(sql("inventory.add_reserved")`
    update stock s set reserved = s.reserved + d.units, version = s.version + 1
    from unnest(${cells.variants}::uuid[], ${cells.locations}::uuid[], ${cells.units}::integer[])
      d(variant_id, location_id, units)
    where s.tenant_id = ${tx.tenantId}
      and s.variant_id = d.variant_id and s.location_id = d.location_id`);
}

/** Takes sold units out of `on_hand` of cells this transaction has locked. */
export function subtractSold(tx: TenantTx, totals: readonly Allocation[]): void {
  if (totals.length === 0) return;
  const cells = cellColumns(totals);
  tx.write(sql("inventory.subtract_sold")`
    update stock s set on_hand = s.on_hand - d.units, version = s.version + 1
    from unnest(${cells.variants}::uuid[], ${cells.locations}::uuid[], ${cells.units}::integer[])
      d(variant_id, location_id, units)
    where s.tenant_id = ${tx.tenantId}
      and s.variant_id = d.variant_id and s.location_id = d.location_id`);
}

/** Locks cells in order of (variant, location); travels with what follows. */
export function lockCells(tx: TenantTx, totals: readonly Allocation[]): void {
  const cells = cellColumns(totals);
  tx.write(sql("inventory.lock_cells")`
    select 1 from stock s
    join unnest(${cells.variants}::uuid[], ${cells.locations}::uuid[]) d(variant_id, location_id)
      on s.variant_id = d.variant_id and s.location_id = d.location_id
    where s.tenant_id = ${tx.tenantId}
    order by s.variant_id, s.location_id
    for update of s`);
}

/** Takes settled units out of `reserved`, and sold ones out of `on_hand` as well. */
export function subtractReserved(tx: TenantTx, totals: readonly Allocation[], sold: boolean): void {
  const cells = cellColumns(totals);
  tx.write(sql("inventory.subtract_reserved")`
    update stock s set reserved = s.reserved - d.units,
      on_hand = case when ${sold}::boolean then s.on_hand - d.units else s.on_hand end,
      version = s.version + 1
    from unnest(${cells.variants}::uuid[], ${cells.locations}::uuid[], ${cells.units}::integer[])
      d(variant_id, location_id, units)
    where s.tenant_id = ${tx.tenantId}
      and s.variant_id = d.variant_id and s.location_id = d.location_id`);
}

function cellColumns(totals: readonly Allocation[]) {
  return {
    variants: totals.map((total) => total.variantId),
    locations: totals.map((total) => total.locationId),
    units: totals.map((total) => total.quantity),
  };
}

/** A reservation to write. */
export interface NewReservation {
  readonly id: ReservationId;
  readonly reference?: string | undefined;
  readonly ttlMs?: number | undefined;
  readonly allocations: readonly Allocation[];
}

/** Adds reservations, one row per allocation; their end is counted from the transaction's time. */
export function insertReservations(
  tx: TenantTx,
  reservations: readonly NewReservation[],
  state: "active" | "committed" = "active",
): void {
  if (reservations.length === 0) return;
  const rows = reservations.flatMap(({ allocations, ...head }) =>
    allocations.map((allocation, line) => ({ ...head, ...allocation, line })),
  );
  tx.write(sql("inventory.insert_reservations")`
    insert into reservations
      (tenant_id, id, line, variant_id, location_id, quantity, reference, state, expires_at)
    select ${tx.tenantId}, r.id, r.line, r.variant_id, r.location_id, r.quantity, r.reference,
      ${state}, now() + r.ttl_ms * interval '1 millisecond'
    from unnest(${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.line)}::smallint[],
      ${rows.map((row) => row.variantId)}::uuid[],
      ${rows.map((row) => row.locationId)}::uuid[],
      ${rows.map((row) => row.quantity)}::integer[],
      ${rows.map((row) => row.reference ?? null)}::text[],
      ${rows.map((row) => row.ttlMs ?? null)}::bigint[])
      r(id, line, variant_id, location_id, quantity, reference, ttl_ms)`);
}

/** One line of a reservation as stored. */
export interface ReservationRow extends Allocation {
  readonly id: ReservationId;
  readonly line: number;
  readonly state: ReservationState;
  readonly reference: string | null;
  readonly expiresAt: Date | null;
}

/** Smallest and largest of some ids: lets the planner leave out months that have none of them. */
export function idRange(ids: readonly string[]): { readonly low: string; readonly high: string } {
  let low = ids[0] ?? "00000000-0000-0000-0000-000000000000";
  let high = low;
  for (const id of ids) {
    if (id < low) low = id;
    if (id > high) high = id;
  }
  return { low, high };
}

/** Reads reservations by id. @returns by id; ids that do not exist are absent */
export async function readReservations(
  tx: TenantTx,
  ids: readonly ReservationId[],
): Promise<Map<ReservationId, Reservation>> {
  if (ids.length === 0) return new Map();
  const { low, high } = idRange(ids);
  return toReservations(
    await tx.rows<ReservationRow>(sql("inventory.read_reservations")`
      select id, line, variant_id as "variantId", location_id as "locationId", quantity, state,
        reference, expires_at as "expiresAt"
      from reservations
      where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
        and id between ${low}::uuid and ${high}::uuid
      order by id, line`),
  );
}

/** Locks reservations by id, line 0 of each first, in order of id. */
export async function lockReservations(
  tx: TenantTx,
  ids: readonly ReservationId[],
): Promise<Map<ReservationId, Reservation>> {
  if (ids.length === 0) return new Map();
  const { low, high } = idRange(ids);
  return toReservations(
    await tx.rows<ReservationRow>(sql("inventory.lock_reservations")`
      select id, line, variant_id as "variantId", location_id as "locationId", quantity, state,
        reference, expires_at as "expiresAt"
      from reservations
      where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
        and id between ${low}::uuid and ${high}::uuid
      order by id, line
      for update`),
  );
}

/** Locks reservations that are past their end and that nobody else works on, the most overdue first. */
export async function lockOverdue(tx: TenantTx, limit: number): Promise<ReservationId[]> {
  const rows = await tx.rows<{ id: ReservationId }>(sql("inventory.lock_overdue")`
    select id from reservations
    where tenant_id = ${tx.tenantId} and state = 'active' and expires_at <= now() and line = 0
    order by expires_at
    limit ${limit}
    for update skip locked`);
  return rows.map((row) => row.id);
}

function toReservations(rows: readonly ReservationRow[]): Map<ReservationId, Reservation> {
  const found = new Map<ReservationId, Reservation & { allocations: Allocation[] }>();
  for (const row of rows) {
    const { id, state, variantId, locationId, quantity } = row;
    let reservation = found.get(id);
    if (!reservation) {
      reservation = {
        id,
        state,
        allocations: [],
        ...(row.reference === null ? {} : { reference: row.reference }),
        ...(row.expiresAt === null ? {} : { expiresAt: row.expiresAt }),
      };
      found.set(id, reservation);
    }
    reservation.allocations.push({ variantId, locationId, quantity });
  }
  return found;
}

/** Settles reservations that this transaction has locked. */
export function updateReservationState(
  tx: TenantTx,
  ids: readonly ReservationId[],
  state: ReservationState,
): void {
  const { low, high } = idRange(ids);
  tx.write(sql("inventory.settle")`
    update reservations set state = ${state}
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
      and id between ${low}::uuid and ${high}::uuid and state = 'active'`);
}

/** Where units were taken, and the transaction's time. */
export interface Taken {
  readonly locationId: LocationId;
  readonly at: Date;
}

/**
 * Promises units at the first location that has them all, in one conditional update: whoever waited
 * for the row judges its newest version. Does nothing when the reservation exists.
 *
 * @returns undefined when no single location had enough
 */
export function takeIfFree(
  tx: TenantTx,
  id: ReservationId,
  line: ReservationLine,
): Promise<Taken | undefined> {
  const { variantId, quantity, locationId } = line;
  return tx.maybe<Taken>(sql("inventory.take_if_free")`
    update stock s set reserved = s.reserved + ${quantity}::integer, version = s.version + 1
    where s.tenant_id = ${tx.tenantId} and s.variant_id = ${variantId}
      and s.location_id = (
        select c.location_id from stock c
        join stock_locations l on l.tenant_id = c.tenant_id and l.id = c.location_id and l.active
        where c.tenant_id = ${tx.tenantId} and c.variant_id = ${variantId}
          and c.location_id = coalesce(${locationId ?? null}::uuid, c.location_id)
          and c.on_hand::bigint + c.backorder_limit - c.reserved >= ${quantity}::integer
        order by (c.on_hand - c.reserved >= ${quantity}::integer) desc, l.priority, c.location_id
        limit 1)
      and s.on_hand::bigint + s.backorder_limit - s.reserved >= ${quantity}::integer
      and not exists (select 1 from reservations r
        where r.tenant_id = ${tx.tenantId} and r.id = ${id} and r.line = 0)
    returning s.location_id as "locationId", now() as at`);
}

/** Promises units if nobody changed the cell since its version was read. @returns rows changed */
export function takeIfUnchanged(
  tx: TenantTx,
  { variantId, locationId, quantity }: Allocation,
  version: number,
): Promise<number> {
  return tx.run(sql("inventory.take_if_unchanged")`
    update stock set reserved = reserved + ${quantity}::integer, version = version + 1
    where tenant_id = ${tx.tenantId} and variant_id = ${variantId} and location_id = ${locationId}
      and version = ${version}`);
}

/**
 * Promises units of cells without looking; the table's checks refuse what is not there.
 *
 * @param totals in order of (variant, location)
 */
export async function take(tx: TenantTx, totals: readonly Allocation[]): Promise<Date> {
  const cells = cellColumns(totals);
  const { at } = await tx.one<{ at: Date }>(sql("inventory.take")`
    select inventory_take(${tx.tenantId}, ${cells.variants}::uuid[], ${cells.locations}::uuid[],
      ${cells.units}::integer[]) as at`);
  return at;
}
