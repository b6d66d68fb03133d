import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { parse } from "csv-parse/sync";
import pg from "pg";
import { newId } from "../../kernel/ids.ts";
import { summaryBody } from "./bodies.ts";
import type { ExportFormat } from "./export.ts";
import type { OrderFilter } from "./index.ts";
import { freshCaller, place, someOrder, startOrders } from "./orders.fixture.ts";
import { seedOrders } from "./seed.fixture.ts";

describe("exports of orders", async () => {
  const fixture = await startOrders();
  const { orders, database } = fixture;
  after(() => fixture.stop());

  const setup = async () => {
    const ctx = freshCaller();
    await place(fixture, ctx, [
      someOrder({ number: 1, email: 'odd"quote, comma\nand line@example.com', status: "paid" }),
      someOrder({ number: 2, email: null, customerId: null, externalReference: "=SUM(A1)" }),
      someOrder({ number: 3, externalReference: 'back\\slash "é" 🙂' }),
    ]);
    const text = async (format: ExportFormat, filter: OrderFilter = {}) => {
      let all = "";
      for await (const part of orders.export(ctx, filter, format)) all += part;
      return all;
    };
    return { ctx, text };
  };

  it("write in JSON lines what lists show", async () => {
    const { ctx, text } = await setup();
    const page = await orders.list(ctx, { filter: {}, limit: 10 });
    assert(page.ok);
    const lines = (await text("jsonl")).trimEnd().split("\n");
    // A whole second is written without its zero milliseconds.
    const exported = lines.map((line) => {
      const { placedAt, updatedAt, ...rest } = JSON.parse(line);
      const iso = (at: string) => new Date(at).toISOString();
      return { ...rest, placedAt: iso(placedAt), updatedAt: iso(updatedAt) };
    });
    assert.deepEqual(
      exported,
      page.value.items.toReversed().map((order) => summaryBody(order)),
    );
  });

  it("write CSV that a CSV reader reads back", async () => {
    const { ctx, text } = await setup();
    const rows = parse(await text("csv"), { columns: true }) as Record<string, string>[];
    const page = await orders.list(ctx, { filter: {}, limit: 10 });
    assert(page.ok);
    const shown = page.value.items.toReversed();
    assert.deepEqual(
      rows.map((row) => [
        row["number"],
        row["email"],
        row["external_reference"],
        row["total_minor"],
      ]),
      shown.map((order) => [
        String(order.number),
        order.email ?? "",
        order.externalReference ?? "",
        String(order.totalMinor),
      ]),
    );
    assert.deepEqual(
      rows.map((row) => row["price_includes_tax"]),
      ["true", "true", "true"],
    );
  });

  it("are narrowed by a filter, and empty where nothing matches", async () => {
    const { text } = await setup();
    const numbers = (await text("jsonl", { status: "paid" })).match(/"number":\d+/g);
    assert.deepEqual(numbers, ['"number":1']);
    assert.equal(await text("jsonl", { status: "refunded" }), "");
    assert.match(await text("csv", { status: "refunded" }), /^id,number,[a-z_,]+\r\n$/);
  });

  it("stream every order of all months once and in order, chunk by chunk", async () => {
    const tenantId = newId<"tenant">();
    const owner = new pg.Client({ connectionString: database.ownerUrl });
    await owner.connect();
    const size = { orders: 9_000, months: 4, customers: 50 };
    await seedOrders(owner, { tenantId, ...size });
    await seedOrders(owner, { tenantId: newId(), ...size, orders: 500 });
    await owner.end();
    const numbers: number[] = [];
    fixture.statements.length = 0;
    for await (const part of orders.export(freshCaller(tenantId), {}, "jsonl")) {
      for (const line of part.trimEnd().split("\n")) numbers.push(JSON.parse(line).number);
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: size.orders }, (_, index) => index + 1),
    );
    const transactions = fixture.statements.filter(({ name }) => name === "db.begin_read").length;
    assert.equal(transactions, 5, "no transaction outlives its chunk");
  });

  it("hold no connection while a slow reader thinks, and end when it goes away", async () => {
    const { ctx } = await setup();
    const stream = orders.export(ctx, {}, "csv")[Symbol.asyncIterator]();
    await stream.next();
    await stream.next();
    const [pool] = fixture.db.pools();
    assert.equal(pool?.idle, pool?.total);
    await stream.return?.();
  });
});
