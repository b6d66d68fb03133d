import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type MigrationLine, migrate } from "./migrate.ts";

const base = migrationLines.filter(({ name }) => name === "platform/db");

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase({ migrated: false });
});
after(() => database.drop());

let serial = 0;

function setup(t: TestContext, files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "brandos-migrations-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  for (const [name, text] of Object.entries(files)) write(name, text);
  const line: MigrationLine = { name: `testing/line${++serial}`, scope: "tenant", folder };
  const run = (schemas = ["shared"]) =>
    migrate({ ownerUrl: database.ownerUrl, home: true, schemas, lines: [...base, line] });
  return { line, write, run };
}

const tables = async (name: string) =>
  database.query("select 1 from pg_tables where tablename = $1", [name]);

describe("migrating", () => {
  test("applies what is missing, once, in order, in every schema", async (t) => {
    const { run, write, line } = setup(t, { "0001_a.sql": "create table steps (n int);" });
    const applied = await run(["shared", "t_one"]);
    assert.deepEqual(applied.slice(-2), [
      `shared:${line.name}/0001_a.sql`,
      `t_one:${line.name}/0001_a.sql`,
    ]);
    assert.deepEqual(await run(["shared", "t_one"]), []);
    write("0002_b.sql", "alter table steps add column m int;");
    assert.equal((await run(["shared", "t_one"])).length, 2);
    assert.equal((await tables("steps")).length, 2);
  });

  test("refuses a file that changed after it was applied", async (t) => {
    const { run, write } = setup(t, { "0001_a.sql": "create table changed (n int);" });
    await run();
    write("0001_a.sql", "create table changed (n bigint);");
    await assert.rejects(run(), /changed after it was applied; restore the file/);
  });

  test("leaves nothing of a file that fails, and tries it again", async (t) => {
    const { run, write } = setup(t, {
      "0001_a.sql": "create table half (n int); select 1 / 0;",
    });
    await assert.rejects(run(), /division by zero/);
    assert.deepEqual(await tables("half"), []);
    write("0001_a.sql", "create table half (n int);");
    await run();
    assert.equal((await tables("half")).length, 1);
  });

  test("detects a file outside a transaction that stopped half-way", async (t) => {
    const { run, write } = setup(t, {
      "0001_a.sql": "create table indexed (n int); insert into indexed values (1), (1);",
      "0002_b.sql":
        "-- brandos: no transaction\ncreate unique index concurrently indexed_n on indexed (n);",
    });
    await assert.rejects(run(), /could not create unique index/);
    await assert.rejects(run(), /was started and never finished; look at what it left behind/);
    write("0003_c.sql", "select 1;");
    await assert.rejects(run(), /never finished/);
  });

  test("by two processes at once applies each file once", async (t) => {
    const { run } = setup(t, {
      "0001_a.sql": "create table raced (n int); select pg_sleep(0.1);",
      "0002_b.sql": "insert into raced values (1);",
    });
    const both = await Promise.all([run(), run()]);
    assert.deepEqual(both.map((applied) => applied.length).toSorted(), [0, 2]);
    assert.equal((await database.query("select 1 from shared.raced")).length, 1);
  });
});
