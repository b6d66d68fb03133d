import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { migrationLines } from "../../migration-lines.ts";
import { migrationFiles } from "./migrate.ts";
import { lintMigration } from "./migration-lint.ts";

const rulesOf = (text: string) => lintMigration(text).map(({ rule }) => rule);

test("no migration of the product is unsafe", () => {
  const offences = migrationLines.flatMap((line) =>
    migrationFiles(line).flatMap((file) => {
      const text = readFileSync(path.join(line.folder, file), "utf8");
      return lintMigration(text).map(
        (offence) => `${line.name}/${file}:${offence.line} ${offence.rule}: ${offence.advice}`,
      );
    }),
  );
  assert.deepEqual(offences, []);
});

describe("an unsafe statement on a table that exists is refused:", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["index", "create index a on orders (b);"],
    ["index", "create unique index a on orders (b);"],
    ["not-null-column", "alter table orders add column note text not null;"],
    [
      "volatile-default",
      "alter table orders add column key uuid not null default gen_random_uuid();",
    ],
    ["generated-column", "alter table orders add total bigint generated always as (a + b) stored;"],
    ["set-not-null", "alter table orders alter column note set not null;"],
    ["column-type", "alter table orders alter column note type varchar(5);"],
    ["rename", "alter table orders rename column note to notes;"],
    ["rename", "alter table orders rename to purchases;"],
    ["drop-column", "alter table orders drop column note;"],
    ["drop", "drop table orders;"],
    ["drop-index", "drop index orders_note;"],
    ["constraint", "alter table orders add constraint c check (note <> '');"],
    [
      "constraint",
      "alter table orders add foreign key (tenant_id, x) references y (tenant_id, id);",
    ],
    ["unique-constraint", "alter table orders add constraint u unique (tenant_id, note);"],
    ["data", "update orders set note = '';"],
    ["data", "delete from orders where note is null;"],
    ["lock", "lock table orders in exclusive mode;"],
    ["lock", "truncate orders;"],
    ["concurrently", "create index concurrently a on orders (b);"],
  ];
  for (const [rule, text] of cases) {
    test(`${rule}: ${text}`, () => assert.deepEqual(rulesOf(text), [rule]));
  }
});

describe("a safe statement passes:", () => {
  const cases = [
    "create table new (n int); create index a on new (n); alter table new add unique (n);",
    "create table new (n int); insert into new values (1); update new set n = 2;",
    "alter table orders add column note text;",
    "alter table orders add column state text not null default 'new';",
    "alter table orders add constraint c check (note <> '') not valid;",
    "alter table orders validate constraint c;",
    "alter table orders add constraint u unique using index orders_note;",
    "-- brandos: no transaction\ncreate index concurrently a on orders (b);",
    "-- brandos: contract\nalter table orders drop column note;",
    "-- brandos: allow data: ten rows of configuration\nupdate settings set a = 1;",
    "create function f() returns void language sql as $$ update orders set note = ''; $$;",
    "comment on table orders is 'drop table orders; update orders set x = 1';",
  ];
  for (const text of cases) test(text, () => assert.deepEqual(rulesOf(text), []));
});

test("an offence names its line", () => {
  const text = "-- one\ncreate table a (n int);\n\n-- why\ndrop table b;\n";
  assert.equal(lintMigration(text)[0]?.line, 5);
});

test("a permission counts for its own statement and rule only", () => {
  assert.deepEqual(rulesOf("-- brandos: contract\ndrop table a;\ndrop table b;"), ["drop"]);
  assert.deepEqual(rulesOf("-- brandos: allow data: tiny\ntruncate a;"), ["lock"]);
  assert.deepEqual(rulesOf("-- brandos: allow data:\nupdate a set b = 1;"), ["data"]);
});
