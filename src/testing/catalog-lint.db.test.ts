import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { lintCatalog } from "./catalog-lint.ts";
import { createTestDatabase } from "./database.ts";

const schemas = ["platform", "control", "shared"];

describe("the catalog", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());

  it("lets no tenant reach another's rows", async () => {
    assert.deepEqual(await lintCatalog(database.query, schemas), []);
  });

  it("has tenant tables at all", async () => {
    const [row] = await database.query<{ count: number }>(
      `select count(*)::int as count from information_schema.columns
       where table_schema = 'shared' and column_name = 'tenant_id'`,
    );
    assert(row && row.count > 10);
  });
});

describe("a planted hole is found:", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  const columns = "tenant_id uuid not null, id uuid not null";
  const sound = `create table shared.planted (${columns}, primary key (tenant_id, id));
    select platform.protect_tenant_table('shared.planted');`;
  const holes: readonly (readonly [name: string, sql: string, expected: RegExp])[] = [
    ["no row-level security", `create table shared.planted (${columns})`, /without forced/],
    [
      "row-level security that does not bind the owner",
      `${sound} alter table shared.planted no force row level security`,
      /without forced/,
    ],
    [
      "no policy",
      `${sound} drop policy tenant on shared.planted`,
      /without a policy that binds it/,
    ],
    [
      "a policy for everybody",
      `${sound} create policy open on shared.planted using (true)`,
      /lets others than the platform role see/,
    ],
    [
      "a unique index over all tenants",
      `${sound} create unique index on shared.planted (id)`,
      /key that does not begin with tenant_id/,
    ],
    [
      "a foreign key by id alone",
      `${sound} create table shared.target (tenant_id uuid, id uuid unique);
       alter table shared.planted add foreign key (id) references shared.target (id)`,
      /foreign key that does not begin/,
    ],
    ["a table of nobody", "create table shared.planted (id uuid)", /without a tenant column/],
    [
      "a function with its owner's rights",
      "create function shared.planted() returns int language sql security definer return 1",
      /runs with its owner's rights/,
    ],
    ["a materialised view", "create materialized view shared.planted as select 1", /materialised/],
    [
      "a view that reads as its owner",
      "create view shared.planted as select 1",
      /security_invoker/,
    ],
    [
      "truncate for the application",
      `${sound} grant truncate on shared.planted to brandos_app`,
      /may truncate/,
    ],
    [
      "business rows for the platform",
      `${sound} grant select on shared.planted to brandos_platform`,
      /platform role may touch a business table/,
    ],
    [
      "a partition that is open",
      `create table shared.planted (${columns}, primary key (tenant_id, id)) partition by range (id);
       select platform.protect_tenant_table('shared.planted');
       create table shared.planted_default partition of shared.planted default`,
      /past its parent's policies/,
    ],
    ["a schema to create in", "grant create on schema shared to brandos_app", /may create/],
  ];
  for (const [name, sql, expected] of holes) {
    it(name, async () => {
      await database.query(`begin; ${sql}`);
      const found = await lintCatalog(database.query, schemas).finally(() =>
        database.query("rollback"),
      );
      assert(
        found.some((line) => /planted|brandos_app/.test(line) && expected.test(line)),
        found.join("\n"),
      );
    });
  }
});
