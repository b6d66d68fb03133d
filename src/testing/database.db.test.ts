import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import pg from "pg";
import { migrationLines } from "../migration-lines.ts";
import { createTestDatabase } from "./database.ts";
import { templateName } from "./template.ts";

describe("a test database", () => {
  it("is migrated, and no other's", async () => {
    await using one = await createTestDatabase();
    await using other = await createTestDatabase();
    await one.query("create table mine (id int)");
    const [row] = await other.query("select to_regclass('public.mine') as mine");
    assert.deepEqual(row, { mine: null });
    const [applied] = await one.query("select count(*)::int as files from platform.migrations");
    assert(Number(applied?.["files"]) > 0);
  });

  it("gives the working roles, which row-level security binds", async () => {
    await using database = await createTestDatabase();
    for (const url of Object.values(database.urls)) {
      const client = new pg.Client(url);
      await client.connect();
      const { rows } = await client.query(
        "select rolsuper or rolbypassrls as unbound from pg_roles where rolname = current_user",
      );
      await client.end();
      assert.deepEqual(rows, [{ unbound: false }]);
    }
  });

  it("is gone after drop, which may be called twice", async () => {
    const database = await createTestDatabase();
    await database.drop();
    await database.drop();
    await assert.rejects(new pg.Client(database.ownerUrl).connect(), { code: "3D000" });
  });

  it("of a dead process is dropped by the next", async () => {
    await using database = await createTestDatabase();
    const dead = spawn(process.execPath, ["-e", ""]);
    await once(dead, "exit");
    const left = database.name.replace(`_${process.pid}_`, `_${dead.pid}_`);
    await database.query(`create database ${left}`);
    const script = `import { createTestDatabase } from ${JSON.stringify(import.meta.resolve("./database.ts"))};
      await (await createTestDatabase()).drop();`;
    const next = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "inherit",
    });
    assert.deepEqual(await once(next, "exit"), [0, null]);
    const rows = await database.query("select 1 from pg_database where datname = $1", [left]);
    assert.deepEqual(rows, []);
  });

  it("can be empty, to be migrated by the test", async () => {
    await using database = await createTestDatabase({ migrated: false });
    const [row] = await database.query("select to_regnamespace('platform') as schema");
    assert.deepEqual(row, { schema: null });
  });
});

describe("a template", () => {
  it("is named after what its migrations say", () => {
    assert.equal(templateName(migrationLines), templateName([...migrationLines]));
    assert.notEqual(templateName(migrationLines), templateName(migrationLines.slice(1)));
  });
});
