import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createJobs } from "../../platform/jobs/jobs.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { ImportId } from "./contract.ts";
import { catalogJobs, createCatalog } from "./index.ts";
import { importUpload } from "./upload-commands.ts";

describe("kept catalog files on PostgreSQL", async () => {
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
    const { tenantId } = ctx;
    const find = async (id: ImportId) => {
      const found = await catalog.findImport(tenantId, id);
      assert.ok(found);
      return found;
    };
    const chunks = async (id: ImportId) =>
      (
        await database.query<{ chunks: number }>(
          "select count(*)::int as chunks from shared.catalog_import_chunks where import_id = $1",
          [id],
        )
      )[0]?.chunks;
    return { ctx, tenantId, find, chunks };
  };
  const fileOf = (rows: number) => {
    const text = "x".repeat(2_000);
    const lines = Array.from({ length: rows }, (_, row) => `p${row},Product ${row},${text}`);
    return `${["handle,title,description", ...lines].join("\n")}\n`;
  };
  async function* bytes(text: string, chunkSize = 65_536): AsyncGenerator<Uint8Array> {
    const all = new TextEncoder().encode(text);
    for (let at = 0; at < all.length; at += chunkSize) yield all.subarray(at, at + chunkSize);
  }

  it("are imported by a job and forgotten", async () => {
    const { ctx, find, chunks } = setup();
    const id = newId<"import">();
    const file = fileOf(1_100);
    const kept = await catalog.uploadProducts(ctx, { id, format: "csv", source: bytes(file) });
    assert.ok(kept.ok);
    assert.deepEqual([kept.value.status, kept.value.bytesTotal], ["running", file.length]);
    assert.equal(await chunks(id), 3);
    const again = await catalog.uploadProducts(ctx, { id, format: "csv", source: bytes("other") });
    assert.deepEqual(again, kept);
    const finished = Promise.withResolvers<void>();
    const jobs = createJobs({
      db,
      database: "home",
      definitions: catalogJobs(db),
      pollMs: 50,
      onEvent: (event) => event.kind === "finished" && finished.resolve(),
    });
    await jobs.start();
    await finished.promise;
    await jobs.stop();
    const done = await find(id);
    assert.deepEqual([done.status, done.created, done.bytesDone], ["finished", 1_100, file.length]);
    assert.equal(await chunks(id), 0);
  });

  it("are imported from the checkpoint on when their job was interrupted", async () => {
    const { ctx, find, tenantId } = setup();
    const id = newId<"import">();
    await catalog.uploadProducts(ctx, { id, format: "csv", source: bytes(fileOf(1_200)) });
    const dying = new AbortController();
    await assert.rejects(
      importUpload(
        db,
        { ...ctx, signal: dying.signal },
        { id, format: "csv", onProgress: () => dying.abort(new Error("the worker died")) },
      ),
      /the worker died/,
    );
    const halfway = await find(id);
    assert.ok(halfway.rowsDone > 0 && halfway.rowsDone < 1_200);
    await importUpload(db, ctx, { id, format: "csv" });
    await importUpload(db, ctx, { id, format: "csv" });
    const done = await find(id);
    assert.deepEqual([done.status, done.created], ["finished", 1_200]);
    assert.equal(await catalog.count(tenantId, {}), 1_200);
  });

  it("begin anew when they are sent again before they were complete", async () => {
    const { ctx, find, chunks } = setup();
    const id = newId<"import">();
    const file = fileOf(700);
    async function* cutOff(): AsyncGenerator<Uint8Array> {
      yield* bytes(file.slice(0, 1_300_000));
      throw new Error("the line went dead");
    }
    const cut = catalog.uploadProducts(ctx, { id, format: "csv", source: cutOff() });
    await assert.rejects(cut, /the line went dead/);
    assert.equal((await find(id)).status, "receiving");
    assert.equal(await chunks(id), 1);
    assert.ok((await catalog.uploadProducts(ctx, { id, format: "csv", source: bytes(file) })).ok);
    await importUpload(db, ctx, { id, format: "csv" });
    assert.equal((await find(id)).created, 700);
  });

  it("take nothing from a request that another one has replaced", async () => {
    const { ctx, find } = setup();
    const id = newId<"import">();
    const slow = async function* (): AsyncGenerator<Uint8Array> {
      yield* bytes("handle,title\nold,Old\n".padEnd(1_100_000, "x"));
      const source = bytes("handle,title\nnew,New\n");
      assert.ok((await catalog.uploadProducts(ctx, { id, format: "csv", source })).ok);
      yield* bytes("y".repeat(1_100_000));
    };
    const replaced = await catalog.uploadProducts(ctx, { id, format: "csv", source: slow() });
    assert.ok(!replaced.ok && replaced.failure.code === "catalog.import_busy");
    await importUpload(db, ctx, { id, format: "csv" });
    assert.deepEqual([(await find(id)).created, (await find(id)).refused], [1, 0]);
    assert.ok(await catalog.find(ctx.tenantId, "new"));
  });

  it("fail as a whole when their header is not understood", async () => {
    const { ctx, find, chunks } = setup();
    const id = newId<"import">();
    await catalog.uploadProducts(ctx, { id, format: "csv", source: bytes("colour\nred\n") });
    await importUpload(db, ctx, { id, format: "csv" });
    const failed = await find(id);
    assert.equal(failed.status, "failed");
    assert.match(failed.failure ?? "", /"handle" is missing/);
    assert.equal(await chunks(id), 0);
  });
});
