import type { Context } from "../../kernel/context.ts";
import { newId, newIdAt, type TenantId } from "../../kernel/ids.ts";
import { createDb, type Db, type StatementReport } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import type { Asked, NewOrder, NewOrderLine, OrderId } from "./contract.ts";
import { createOrders, insertOrders, type Orders, type OrdersDeps } from "./index.ts";

/** Orders on a database of their own. */
export interface OrdersFixture {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly orders: Orders;
  /** Every statement since the last look. */
  readonly statements: StatementReport[];
  stop(): Promise<void>;
}

/** Starts orders on a fresh database. */
export async function startOrders(deps: Partial<OrdersDeps> = {}): Promise<OrdersFixture> {
  const database = await createTestDatabase();
  const statements: StatementReport[] = [];
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: (report) => statements.push(report),
  });
  const work = createUnitOfWork(db);
  const orders = createOrders({ db, work, clock: () => new Date(), ...deps });
  return {
    database,
    db,
    orders,
    statements,
    async stop() {
      await db.stop();
      await database.drop();
    },
  };
}

/** A caller of a tenant that nobody else uses. */
export function freshCaller(tenantId: TenantId = newId<"tenant">()): Context {
  return { tenantId, actor: { kind: "api_key", id: "key" }, requestId: newId() };
}

/** A line of one unit at 10.00. */
export function someLine(overrides: Partial<NewOrderLine> = {}): NewOrderLine {
  const quantity = overrides.quantity ?? 1;
  return {
    variantId: newId<"variant">(),
    sku: "SHIRT-M",
    title: "Shirt, size M",
    quantity,
    unitPriceMinor: 1_000,
    discountMinor: 0,
    taxMinor: 160 * quantity,
    totalMinor: 1_000 * quantity,
    ...overrides,
  };
}

/** An order that adds up. */
export function someOrder(overrides: Partial<NewOrder> = {}): NewOrder {
  const placedAt = overrides.placedAt ?? new Date();
  const lines = overrides.lines ?? [someLine(), someLine({ sku: "SOCKS", quantity: 2 })];
  const subtotalMinor = lines.reduce((sum, line) => sum + line.totalMinor, 0);
  const taxMinor = lines.reduce((sum, line) => sum + line.taxMinor, 0);
  const totals = {
    subtotalMinor,
    discountMinor: 0,
    shippingMinor: 490,
    taxMinor,
    totalMinor: subtotalMinor + 490,
  };
  return {
    id: newIdAt<"order">(placedAt),
    number: 1_001,
    currency: "EUR",
    totals,
    priceIncludesTax: true,
    customerId: newId(),
    email: "Ada@Example.com",
    shippingAddress: {
      name: 'Ada "L"',
      line1: "12, Some Street",
      city: "Berlin",
      countryCode: "DE",
    },
    shippingMethod: { name: "Standard", priceMinor: 490 },
    couponCodes: ["TEN"],
    metadata: { source: "test" },
    placedAt,
    lines,
    ...overrides,
  };
}

/** Puts something in a caller's name. */
export function askedBy<Item>(origin: Context, items: readonly Item[]): Asked<Item>[] {
  return items.map((item) => ({ origin, item }));
}

/** Writes orders as checkout does. @returns their ids */
export async function place(
  { db }: OrdersFixture,
  ctx: Context,
  orders: readonly NewOrder[],
): Promise<OrderId[]> {
  await db.commit(ctx.tenantId, async (tx) => insertOrders(tx, askedBy(ctx, orders)));
  return orders.map((order) => order.id);
}

/** Types of the events of an order, in order. */
export async function eventsOf({ database }: OrdersFixture, orderId: string): Promise<string[]> {
  const rows = await database.query<{ type: string }>(
    "select type from platform.events where stream = $1 order by position",
    [`order:${orderId}`],
  );
  return rows.map((row) => row.type);
}
