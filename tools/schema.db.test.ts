import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createTestDatabase } from "../src/testing/database.ts";
import { committedSchema, describeSchema } from "./schema.ts";

describe("db/schema.sql", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  const [server] = await database.query<{ version: number }>(
    "select current_setting('server_version_num')::int / 10000 as version",
  );

  it("says what the migrations make", (t) => {
    // Other versions word the same expressions differently.
    if (server?.version !== 18) return t.skip("written on PostgreSQL 18");
    return describeSchema(database.query).then((schema) =>
      assert.equal(committedSchema(), schema, 'run "npm run schema" and review the difference'),
    );
  });

  it("would show a change of anything that matters", async () => {
    const before = await describeSchema(database.query);
    const changes = [
      "alter table platform.migrations add column extra int",
      "create index extra on platform.migrations (line)",
      "alter table platform.migrations enable row level security",
      "create policy extra on platform.migrations using (true)",
      "grant update (line) on platform.migrations to brandos_app",
      "revoke select on platform.migrations from brandos_app",
      "create view platform.extra as select 1",
      "create sequence platform.extra",
      "create function platform.extra() returns int language sql return 1",
      "alter table platform.migrations add constraint extra check (line <> '')",
      "alter table platform.migrations alter column sha256 drop not null",
      "alter table platform.migrations set (fillfactor = 50)",
    ];
    for (const change of changes) {
      await database.query(`begin; ${change}`);
      const now = await describeSchema(database.query).finally(() => database.query("rollback"));
      assert.notEqual(now, before, change);
    }
  });
});
