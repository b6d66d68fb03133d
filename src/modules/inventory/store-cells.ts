import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { LocationId, MovementReason, StockCommandId } from "./contract.ts";
import { idRange } from "./store.ts";

/** Which cell of the stock table. */
export interface CellKey {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
}

/** A cell with everything a change of it may set. */
export interface CellState extends CellKey {
  readonly onHand: number;
  readonly reserved: number;
  readonly backorderLimit: number;
  readonly lowAt: number | null;
}

function keyColumns(cells: readonly CellKey[]) {
  return {
    variants: cells.map((cell) => cell.variantId),
    locations: cells.map((cell) => cell.locationId),
  };
}

/** Makes empty cells where they are missing, at locations that exist; in order of the key. */
export function openCells(tx: TenantTx, cells: readonly CellKey[]): void {
  const { variants, locations } = keyColumns(cells);
  tx.write(sql("inventory.open_cells")`
    insert into stock (tenant_id, variant_id, location_id)
    select distinct ${tx.tenantId}::uuid, d.variant_id, d.location_id
    from unnest(${variants}::uuid[], ${locations}::uuid[]) d(variant_id, location_id)
    where exists (select 1 from stock_locations l
      where l.tenant_id = ${tx.tenantId} and l.id = d.location_id)
    order by d.variant_id, d.location_id
    on conflict do nothing`);
}

/** Locks cells in order of (variant, location), active or not. */
export function lockCellStates(tx: TenantTx, cells: readonly CellKey[]): Promise<CellState[]> {
  const { variants, locations } = keyColumns(cells);
  return tx.rows<CellState>(sql("inventory.lock_cell_states")`
    select variant_id as "variantId", location_id as "locationId", on_hand as "onHand", reserved,
      backorder_limit as "backorderLimit", low_at as "lowAt"
    from stock
    where tenant_id = ${tx.tenantId} and variant_id = any(${variants}::uuid[])
      and (variant_id, location_id) in (select * from unnest(${variants}::uuid[], ${locations}::uuid[]))
    order by variant_id, location_id
    for update of stock`);
}

/** Writes cells that this transaction has locked. */
export function writeCells(tx: TenantTx, cells: readonly CellState[]): void {
  if (cells.length === 0) return;
  const { variants, locations } = keyColumns(cells);
  tx.write(sql("inventory.write_cells")`
    update stock s set on_hand = d.on_hand, backorder_limit = d.backorder_limit, low_at = d.low_at,
      version = s.version + 1
    from unnest(${variants}::uuid[], ${locations}::uuid[],
      ${cells.map((cell) => cell.onHand)}::integer[],
      ${cells.map((cell) => cell.backorderLimit)}::integer[],
      ${cells.map((cell) => cell.lowAt)}::integer[])
      d(variant_id, location_id, on_hand, backorder_limit, low_at)
    where s.tenant_id = ${tx.tenantId}
      and s.variant_id = d.variant_id and s.location_id = d.location_id`);
}

/** A movement to record. */
export interface NewMovement extends CellKey {
  readonly id: string;
  readonly line: number;
  readonly quantity: number;
  readonly reason: MovementReason;
  readonly reference?: string | undefined;
}

/** Records movements. */
export function insertMovements(tx: TenantTx, movements: readonly NewMovement[]): void {
  if (movements.length === 0) return;
  const { variants, locations } = keyColumns(movements);
  tx.write(sql("inventory.insert_movements")`
    insert into stock_movements
      (tenant_id, id, line, variant_id, location_id, quantity, reason, reference)
    select ${tx.tenantId}, m.*
    from unnest(${movements.map((row) => row.id)}::uuid[],
      ${movements.map((row) => row.line)}::smallint[],
      ${variants}::uuid[], ${locations}::uuid[],
      ${movements.map((row) => row.quantity)}::integer[],
      ${movements.map((row) => row.reason)}::text[],
      ${movements.map((row) => row.reference ?? null)}::text[])
      m(id, line, variant_id, location_id, quantity, reason, reference)`);
}

interface StepRow extends CellKey {
  readonly id: StockCommandId;
  readonly quantity: number;
}

/** Reads what commands have moved. @returns by command; those that did nothing yet are absent */
export async function readMovements(
  tx: TenantTx,
  ids: readonly StockCommandId[],
): Promise<Map<StockCommandId, StepRow[]>> {
  const { low, high } = idRange(ids);
  const rows = await tx.rows<StepRow>(sql("inventory.read_movements")`
    select id, variant_id as "variantId", location_id as "locationId", quantity
    from stock_movements
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
      and id between ${low}::uuid and ${high}::uuid`);
  const byCommand = new Map<StockCommandId, StepRow[]>();
  for (const row of rows) {
    const list = byCommand.get(row.id);
    if (list) list.push(row);
    else byCommand.set(row.id, [row]);
  }
  return byCommand;
}
