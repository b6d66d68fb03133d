import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin, type NewEvent } from "../../platform/events/events.ts";
import type { VariantId } from "../catalog/contract.ts";
import {
  type InventoryEvents,
  type LocationId,
  linesMax,
  type MovementReason,
  quantityMax,
  type StockAdjustment,
  type StockCommandId,
  type StockFailure,
  type StockSetting,
  type StockTransfer,
} from "./contract.ts";
import {
  type CellState,
  insertMovements,
  lockCellStates,
  type NewMovement,
  openCells,
  readMovements,
  writeCells,
} from "./store-cells.ts";

/** What changing stock came to. */
export type Changed = Result<{ readonly id: StockCommandId }, StockFailure>;

/** A command as movements: what every change of on-hand stock comes down to. */
interface MovementCommand {
  readonly id: StockCommandId;
  readonly reason: MovementReason;
  readonly reference: string | undefined;
  readonly lines: readonly Step[];
  readonly event: NewEvent;
}

interface Step {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  readonly quantity: number;
}

/**
 * Changes on-hand stock with a reason, inside the caller's transaction: each adjustment all or
 * nothing, in arrival order. Units that are reserved cannot be taken away.
 *
 * @returns one result per adjustment, in order; an id that was used with the same lines is a repeat
 */
export function adjustStock(
  tx: TenantTx,
  origin: EventOrigin,
  adjustments: readonly StockAdjustment[],
): Promise<Changed[]> {
  return move(
    tx,
    origin,
    adjustments.map(({ id, reason, reference, lines }) => {
      const data: InventoryEvents["inventory.stock_adjusted"] = { commandId: id, reason, lines };
      const stream = `stock_command:${id}`;
      const event = { type: "inventory.stock_adjusted", version: 1, stream, data };
      return { id, reason, reference, lines, event };
    }),
  );
}

/** Moves units between locations inside the caller's transaction. @returns one result per transfer */
export function transferStock(
  tx: TenantTx,
  origin: EventOrigin,
  transfers: readonly StockTransfer[],
): Promise<Changed[]> {
  return move(
    tx,
    origin,
    transfers.map(({ id, from, to, reference, lines }) => {
      const data: InventoryEvents["inventory.stock_transferred"] = {
        commandId: id,
        from,
        to,
        lines,
      };
      const stream = `stock_command:${id}`;
      const event = { type: "inventory.stock_transferred", version: 1, stream, data };
      const steps = lines.flatMap(({ variantId, quantity }) => [
        { variantId, locationId: from, quantity: -quantity },
        { variantId, locationId: to, quantity },
      ]);
      return { id, reason: "transferred", reference, lines: steps, event };
    }),
  );
}

async function move(
  tx: TenantTx,
  origin: EventOrigin,
  commands: readonly MovementCommand[],
): Promise<Changed[]> {
  if (commands.length === 0) return [];
  const steps = commands.flatMap((command) => command.lines);
  openCells(tx, steps);
  const [states, earlier] = await Promise.all([
    lockCellStates(tx, steps),
    readMovements(
      tx,
      commands.map((command) => command.id),
    ),
  ]);
  const cells = new Map(states.map((state) => [keyOf(state), state]));
  const changed = new Map<string, CellState>();
  const known = new Map<StockCommandId, readonly Step[]>(earlier);
  const movements: NewMovement[] = [];
  const events: NewEvent[] = [];
  const results = commands.map((command): Changed => {
    const { id, reason, reference } = command;
    const sound = checkSteps(command.lines);
    if (sound) return fail({ code: "inventory.invalid_lines", reason: sound });
    const before = known.get(id);
    if (before) return isSame(before, command.lines) ? ok({ id }) : differs(id);
    const applied = applySteps(cells, command.lines);
    if (!applied.ok) return applied;
    for (const state of applied.value) {
      cells.set(keyOf(state), state);
      changed.set(keyOf(state), state);
    }
    known.set(id, command.lines);
    movements.push(
      ...command.lines.map((step, line) => ({ id, line, ...step, reason, reference })),
    );
    events.push(command.event);
    return ok({ id });
  });
  writeCells(tx, [...changed.values()]);
  insertMovements(tx, movements);
  appendEvents(tx, origin, events);
  return results;
}

function differs(id: StockCommandId): Changed {
  return fail({ code: "inventory.command_differs", id });
}

function checkSteps(steps: readonly Step[]): string | undefined {
  if (steps.length === 0 || steps.length > 2 * linesMax) return `1 to ${linesMax} lines`;
  const sound = steps.every(({ quantity }) => {
    const size = Math.abs(quantity);
    return Number.isSafeInteger(quantity) && size > 0 && size <= quantityMax;
  });
  if (!sound) return `a quantity is a whole number other than 0, ${quantityMax} at most`;
  return undefined;
}

/** Applies steps to cells, all or none; later steps see the earlier ones. Pure. */
function applySteps(
  cells: ReadonlyMap<string, CellState>,
  steps: readonly Step[],
): Result<readonly CellState[], StockFailure> {
  const changed = new Map<string, CellState>();
  // What comes in is counted before what goes out: the order of lines does not matter.
  for (const step of steps.toSorted((a, b) => b.quantity - a.quantity)) {
    const { variantId, locationId, quantity } = step;
    const state = changed.get(keyOf(step)) ?? cells.get(keyOf(step));
    if (!state) return fail({ code: "inventory.location_not_found", locationId });
    const next = { ...state, onHand: state.onHand + quantity };
    if (!isSound(next)) {
      const available = state.onHand + state.backorderLimit - state.reserved;
      return fail({ code: "inventory.insufficient_stock", variantId, locationId, available });
    }
    changed.set(keyOf(step), next);
  }
  return ok([...changed.values()]);
}

/** What the table's checks demand, so that a refusal has a name. */
function isSound({ onHand, reserved, backorderLimit }: CellState): boolean {
  return onHand <= quantityMax && reserved <= onHand + backorderLimit && onHand >= -backorderLimit;
}

function isSame(before: readonly Step[], steps: readonly Step[]): boolean {
  const sums = new Map<string, number>();
  for (const step of before) sums.set(keyOf(step), (sums.get(keyOf(step)) ?? 0) + step.quantity);
  for (const step of steps) sums.set(keyOf(step), (sums.get(keyOf(step)) ?? 0) - step.quantity);
  return [...sums.values()].every((left) => left === 0);
}

function keyOf({ variantId, locationId }: Pick<Step, "variantId" | "locationId">): string {
  return variantId + locationId;
}

/**
 * Sets counted stock and the rules of its cells, inside the caller's transaction; any number of cells
 * in four statements. A count that differs from the books becomes a movement.
 *
 * @returns the first refusal, and then nothing may be kept
 */
export async function setStock(
  tx: TenantTx,
  origin: EventOrigin,
  settings: readonly StockSetting[],
): Promise<Result<{ readonly changed: number }, StockFailure>> {
  openCells(tx, settings);
  const states = await lockCellStates(tx, settings);
  const cells = new Map(states.map((state) => [keyOf(state), state]));
  const movements: NewMovement[] = [];
  for (const setting of settings) {
    const { variantId, locationId } = setting;
    const state = cells.get(keyOf(setting));
    if (!state) return fail({ code: "inventory.location_not_found", locationId });
    const next: CellState = {
      ...state,
      onHand: setting.onHand ?? state.onHand,
      backorderLimit: setting.backorderLimit ?? state.backorderLimit,
      lowAt: setting.lowAt === undefined ? state.lowAt : setting.lowAt,
    };
    if (!isSound(next)) {
      const available = state.onHand + state.backorderLimit - state.reserved;
      return fail({ code: "inventory.insufficient_stock", variantId, locationId, available });
    }
    cells.set(keyOf(setting), next);
    const quantity = next.onHand - state.onHand;
    if (quantity === 0) continue;
    const id = newId<"stock command">();
    movements.push({ id, line: 0, variantId, locationId, quantity, reason: "counted" });
  }
  writeCells(tx, [...cells.values()]);
  insertMovements(tx, movements);
  appendEvents(tx, origin, movements.map(countedEvent));
  return ok({ changed: movements.length });
}

function countedEvent({ id, variantId, locationId, quantity }: NewMovement): NewEvent {
  const data: InventoryEvents["inventory.stock_adjusted"] = {
    commandId: id as StockCommandId,
    reason: "counted",
    lines: [{ variantId, locationId, quantity }],
  };
  return { type: "inventory.stock_adjusted", version: 1, stream: `stock_command:${id}`, data };
}
