import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { CatalogImport } from "./contract.ts";
import { createCatalog } from "./index.ts";

describe("catalog import on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const catalog = createCatalog({ db });

  const setup = () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    return { ctx, tenantId: ctx.tenantId };
  };
  async function* bytes(text: string, chunkSize = 10_000): AsyncGenerator<Uint8Array> {
    const all = new TextEncoder().encode(text);
    for (let at = 0; at < all.length; at += chunkSize) yield all.subarray(at, at + chunkSize);
  }
  const written = async (chunks: AsyncIterable<string>) => {
    let text = "";
    for await (const chunk of chunks) text += chunk;
    return text;
  };
  const rowsOf = (count: number) =>
    Array.from({ length: count }, (_, row) => `p${row},Product ${row},S${row},${row}.50,sale`);
  const header = "handle,title,sku,price_EUR,collections";
  const fileOf = (rows: readonly string[]) => `${[header, ...rows].join("\n")}\n`;

  it("imports the good rows, reports the bad ones and makes the collections", async () => {
    const { ctx, tenantId } = setup();
    const rows = [
      "shirt,Shirt,SH-S,19.99,tops|sale",
      'broken,"quote"x,B,1,',
      "shirt,,SH-M,29.99,",
      ",No handle,N,1,",
      "mug,Mug,SH-S,1,",
      "mug,Mug,MUG,one,",
      "mug,Mug,MUG,5,",
      "few,fields",
      "bad handle,Bad,X,5,",
    ];
    const done = await catalog.importProducts(ctx, { format: "csv", source: bytes(fileOf(rows)) });
    assert.ok(done.ok);
    const { status, rowsDone, created, updated, refused } = done.value;
    assert.deepEqual([status, rowsDone, created, updated, refused], ["finished", 9, 2, 1, 6]);
    const page = { after: 0, limit: 100 };
    const refusals = await catalog.listRefusals(tenantId, done.value.id, page);
    assert.deepEqual(
      refusals.map(({ row, line, field }) => [row, line, field]),
      [
        [2, 3, ""],
        [4, 5, "handle"],
        [5, 6, "sku"],
        [6, 7, "price_EUR"],
        [8, 9, ""],
        [9, 10, "handle"],
      ],
    );
    assert.equal(refusals[0]?.raw, rows[1]);
    const csv = await written(catalog.exportRefusals(tenantId, done.value.id));
    assert.match(csv, /^row,line,field,reason,raw\n2,3,,has text behind a closing quote,/);
    const shirt = await catalog.find(tenantId, "shirt");
    assert.deepEqual(
      shirt?.variants.map(({ sku }) => sku),
      ["SH-S", "SH-M"],
    );
    const inSale = await catalog.list(tenantId, { collection: "sale" }, { limit: 5 });
    assert.equal(inSale.length, 1);
  });

  it("goes on behind the last committed batch when the file is sent again", async () => {
    const { ctx, tenantId } = setup();
    const id = newId<"import">();
    const file = fileOf(rowsOf(1_750));
    async function* cutOff(): AsyncGenerator<Uint8Array> {
      yield* bytes(file.slice(0, file.length * 0.7));
      throw new Error("the line went dead");
    }
    await assert.rejects(catalog.importProducts(ctx, { id, format: "csv", source: cutOff() }));
    const stopped = await catalog.findImport(tenantId, id);
    assert.equal(stopped?.status, "running");
    assert.equal(stopped?.rowsDone, 1_000);
    const seen: CatalogImport[] = [];
    const onProgress = (progress: CatalogImport) => seen.push(progress);
    const done = await catalog.importProducts(ctx, {
      id,
      format: "csv",
      source: bytes(file, 777),
      onProgress,
    });
    assert.ok(done.ok);
    assert.deepEqual([done.value.rowsDone, done.value.created], [1_750, 1_750]);
    assert.deepEqual(
      seen.map(({ rowsDone }) => rowsDone),
      [1_500, 1_750],
    );
    assert.equal(done.value.bytesDone, Buffer.byteLength(file));
    assert.equal(await catalog.count(tenantId, {}), 1_750);
  });

  it("does nothing when a finished file is sent again, and refuses another file", async () => {
    const { ctx, tenantId } = setup();
    const id = newId<"import">();
    const send = (text: string) =>
      catalog.importProducts(ctx, { id, format: "csv", source: bytes(text) });
    const once = await send(fileOf(rowsOf(20)));
    const version = await db.read(tenantId, catalog.catalogVersion);
    assert.deepEqual(await send(fileOf(rowsOf(20))), once);
    const differs = {
      ok: false,
      failure: { code: "catalog.import_differs", importId: id, rows: 20 },
    };
    assert.deepEqual(await send(fileOf(rowsOf(21))), differs);
    assert.deepEqual(await send(fileOf(rowsOf(19))), differs);
    assert.deepEqual(await send(fileOf(rowsOf(20).toReversed())), differs);
    const asJson = await catalog.importProducts(ctx, { id, format: "jsonl", source: bytes("") });
    assert.deepEqual(asJson, differs);
    assert.equal(await db.read(tenantId, catalog.catalogVersion), version);
  });

  it("changes nothing when the same products are imported under another id", async () => {
    const { ctx } = setup();
    const source = () => bytes(fileOf(rowsOf(30)));
    await catalog.importProducts(ctx, { format: "csv", source: source() });
    const again = await catalog.importProducts(ctx, { format: "csv", source: source() });
    assert.ok(again.ok);
    assert.equal(again.value.unchanged, 30);
  });

  it("lets one of two win who send under one id at once", async () => {
    const { ctx, tenantId } = setup();
    const id = newId<"import">();
    const file = fileOf(rowsOf(1_200));
    const send = () => catalog.importProducts(ctx, { id, format: "csv", source: bytes(file) });
    const results = await Promise.all([send(), send(), send()]);
    for (const result of results) {
      assert.ok(result.ok || result.failure.code === "catalog.import_busy");
    }
    const last = await send();
    assert.ok(last.ok);
    assert.deepEqual([last.value.rowsDone, last.value.created], [1_200, 1_200]);
    assert.equal(await catalog.count(tenantId, {}), 1_200);
  });

  it("refuses a file whose header it does not understand, and an empty one", async () => {
    const { ctx } = setup();
    for (const text of ["name,price\na,1\n", ""]) {
      const done = await catalog.importProducts(ctx, { format: "csv", source: bytes(text) });
      assert.ok(!done.ok && done.failure.code === "catalog.import_header");
    }
  });

  it("imports JSON lines and writes them again as they came", async () => {
    const one = setup();
    const two = setup();
    const lines = [
      {
        handle: "shirt",
        title: "Shirt",
        description: 'Soft, "really"',
        status: "published",
        category: "Clothing",
        collections: ["tops"],
        metadata: { origin: "PT" },
        media: [{ url: "/a.png", alt: "a, b" }],
        variants: ["S", "M"].map((size) => ({
          sku: `SH-${size}`,
          optionValues: { Size: size },
          prices: [
            { currency: "EUR", amountMinor: 1999, compareAtMinor: 2499 },
            { currency: "EUR", amountMinor: 1799, minQuantity: 10 },
          ],
        })),
      },
      { handle: "mug", title: "Mug" },
    ].map((product) => JSON.stringify(product));
    const source = bytes(`${lines.join("\n")}\nnonsense\n`);
    const done = await catalog.importProducts(one.ctx, { format: "jsonl", source });
    assert.ok(done.ok);
    assert.deepEqual([done.value.created, done.value.refused], [2, 1]);
    for (const format of ["jsonl", "csv"] as const) {
      const file = await written(catalog.exportProducts(one.tenantId, format));
      const same = await catalog.importProducts(one.ctx, { format, source: bytes(file) });
      assert.ok(same.ok);
      assert.equal(same.value.unchanged, same.value.rowsDone, format);
      const there = await catalog.importProducts(two.ctx, { format, source: bytes(file) });
      assert.ok(there.ok && there.value.refused === 0, format);
      const again = await written(catalog.exportProducts(two.tenantId, "csv"));
      const before = await written(catalog.exportProducts(one.tenantId, "csv"));
      assert.equal(again, before);
    }
  });

  it("reads a line that no database takes as a refusal and keeps its neighbours", async () => {
    const { ctx, tenantId } = setup();
    const lines = ["a", "nul\u{0}", "b", "half\u{d800}", "c"].map((title, index) =>
      JSON.stringify({ handle: `h${index}`, title }),
    );
    const source = bytes(lines.join("\n"));
    const done = await catalog.importProducts(ctx, { format: "jsonl", source });
    assert.ok(done.ok);
    assert.deepEqual([done.value.created, done.value.refused], [3, 2]);
    const refusals = await catalog.listRefusals(tenantId, done.value.id, { after: 0, limit: 9 });
    assert.deepEqual(
      refusals.map(({ row, field }) => [row, field]),
      [
        [2, "title"],
        [4, "title"],
      ],
    );
  });

  it("keeps its memory flat, however long the file", async () => {
    const { ctx, tenantId } = setup();
    async function* long(count: number): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode(`${header},description\n`);
      const text = "x".repeat(2_000);
      for (let row = 0; row < count; row++) {
        yield new TextEncoder().encode(`bad handle,,S${row},1,,${text}\n`);
      }
    }
    const peaks: number[] = [];
    const onProgress = () => peaks.push(process.memoryUsage().heapUsed);
    const command = { format: "csv" as const, source: long(15_000), onProgress };
    const done = await catalog.importProducts(ctx, command);
    assert.ok(done.ok && done.value.refused === 15_000);
    const megabytes = Math.max(...peaks) / 2 ** 20;
    assert.ok(megabytes < 120, `${Math.round(megabytes)} MB of heap for a 30 MB file`);
    assert.equal(await catalog.count(tenantId, {}), 0);
  });
});
