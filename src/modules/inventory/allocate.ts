import { fail, ok, type Result } from "../../kernel/result.ts";
import type { VariantId } from "../catalog/contract.ts";
import {
  type Allocation,
  type LocationId,
  linesMax,
  quantityMax,
  type ReservationLine,
  type ReservationRequest,
  type ReserveFailure,
  ttlMsMax,
} from "./contract.ts";

/** Stock of one variant at one active location, as it was locked or read. */
export interface StockCell {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  readonly priority: number;
  readonly onHand: number;
  readonly reserved: number;
  readonly backorderLimit: number;
  readonly version: number;
}

/** Checks a request without asking the database; merges lines of one variant and location. */
export function checkRequest(
  request: ReservationRequest,
): Result<readonly ReservationLine[], ReserveFailure> {
  const { lines, ttlMs } = request;
  if (lines.length === 0 || lines.length > linesMax) {
    return refuse(`a reservation has 1 to ${linesMax} lines`);
  }
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0 && ttlMs <= ttlMsMax)) {
    return refuse(`a reservation lives for 1 to ${ttlMsMax} ms`);
  }
  for (const { quantity } of lines) {
    if (!Number.isSafeInteger(quantity) || quantity < 1 || quantity > quantityMax) {
      return refuse(`a quantity is a whole number from 1 to ${quantityMax}`);
    }
  }
  if (lines.length === 1) return ok(lines);
  const merged = new Map<string, ReservationLine>();
  for (const line of lines) {
    const key = `${line.variantId} ${line.locationId ?? ""}`;
    const quantity = (merged.get(key)?.quantity ?? 0) + line.quantity;
    if (quantity > quantityMax) return refuse(`a quantity is ${quantityMax} at most`);
    merged.set(key, { ...line, quantity });
  }
  return ok([...merged.values()]);
}

function refuse(reason: string): Result<never, ReserveFailure> {
  return fail({ code: "inventory.invalid_lines", reason });
}

/** What is left of a set of cells while requests are decided one after the other. */
export interface StockBook {
  /** Takes units for all lines, or for none. */
  take(lines: readonly ReservationLine[]): Result<readonly Allocation[], ReserveFailure>;
  /** Units that can still be promised of a variant, over all cells. */
  available(variantId: VariantId): number;
}

interface OpenCell {
  readonly cell: StockCell;
  reserved: number;
}

/**
 * Opens a book of cells. Pure: it only counts.
 *
 * A line without a location goes whole to the first location by priority that has the units, else to
 * the first that may promise them as backorder, else it is split in order of priority.
 */
export function openBook(cells: readonly StockCell[]): StockBook {
  const byVariant = new Map<VariantId, OpenCell[]>();
  for (const cell of cells.toSorted(byPriority)) {
    const list = byVariant.get(cell.variantId);
    const opened = { cell, reserved: cell.reserved };
    if (list) list.push(opened);
    else byVariant.set(cell.variantId, [opened]);
  }
  const of = (variantId: VariantId) => byVariant.get(variantId) ?? [];
  return {
    take(lines) {
      const taken: { readonly from: OpenCell; readonly units: number }[] = [];
      // Lines that insist on a location come first: the others can go elsewhere.
      for (const line of lines.toSorted(byInsistence)) {
        const open = of(line.variantId).filter((from) => isMeant(line, from));
        const plan = planLine(open, line.quantity);
        if (plan) {
          for (const step of plan) step.from.reserved += step.units;
          taken.push(...plan);
          continue;
        }
        const available = sum(open.map(free));
        for (const step of taken) step.from.reserved -= step.units;
        const { variantId, quantity: requested } = line;
        return fail({ code: "inventory.out_of_stock", variantId, requested, available });
      }
      return ok(mergeAllocations(taken));
    },
    available: (variantId) => sum(of(variantId).map(free)),
  };
}

function byPriority(a: StockCell, b: StockCell): number {
  return a.priority - b.priority || (a.locationId < b.locationId ? -1 : 1);
}

function byInsistence(a: ReservationLine, b: ReservationLine): number {
  return Number(a.locationId === undefined) - Number(b.locationId === undefined);
}

function isMeant({ locationId }: ReservationLine, { cell }: OpenCell): boolean {
  return locationId === undefined || locationId === cell.locationId;
}

function free({ cell, reserved }: OpenCell): number {
  return cell.onHand + cell.backorderLimit - reserved;
}

function planLine(
  open: readonly OpenCell[],
  quantity: number,
): readonly { readonly from: OpenCell; readonly units: number }[] | undefined {
  const whole =
    open.find(({ cell, reserved }) => cell.onHand - reserved >= quantity) ??
    open.find((from) => free(from) >= quantity);
  if (whole) return [{ from: whole, units: quantity }];
  const plan: { from: OpenCell; units: number }[] = [];
  let missing = quantity;
  for (const from of open) {
    const units = Math.min(missing, free(from));
    if (units <= 0) continue;
    plan.push({ from, units });
    missing -= units;
    if (missing === 0) return plan;
  }
  return undefined;
}

function mergeAllocations(
  taken: readonly { readonly from: OpenCell; readonly units: number }[],
): readonly Allocation[] {
  const units = new Map<StockCell, number>();
  for (const step of taken) {
    units.set(step.from.cell, (units.get(step.from.cell) ?? 0) + step.units);
  }
  return [...units].map(([{ variantId, locationId }, quantity]) => ({
    variantId,
    locationId,
    quantity,
  }));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Units per variant and location, added up and in the order rows are locked in. */
export function totalsOf(allocations: readonly Allocation[]): readonly Allocation[] {
  const totals = new Map<string, Allocation>();
  for (const allocation of allocations) {
    const key = allocation.variantId + allocation.locationId;
    const quantity = (totals.get(key)?.quantity ?? 0) + allocation.quantity;
    totals.set(key, { ...allocation, quantity });
  }
  return [...totals].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, total]) => total);
}

/** Whether a reservation made before is what a request asks for: the same units of each variant. */
export function isSameRequest(
  lines: readonly ReservationLine[],
  allocations: readonly Allocation[],
): boolean {
  const wanted = new Map<VariantId, number>();
  for (const { variantId, quantity } of lines) {
    wanted.set(variantId, (wanted.get(variantId) ?? 0) + quantity);
  }
  for (const { variantId, quantity } of allocations) {
    wanted.set(variantId, (wanted.get(variantId) ?? 0) - quantity);
  }
  return [...wanted.values()].every((left) => left === 0);
}
