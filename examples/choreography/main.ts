import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { systemContext } from "../../src/kernel/context.ts";
import { newId } from "../../src/kernel/ids.ts";
import { migrationLines } from "../../src/migration-lines.ts";
import { createDb, type Db } from "../../src/platform/db/db.ts";
import { migrate } from "../../src/platform/db/migrate.ts";
import { roleUrls } from "../../src/platform/db/roles.ts";
import { sql } from "../../src/platform/db/sql.ts";
import { startEmbeddedPostgres } from "../../src/platform/embedded/embedded.ts";
import { createSubscriptions, eventsOfStream } from "../../src/platform/events/events.ts";
import { registry, streamOf } from "./facts.ts";
import { orders, placeOrder } from "./orders.ts";
import { type Provider, payments } from "./payments.ts";
import { stock } from "./stock.ts";

// 30 orders, stock for 20, every fifth card declined, and the shop's process "dies" in the middle.
const orderCount = 30;
const unitsOnHand = 20;
const tenantId = newId<"tenant">();

/** Remembers what it was asked by key, and forgets to answer now and then. */
function createProvider(): Provider & { readonly charges: ReadonlyMap<string, number> } {
  const charges = new Map<string, number>();
  let calls = 0;
  return {
    charges,
    async charge(key, card, amountMinor) {
      if (card === "declined") return "declined";
      charges.set(key, amountMinor);
      if (++calls % 4 === 0) throw new Error("the answer was lost on the way");
      return "captured";
    },
  };
}

async function prepare(ownerUrl: string): Promise<void> {
  await migrate({ ownerUrl, home: true, schemas: ["shared"], lines: migrationLines });
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  await owner.query(`set search_path = shared, platform;
    create table shop_orders (tenant_id uuid, id uuid, status text not null,
      primary key (tenant_id, id));
    create table shop_stock (tenant_id uuid, sku text, on_hand int not null,
      reserved int not null default 0 check (reserved between 0 and on_hand),
      primary key (tenant_id, sku));
    create table shop_payments (tenant_id uuid, order_id uuid, outcome text not null,
      amount_minor bigint not null, primary key (tenant_id, order_id));
    select platform.protect_tenant_table('shop_orders');
    select platform.protect_tenant_table('shop_stock');
    select platform.protect_tenant_table('shop_payments');
    grant select, insert, update on shop_orders, shop_stock, shop_payments to brandos_app;`);
  await owner.query("insert into shop_stock values ($1, 'teapot', $2)", [tenantId, unitsOnHand]);
  await owner.end();
}

async function startShop(db: Db, provider: Provider) {
  const shop = createSubscriptions({ db, databases: [{ name: "home" }], registry, leaseMs: 1_000 });
  for (const part of [orders, stock, payments(db, provider)]) shop.register(part);
  await shop.start();
  return shop;
}

async function pendingOrders(db: Db): Promise<number> {
  const { count } = await db.read(tenantId, (tx) =>
    tx.one<{ count: number }>(
      sql("shop.pending")`select count(*) from shop_orders where status = 'pending'`,
    ),
  );
  return count;
}

/** The books: each part's own, compared. */
async function checkBooks(db: Db, charged: number): Promise<Record<string, unknown>> {
  const books = await db.read(tenantId, (tx) =>
    tx.one<Record<string, number>>(sql("shop.books")`
      select (select count(*) from shop_orders where status = 'paid') as paid,
        (select count(*) from shop_orders where status = 'cancelled') as cancelled,
        (select count(*) from shop_payments where outcome = 'captured') as captured,
        (select reserved from shop_stock) as reserved`),
  );
  assert.equal(books["paid"], books["captured"], "an order is paid if and only if it was captured");
  assert.equal(books["paid"], books["reserved"], "stock is kept for paid orders only");
  assert.equal(books["paid"], charged, "the provider charged each of them once");
  assert.equal(Number(books["paid"]) + Number(books["cancelled"]), orderCount);
  return books;
}

async function run(db: Db): Promise<void> {
  const provider = createProvider();
  const first = await startShop(db, provider);
  const ids = Array.from({ length: orderCount }, () => newId<"order">());
  for (const [index, orderId] of ids.entries()) {
    const card = index % 5 === 4 ? "declined" : "good";
    const order = { orderId, sku: "teapot", quantity: 1, amountMinor: 4_900, card };
    await placeOrder(db, systemContext(tenantId, newId()), order);
  }
  await first.stop();
  const left = await pendingOrders(db);
  process.stdout.write(`stopped the shop with ${left} orders under way; starting it again\n`);
  const second = await startShop(db, provider);
  const deadline = performance.now() + 30_000;
  while ((await pendingOrders(db)) > 0) {
    assert.ok(performance.now() < deadline, "every order comes to an end");
    // What lost its answer three times in a row was parked for a person; this is the person.
    await second.replayDeadLetters({ subscription: "shop.payments" });
    await delay(50);
  }
  // The last release of stock may follow the end of its order.
  while ((await second.status()).some(({ lagEvents }) => lagEvents > 0)) await delay(20);
  await second.stop();
  const books = await checkBooks(db, provider.charges.size);
  process.stdout.write(`${JSON.stringify(books)}\n`);
  for (const index of [0, 4]) {
    const stream = streamOf(ids[index] ?? "");
    const events = await db.read(tenantId, (tx) => eventsOfStream(tx, stream));
    process.stdout.write(`order ${index + 1}: ${events.map(({ type }) => type).join(" → ")}\n`);
  }
}

const folder = mkdtempSync(path.join(tmpdir(), "brandos-choreography-"));
const server = await startEmbeddedPostgres({ dataDir: path.join(folder, "data") });
try {
  await prepare(server.url);
  const db = createDb({
    urlsOf: () => roleUrls(server.url),
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  await run(db);
  await db.stop();
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
