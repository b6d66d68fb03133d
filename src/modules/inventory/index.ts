import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import type { Random } from "../../kernel/random.ts";
import type { Result } from "../../kernel/result.ts";
import type { BatchReport } from "../../platform/coalescer/coalescer.ts";
import type { Db } from "../../platform/db/db.ts";
import type { BadCursor } from "../../platform/http/cursor.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type { VariantId } from "../catalog/contract.ts";
import { adjustStock, setStock, transferStock } from "./change.ts";
import type {
  Availability,
  Location,
  LocationFailure,
  Movement,
  Reservation,
  ReservationId,
  ReservationRequest,
  ReservationStrategy,
  SettleFailure,
  Settlement,
  StockAdjustment,
  StockCommandId,
  StockFailure,
  StockLevel,
  StockSetting,
  StockTransfer,
} from "./contract.ts";
import { createFlash } from "./flash.ts";
import { sweepReservations } from "./jobs.ts";
import { createLocation, listLocations } from "./locations.ts";
import {
  listMovements,
  listStock,
  type MovementsRequest,
  readAvailability,
  type StockRequest,
} from "./queries.ts";
import { commitReservations, releaseReservations } from "./settle.ts";
import { readReservations } from "./store.ts";
import { createStrategies, type Reserve, type ReserveOutcome } from "./strategies.ts";

export { adjustStock, type Changed, setStock, transferStock } from "./change.ts";
export { inventoryInvariants } from "./invariants.ts";
export { expiryJob, inventoryJobs, sweepReservations } from "./jobs.ts";
export { createLocation, listLocations } from "./locations.ts";
export { readAvailability } from "./queries.ts";
export { type AttributedRequest, type Reserved, reserveEach, reserveStock } from "./reserve.ts";
export { inventoryRoutes } from "./routes.ts";
export {
  commitReservations,
  expireReservations,
  releaseReservations,
  type Settled,
} from "./settle.ts";
export type { ReserveOutcome } from "./strategies.ts";

/** What inventory needs from outside. */
export interface InventoryDeps {
  readonly db: Db;
  readonly uow: UnitOfWork;
  readonly random?: Random;
  readonly onBatch?: (report: BatchReport) => void;
}

type Once<Value, F extends { readonly code: string }> = Promise<
  Result<Value, F | IdempotencyFailure>
>;

/** What the rest of the system may ask of inventory, in transactions of its own. */
export interface Inventory {
  /** Reserves; `atomic` unless said otherwise. */
  reserve(
    ctx: Context,
    request: ReservationRequest,
    strategy?: ReservationStrategy,
  ): Promise<ReserveOutcome>;
  commitReservation(ctx: Context, id: ReservationId): Once<Settlement, SettleFailure>;
  releaseReservation(ctx: Context, id: ReservationId): Once<Settlement, SettleFailure>;
  findReservation(tenantId: TenantId, id: ReservationId): Promise<Reservation | undefined>;
  /** Gives overdue reservations back. @returns how many expired */
  expireOverdue(ctx: Context): Promise<number>;
  adjust(ctx: Context, adjustment: StockAdjustment): Once<{ id: StockCommandId }, StockFailure>;
  transfer(ctx: Context, transfer: StockTransfer): Once<{ id: StockCommandId }, StockFailure>;
  setStock(
    ctx: Context,
    settings: readonly StockSetting[],
  ): Once<{ changed: number }, StockFailure>;
  createLocation(ctx: Context, location: Location): Once<Location, LocationFailure>;
  listLocations(tenantId: TenantId): Promise<readonly Location[]>;
  availability(
    tenantId: TenantId,
    variantIds: readonly VariantId[],
  ): Promise<readonly Availability[]>;
  listStock(
    tenantId: TenantId,
    request: StockRequest,
  ): Promise<Result<Page<StockLevel>, BadCursor>>;
  listMovements(
    tenantId: TenantId,
    request: MovementsRequest,
  ): Promise<Result<Page<Movement>, BadCursor>>;
}

/** Builds the module. */
export function createInventory(deps: InventoryDeps): Inventory {
  const { db, uow } = deps;
  const classic = createStrategies({ db, random: deps.random ?? Math.random });
  const onBatch = deps.onBatch ? { onBatch: deps.onBatch } : {};
  const flash = createFlash({ db, ...onBatch });
  const strategies: Readonly<Record<ReservationStrategy, Reserve>> = { ...classic, flash };
  return {
    reserve: (ctx, request, strategy = "atomic") => strategies[strategy](ctx, request),
    commitReservation: (ctx, id) =>
      uow.transact(ctx, async (tx) => only(await commitReservations(tx, ctx, [id])), {
        name: "inventory.commit",
      }),
    releaseReservation: (ctx, id) =>
      uow.transact(ctx, async (tx) => only(await releaseReservations(tx, ctx, [id])), {
        name: "inventory.release",
      }),
    findReservation: (tenantId, id) =>
      db.read(tenantId, async (tx) => (await readReservations(tx, [id])).get(id), {
        name: "inventory.find_reservation",
      }),
    expireOverdue: (ctx) => sweepReservations(db, ctx),
    adjust: (ctx, adjustment) =>
      uow.transact(ctx, async (tx) => only(await adjustStock(tx, ctx, [adjustment])), {
        name: "inventory.adjust",
      }),
    transfer: (ctx, transfer) =>
      uow.transact(ctx, async (tx) => only(await transferStock(tx, ctx, [transfer])), {
        name: "inventory.transfer",
      }),
    setStock: (ctx, settings) =>
      uow.transact(ctx, (tx) => setStock(tx, ctx, settings), { name: "inventory.set_stock" }),
    createLocation: (ctx, location) =>
      uow.transact(ctx, (tx) => createLocation(tx, ctx, location), {
        name: "inventory.create_location",
      }),
    listLocations: (tenantId) => db.read(tenantId, listLocations, { name: "inventory.locations" }),
    availability: (tenantId, variantIds) =>
      db.read(tenantId, (tx) => readAvailability(tx, variantIds), {
        name: "inventory.availability",
      }),
    listStock: (tenantId, request) =>
      db.read(tenantId, (tx) => listStock(tx, request), { name: "inventory.stock" }),
    listMovements: (tenantId, request) =>
      db.read(tenantId, (tx) => listMovements(tx, request), { name: "inventory.movements" }),
  };
}

/** The one result of a batch of one. */
function only<Outcome>([outcome]: readonly Outcome[]): Outcome {
  return present(outcome, "the result of a batch of one");
}
