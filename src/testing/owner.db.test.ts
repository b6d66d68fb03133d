import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import { migrationLines } from "../migration-lines.ts";
import { migrate } from "../platform/db/migrate.ts";
import { roleNames } from "../platform/db/roles.ts";
import { createTestDatabase } from "./database.ts";

/** A database whose owner may make roles and databases, and is no superuser: what hosts give. */
async function setup(t: TestContext) {
  const database = await createTestDatabase({ migrated: false });
  const owner = `owner_${randomBytes(4).toString("hex")}`;
  await database.query(`create role ${owner} login createrole createdb password 'test-only'`);
  await database.query(`alter database ${database.name} owner to ${owner}`);
  await database.query(`grant create on schema public to ${owner}`);
  // The roles belong to the whole server: another test may have made them.
  const [version] = await database.query<{ number: number }>(
    "select current_setting('server_version_num')::int as number",
  );
  for (const role of Object.values(roleNames)) {
    const rows = await database.query("select 1 from pg_roles where rolname = $1", [role]);
    if (rows.length > 0) await database.query(`grant ${role} to ${owner} with admin option`);
  }
  t.after(async () => {
    await database.query(`reassign owned by ${owner} to current_user`);
    await database.query(`drop owned by ${owner}`);
    await database.query(`alter database ${database.name} owner to current_user`);
    await database.query(`drop role ${owner}`);
    await database.drop();
  });
  const url = new URL(database.ownerUrl);
  url.username = owner;
  // The working roles' passwords derive from the owner's: keep them as other tests know them.
  await database.query(
    `alter role ${owner} password '${decodeURIComponent(new URL(database.ownerUrl).password)}'`,
  );
  const target = { ownerUrl: url.href, home: true, schemas: ["shared"], lines: migrationLines };
  return { target, version: version?.number ?? 0 };
}

describe("migrations", () => {
  it("need no superuser, and run again without effect", async (t) => {
    const { target } = await setup(t);
    assert((await migrate(target)).length > 0);
    assert.deepEqual(await migrate(target), []);
  });
});
