import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { must } from "../../testing/brand.ts";
import { askCli, startCli } from "../../testing/cli.ts";
import type { TestDatabase } from "../../testing/database.ts";
import { findOptional, skipWithout } from "../../testing/optional.ts";
import { openTestShop, type TestShop, until } from "../../testing/shop.ts";
import { examine } from "../doctor/doctor.ts";
import type { ImportReport } from "./import.ts";

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
let shop: TestShop;
let folder: string;

before(async () => {
  shop = await openTestShop();
  folder = mkdtempSync(path.join(tmpdir(), "brandos-retail-"));
});
after(async () => {
  await shop.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Setup {
  readonly tenantId: ReturnType<typeof newId<"tenant">>;
  readonly slug: string;
  readonly run: (file: string) => Promise<ImportReport>;
}

async function setup(): Promise<Setup> {
  const tenantId = newId<"tenant">();
  const slug = `retail-${tenantId.slice(-12)}`;
  const ctx = {
    tenantId,
    actor: { kind: "operator", id: "test" } as const,
    requestId: "test",
  };
  must(
    await shop.app.tenants.create(ctx, {
      id: tenantId,
      slug,
      name: slug,
      currencies: ["GBP"],
      defaultCurrency: "GBP",
      defaultLocale: "en",
      pricesIncludeTax: true,
      style: "pool",
    }),
  );
  const run = (file: string) =>
    askCli<ImportReport>(shop.database.ownerUrl, [
      "import",
      "online-retail",
      file,
      "--tenant",
      slug,
    ]);
  return { tenantId, slug, run };
}

function write(name: string, rows: readonly string[]): string {
  const file = path.join(folder, name);
  writeFileSync(file, `${[header, ...rows].join("\r\n")}\r\n`);
  return file;
}

/** Net sums in minor units by day, product and customer, as the database has them. */
async function sumsOf(database: TestDatabase, tenantId: string) {
  const grouped = async (key: string, text: string) => {
    const rows = await database.query<{ key: string; net: string }>(
      `select ${key} as key, sum(net)::text as net from (${text}) moved
       group by 1 having sum(net) <> 0`,
      [tenantId],
    );
    return new Map(rows.map(({ key: name, net }) => [name, Number(net)]));
  };
  const movements = `
    select to_char(placed_at at time zone 'UTC', 'YYYY-MM-DD') as day, customer_id,
      total_minor as net from shared.orders where tenant_id = $1
    union all
    select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD'), customer_id, -refund_minor
      from shared.returns where tenant_id = $1`;
  const units = `
    select sku, total_minor as net from shared.order_lines where tenant_id = $1
    union all select sku, -refund_minor from shared.return_lines where tenant_id = $1`;
  return {
    days: await grouped("day", movements),
    products: await grouped("sku", units),
    customers: await grouped(
      "coalesce(substring(email from '-(\\d+)@'), 'guest')",
      `select c.email, m.net from (${movements}) m
       left join shared.customers c on c.tenant_id = $1 and c.id = m.customer_id`,
    ),
  };
}

async function broken({ tenantId }: Setup): Promise<readonly string[]> {
  const findings = await examine(shop.app.db, tenantId);
  return findings
    .filter(({ holds }) => !holds)
    .map(({ id, violations }) => `${id} ${JSON.stringify(violations.slice(0, 2))}`);
}

const tables = [
  "orders",
  "order_lines",
  "returns",
  "return_lines",
  "stock",
  "stock_movements",
  "ledger_entries",
  "payments",
];

/** All that an import writes, as a text: nothing changed while it stays the same. */
async function fingerprint(tenantId: string): Promise<string> {
  const parts: string[] = [];
  for (const table of tables) {
    const [row] = await shop.database.query<{ hash: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '')
         as hash from shared.${table} t where tenant_id = $1`,
      [tenantId],
    );
    parts.push(`${table} ${row?.hash}`);
  }
  return parts.join("\n");
}

const small = [
  // Two whole rows and one with a price of three places.
  "536365,85123A,WHITE HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom",
  '536365,71053,"LANTERN, WHITE ""METAL""",6,2010-12-01 08:26:00,3.39,17850,United Kingdom',
  "536365,84406B,COAT HANGER,3,2010-12-01 08:26:00,0.425,17850,United Kingdom",
  // Postage, a manual charge, a discount given back; a guest.
  "536370,POST,POSTAGE,3,2010-12-01 08:45:00,18,12583,France",
  "536370,22728,CLOCK,24,2010-12-01 08:45:00,3.75,12583,France",
  "536371,M,Manual,1,2010-12-01 09:00:00,1.25,,United Kingdom",
  "536371,22728,CLOCK,1,2010-12-01 09:00:00,3.75,,United Kingdom",
  "C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527,United Kingdom",
  // Bought before: matched in part. Never bought: without a receipt. A guest: without a receipt.
  "C536400,85123A,WHITE HEART,-4,2010-12-02 10:00:00,2.55,17850,United Kingdom",
  "C536401,99999,NEVER BOUGHT,-2,2010-12-02 10:00:00,1.10,17850,United Kingdom",
  "C536402,22728,CLOCK,-1,2010-12-02 10:00:00,3.75,,United Kingdom",
  // More than was bought: the rest is without a receipt.
  "C536403,71053,LANTERN,-10,2010-12-03 10:00:00,3.39,17850,United Kingdom",
  // Stock that went without a sale.
  "536589,21777,damaged,-10,2010-12-01 16:50:00,0,,United Kingdom",
  // Rows that cannot be used.
  "536600,,NO CODE,1,2010-12-01 17:00:00,1,,United Kingdom",
  "536601,22728,CLOCK,x,2010-12-01 17:00:00,1,,United Kingdom",
  "536602,22728,CLOCK,1,yesterday,1,,United Kingdom",
  "536603,22728,CLOCK,1,2010-12-01 17:00:00,cheap,,United Kingdom",
  "nonsense,22728,CLOCK,1,2010-12-01 17:00:00,1,,United Kingdom",
];

describe("importing a shop's history", () => {
  test("keeps every total exact, and says which rows it could not use", async () => {
    const retail = await setup();
    const report = await retail.run(write("small.csv", small));
    assert.equal(report.rows, 18);
    assert.deepEqual(
      report.refusedRows.map(({ line }) => line),
      [15, 16, 17, 18, 19],
    );
    assert.deepEqual(report.refusedInvoices, []);
    // 15.30 + 20.34 + 1.275 + 54 + 90 + 1.25 + 3.75, the half penny rounded up.
    assert.equal(report.salesMinor, 18_592);
    // 27.50 + 10.20 + 2.20 + 3.75 + 33.90
    assert.equal(report.returnsMinor, 7_755);
    const { days, customers, products } = await sumsOf(shop.database, retail.tenantId);
    assert.deepEqual([...days].toSorted(), [
      ["2010-12-01", 18_592 - 2_750],
      ["2010-12-02", -1_615],
      ["2010-12-03", -3_390],
    ]);
    assert.equal(customers.get("12583"), 14_400);
    assert.equal(customers.get("14527"), -2_750);
    assert.equal(customers.get("17850"), 3_692 - 1_020 - 220 - 3_390);
    assert.equal(customers.get("guest"), 500 - 375);
    assert.equal(products.get("22728"), 9_000);
    assert.equal(products.get("POST"), 5_400);
    assert.equal(products.get("D"), -2_750);
    const [adjusted] = await shop.database.query<{ quantity: string }>(
      `select sum(quantity)::text as quantity from shared.stock_movements
       where tenant_id = $1 and reason = 'damaged'`,
      [retail.tenantId],
    );
    assert.equal(adjusted?.quantity, "-10");
    assert.deepEqual(await broken(retail), []);
  });

  test("a second time changes nothing", async () => {
    const retail = await setup();
    const file = write("twice.csv", small);
    await retail.run(file);
    const once = await fingerprint(retail.tenantId);
    const again = await retail.run(file);
    assert.equal(await fingerprint(retail.tenantId), once);
    assert.deepEqual(again.refusedInvoices, []);
    assert.ok(again.known > 0);
    assert.deepEqual(await broken(retail), []);
  });

  test("killed twice in the middle and started again comes to the same sums", async () => {
    const retail = await setup();
    const file = write("long.csv", longHistory(1_500));
    const args = ["import", "online-retail", file, "--tenant", retail.slug];
    const ordersThere = async () => {
      const [row] = await shop.database.query<{ count: string }>(
        "select count(*)::text as count from shared.orders where tenant_id = $1",
        [retail.tenantId],
      );
      return Number(row?.count);
    };
    for (const share of [100, 700]) {
      const { child, ended } = startCli(shop.database.ownerUrl, args);
      const isOver = () => child.exitCode !== null;
      await until(`${share} orders`, async () => isOver() || (await ordersThere()) >= share);
      child.kill("SIGKILL");
      const { signal, stderr } = await ended;
      assert.equal(signal, "SIGKILL", stderr);
    }
    const reached = await ordersThere();
    assert.ok(reached < 1_500, "it was killed in the middle");
    const report = await retail.run(file);
    assert.deepEqual(report.refusedInvoices, []);
    assert.ok(report.known >= reached, `${report.known} known`);
    assert.deepEqual(await differences(file, retail.tenantId), []);
    assert.deepEqual(await broken(retail), []);
  });

  test("of the real file agrees with the file to the penny", {
    skip: skipWithout("real data"),
  }, async () => {
    const file = unpackRealFile();
    const retail = await setup();
    const report = await retail.run(file);
    const { rows, invoices, refusedInvoices, salesMinor, returnsMinor } = report;
    assert.deepEqual(
      { rows, invoices, refusedInvoices },
      { rows: 142_083, invoices: 6_877, refusedInvoices: [] },
    );
    assert.equal(salesMinor, 275_638_195);
    assert.equal(returnsMinor, 26_609_494);
    assert.deepEqual(await differences(file, retail.tenantId), []);
    const { totals } = await shop.app.commerce.ledger.trialBalance(retail.tenantId);
    for (const total of totals) assert.equal(total.differenceMinor, 0);
    assert.deepEqual(await broken(retail), []);
  });
});

/** A history whose invoices sell to a few customers, every fifth of which takes goods back. */
function longHistory(orders: number): string[] {
  const rows: string[] = [];
  for (let n = 0; n < orders; n++) {
    const minute = String(n % 60).padStart(2, "0");
    const hour = String(Math.floor(n / 60) % 24).padStart(2, "0");
    const day = String(1 + Math.floor(n / 1_440)).padStart(2, "0");
    const at = `2011-01-${day} ${hour}:${minute}:00`;
    const [customer, sku] = [12_000 + (n % 37), `SKU${n % 91}`];
    const price = n % 7 === 0 ? "1.255" : `${1 + (n % 13)}.95`;
    rows.push(
      `${600_000 + n},${sku},Thing ${n % 91},${1 + (n % 5)},${at},${price},${customer},France`,
    );
    rows.push(`${600_000 + n},POST,POSTAGE,1,${at},3.5,${customer},France`);
    if (n % 5 === 4) {
      rows.push(`C${600_000 + n},${sku},Thing ${n % 91},-1,${at},${price},${customer},France`);
    }
  }
  return rows;
}

function unpackRealFile(): string {
  const orders = path.join(findOptional("real data") ?? "", "orders");
  const packed = readdirSync(orders).find((name) => /^online-retail-.*\.csv\.xz$/.test(name));
  assert.ok(packed, "the real data has online-retail-*.csv.xz");
  const file = path.join(folder, "real.csv");
  const text = execFileSync("xz", ["-dc", path.join(orders, packed)], { maxBuffer: 1 << 28 });
  writeFileSync(file, text);
  return file;
}

/**
 * Compares the database with sums computed straight from the file, by a parser of its own. An amount
 * with a fraction of a penny is carried to the next row, so that a group may differ by less than one
 * penny per sign and the whole not at all.
 */
async function differences(file: string, tenantId: string): Promise<readonly string[]> {
  const exact = {
    days: new Map<string, number>(),
    products: new Map<string, number>(),
    customers: new Map<string, number>(),
  };
  let net = 0;
  for (const line of readFileSync(file, "utf8").split(/\r?\n/).slice(1)) {
    if (line === "") continue;
    const [, sku = "", , quantity, at = "", price = "", customer = ""] = splitLine(line);
    const amount = Math.round(Number(quantity) * Number(price) * 1_000);
    const add = (sums: Map<string, number>, key: string) =>
      sums.set(key, (sums.get(key) ?? 0) + amount);
    net += amount;
    add(exact.days, at.slice(0, 10));
    add(exact.products, sku);
    add(exact.customers, customer === "" ? "guest" : customer.replace(/\.0$/, ""));
  }
  const ours = await sumsOf(shop.database, tenantId);
  const found: string[] = [];
  for (const kind of ["days", "products", "customers"] as const) {
    for (const key of new Set([...exact[kind].keys(), ...ours[kind].keys()])) {
      const [want, got] = [exact[kind].get(key) ?? 0, 10 * (ours[kind].get(key) ?? 0)];
      if (Math.abs(want - got) >= 20) found.push(`${kind} ${key}: file ${want}, database ${got}`);
    }
  }
  const total = [...ours.days.values()].reduce((sum, each) => sum + each, 0);
  if (Math.abs(total * 10 - net) >= 10) found.push(`in all: file ${net}, database ${total * 10}`);
  return found;
}

function splitLine(line: string): string[] {
  const cells: string[] = [""];
  let quoted = false;
  for (const character of line) {
    if (character === '"') quoted = !quoted;
    else if (character === "," && !quoted) cells.push("");
    else cells[cells.length - 1] += character;
  }
  return cells;
}
