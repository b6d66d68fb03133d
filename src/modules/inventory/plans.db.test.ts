import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb, type Db, type StatementReport } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { genericPlan } from "../../testing/plans.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { LocationId, ReservationStrategy, StockCommandId } from "./contract.ts";
import { createInventory } from "./index.ts";
import { expectOk, wish } from "./setup.fixture.ts";

let database: TestDatabase;
let db: Db;
const seen = new Map<string, StatementReport>();
before(async () => {
  database = await createTestDatabase();
  db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: (report) => void seen.set(report.name.split(":")[0] ?? "", report),
  });
});
after(async () => {
  await db.stop();
  await database.drop();
});

/** 20 tenants with 1,000 cells, 2,000 settled and 100 active reservations, and movements each. */
async function seed(): Promise<TenantId> {
  await database.query(`
    with tenants as (select gen_random_uuid() as tenant_id from generate_series(1, 20)),
    places as (
      insert into shared.stock_locations (tenant_id, id, code, name)
      select tenant_id, gen_random_uuid(), 'main', 'Main' from tenants returning tenant_id, id
    )
    insert into shared.stock (tenant_id, variant_id, location_id, on_hand, reserved)
    select p.tenant_id, gen_random_uuid(), p.id, 1000, 0 from places p, generate_series(1, 1000)`);
  await database.query(`
    insert into shared.reservations (tenant_id, id, variant_id, location_id, expires_at, quantity, line, state)
    select s.tenant_id, (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
      s.variant_id, s.location_id, now() + interval '1 h', 1, 0,
      case when n = 1 and random() < 0.1 then 'active' else 'committed' end
    from shared.stock s, generate_series(1, 2) n`);
  await database.query(`
    insert into shared.stock_movements (tenant_id, id, variant_id, location_id, quantity, line, reason)
    select tenant_id, id, variant_id, location_id, quantity, line, 'sale' from shared.reservations`);
  await database.query("analyze");
  const [row] = await database.query<{ id: TenantId }>(
    "select tenant_id as id from shared.stock limit 1",
  );
  assert.ok(row);
  return row.id;
}

test("no hot statement reads a table from end to end, and months without the ids are left out", async () => {
  const tenantId = await seed();
  const ctx = systemContext(tenantId, "test");
  const inventory = createInventory({ db, uow: createUnitOfWork(db) });
  const level = expectOk(await inventory.listStock(tenantId, { limit: 1 })).items[0];
  assert.ok(level);
  const { variantId, locationId }: { variantId: VariantId; locationId: LocationId } = level;
  for (const strategy of ["atomic", "optimistic", "pessimistic"] satisfies ReservationStrategy[]) {
    const request = wish([{ variantId, quantity: 1 }], { ttlMs: 60_000 });
    expectOk(await inventory.reserve(ctx, request, strategy));
    expectOk(await inventory.commitReservation(ctx, request.id));
  }
  for (let round = 0; round < 2; round++) {
    expectOk(await inventory.reserve(ctx, wish([{ variantId, quantity: 1 }]), "flash"));
  }
  const id = newId<"stock command">() as StockCommandId;
  const lines = [{ variantId, locationId, quantity: 1 }];
  expectOk(await inventory.adjust(ctx, { id, reason: "received", lines }));
  await inventory.expireOverdue(ctx);
  await inventory.availability(tenantId, [variantId]);
  expectOk(await inventory.listMovements(tenantId, { limit: 10 }));
  expectOk(await inventory.listMovements(tenantId, { variantId, limit: 10 }));

  const month = `_y${new Date().getUTCFullYear()}m`;
  const large = new RegExp(`Seq Scan on (stock |stock$|\\w+${month})`, "m");
  const statements = [...seen].filter(([name]) => name.startsWith("inventory."));
  assert.ok(statements.length > 15);
  for (const [name, statement] of statements) {
    const plan = await genericPlan({ appUrl: database.urls.app, tenantId, statement });
    const thisMonth = plan.replaceAll(
      /Seq Scan on \w+_y\d+m\d+ \w+ {2}\(cost=0\.00\.\.0\.00.*/g,
      "",
    );
    assert.doesNotMatch(thisMonth, large, `${name}\n${plan}`);
    if (/read_reservations|lock_reservations|settle|read_movements/.test(name)) {
      assert.match(plan, /Subplans Removed/, `${name}\n${plan}`);
    }
  }
});
