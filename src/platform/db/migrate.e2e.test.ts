import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import pg from "pg";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { type MigrationTarget, migrate } from "./migrate.ts";

const gate = 4_711;

test("a process that is paused in a migration is overtaken, and refused when it goes on", async () => {
  const database = await createTestDatabase({ migrated: false });
  const folder = mkdtempSync(path.join(os.tmpdir(), "brandos-migrations-"));
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  after(async () => {
    await client.end();
    rmSync(folder, { recursive: true });
    await database.drop();
  });
  const files = {
    "0001_a.sql": "create table steps (n int);",
    // Waits here until the test opens the gate.
    "0002_b.sql": `select pg_advisory_xact_lock(${gate}); insert into steps values (2);`,
    "0003_c.sql": "insert into steps values (3);",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  const base = migrationLines.filter(({ name }) => name === "platform/db");
  const line = { name: "testing/paused", scope: "tenant", folder } as const;
  const target: MigrationTarget = {
    ownerUrl: database.ownerUrl,
    home: true,
    schemas: ["shared"],
    lines: [...base, line],
    leaseMs: 1_000,
  };

  await client.query("select pg_advisory_lock($1)", [gate]);
  const child = fork(path.join(import.meta.dirname, "migrator.fixture.ts"), [
    JSON.stringify(target),
  ]);
  const said = once(child, "message");
  try {
    await untilSomebodyWaits(client);
    child.kill("SIGSTOP");
    await client.query("select pg_advisory_unlock($1)", [gate]);
    const applied = await migrate(target);
    assert.deepEqual(applied, [
      "shared:testing/paused/0002_b.sql",
      "shared:testing/paused/0003_c.sql",
    ]);
  } finally {
    child.kill("SIGCONT");
  }
  const [answer] = (await said) as [{ readonly refused?: string }];
  assert.match(answer.refused ?? "nothing", /migration shared:testing\/paused\/0002_b\.sql/);
  const { rows } = await client.query("select n from shared.steps order by n");
  assert.deepEqual(rows, [{ n: 2 }, { n: 3 }]);
});

async function untilSomebodyWaits(client: pg.Client): Promise<void> {
  for (;;) {
    const { rowCount } = await client.query(
      `select from pg_locks where locktype = 'advisory' and objid = $1 and not granted
         and database = (select oid from pg_database where datname = current_database())`,
      [gate],
    );
    if (rowCount === 1) return;
  }
}
