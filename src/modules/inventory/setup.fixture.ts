import { type Context, systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { LocationId, ReservationId, ReservationLine, ReservationRequest } from "./contract.ts";
import { createInventory, type Inventory, inventoryInvariants } from "./index.ts";

/** Inventory on a database of its own, and a fresh tenant. */
export interface InventoryBench {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly inventory: Inventory;
  readonly ctx: Context;
  readonly tenantId: TenantId;
  stop(): Promise<void>;
}

/** Opens what the tests of inventory share. */
export async function openInventoryBench(): Promise<InventoryBench> {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const tenantId = newId<"tenant">();
  return {
    database,
    db,
    inventory: createInventory({ db, uow: createUnitOfWork(db) }),
    ctx: systemContext(tenantId, "test"),
    tenantId,
    async stop() {
      await db.stop();
      await database.drop();
    },
  };
}

/** A fresh tenant with locations (asked in order) and stock: one list of units per variant. */
export async function stockedTenant(
  bench: InventoryBench,
  stock: readonly (readonly number[])[],
  backorderLimit = 0,
) {
  const tenantId = newId<"tenant">();
  const ctx = systemContext(tenantId, "test");
  const locations: LocationId[] = [];
  for (const index of (stock[0] ?? []).keys()) {
    const id = newId<"stock location">();
    locations.push(id);
    const name = `place-${index}`;
    const place = { id, code: name, name, priority: index, active: true };
    expectOk(await bench.inventory.createLocation(ctx, place));
  }
  const variants = stock.map(() => newId<"variant">());
  const settings = stock.flatMap((units, variant) =>
    units.map((onHand, place) => ({
      variantId: variants[variant] as VariantId,
      locationId: locations[place] as LocationId,
      onHand,
      backorderLimit,
    })),
  );
  expectOk(await bench.inventory.setStock(ctx, settings));
  return { ...bench, tenantId, ctx, locations, variants };
}

/** The value of an ok result. @throws when it is a refusal */
export function expectOk<Value>(
  result: { ok: true; value: Value } | { ok: false; failure: unknown },
): Value {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.failure)}`);
  return result.value;
}

/** A request for some lines under a new id. */
export function wish(
  lines: readonly ReservationLine[],
  change: Partial<ReservationRequest> = {},
): ReservationRequest {
  return { id: newId<"reservation">() as ReservationId, lines, ...change };
}

/** Runs every invariant as the tenant. @returns those that do not hold */
export function brokenInvariants({ db, tenantId }: Pick<InventoryBench, "db" | "tenantId">) {
  return db.read(tenantId, async (tx) => {
    const broken: string[] = [];
    for (const { id, sql: text } of inventoryInvariants) {
      const rows = await tx.rows({ name: `invariant ${id}`.slice(0, 60), text, values: [] });
      if (rows.length > 0) broken.push(`${id}: ${JSON.stringify(rows)}`);
    }
    return broken;
  });
}
