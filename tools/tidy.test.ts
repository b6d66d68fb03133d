import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext, test } from "node:test";
import { layers, moduleDeps } from "./architecture.ts";
import { parseSource } from "./source.ts";
import { findStatements } from "./statements.ts";
import { tidy } from "./tidy.ts";

test("the code base keeps its own rules", () => {
  const offences = tidy(path.dirname(import.meta.dirname));
  assert.deepEqual(
    offences.map(({ file, line, rule }) => `${file}:${line}: ${rule}`),
    [],
  );
});

/** Checks a code base of these files; every exported thing in them is documented by `doc`. */
function check(t: TestContext, files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(path.join(os.tmpdir(), "brandos-tidy-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  execFileSync("git", ["init", "-q"], { cwd: root });
  execFileSync("git", ["add", "-A"], { cwd: root });
  return tidy(root).map(({ file, line, rule }) => `${file}:${line}: ${rule}`);
}

const doc = "/** Something. */\n";
const thing = `${doc}export const thing = 1;\n`;
const uses = (specifier: string) =>
  `import { thing } from "${specifier}";\n${doc}export const it = thing;\n`;

describe("a planted offence is found:", () => {
  it("a layer that imports upwards", (t) => {
    const found = check(t, {
      "src/modules/orders/contract.ts": thing,
      "src/platform/jobs/jobs.ts": uses("../../modules/orders/contract.ts"),
    });
    assert.deepEqual(found, ["src/platform/jobs/jobs.ts:1: platform may not import modules"]);
  });

  it("a module that knows another it should not", (t) => {
    const found = check(t, {
      "src/modules/payments/contract.ts": thing,
      "src/modules/orders/order.ts": uses("../payments/contract.ts"),
    });
    assert.deepEqual(found, ["src/modules/orders/order.ts:1: orders may not know payments"]);
  });

  it("a module that reaches past another's contract", (t) => {
    const found = check(t, {
      "src/modules/catalog/product.ts": thing,
      "src/modules/orders/order.ts": uses("../catalog/product.ts"),
    });
    assert.deepEqual(found, ["src/modules/orders/order.ts:1: import catalog by its contract.ts"]);
  });

  it("a store that calls a command", (t) => {
    const found = check(t, {
      "src/modules/orders/commands.ts": thing,
      "src/modules/orders/store-lines.ts": uses("./commands.ts"),
    });
    assert.deepEqual(found, [
      "src/modules/orders/store-lines.ts:1: in a module, store may not import commands",
    ]);
  });

  it("a cycle, even of types", (t) => {
    const found = check(t, {
      "src/kernel/a.ts": `import type { B } from "./b.ts";\n${doc}export interface A { b: B }\n`,
      "src/kernel/b.ts": `import type { A } from "./a.ts";\n${doc}export interface B { a: A }\n`,
    });
    assert.deepEqual(found, [
      "src/kernel/a.ts:1: import cycle: src/kernel/a.ts > src/kernel/b.ts > src/kernel/a.ts",
    ]);
  });

  it("a module's front door used by its parts, other than as a type", (t) => {
    const front = (importing: string) => ({
      "src/modules/orders/index.ts": `import { it } from "./routes.ts";\n${doc}export const thing = it;\n`,
      "src/modules/orders/routes.ts": `${importing} { thing } from "./index.ts";\n${doc}export const it = 1;\n`,
    });
    assert.deepEqual(check(t, front("import type")), []);
    assert.deepEqual(check(t, front("import")), [
      "src/modules/orders/routes.ts:1: in a module, routes may not import index",
      "src/modules/orders/index.ts:1: import cycle: " +
        "src/modules/orders/index.ts > src/modules/orders/routes.ts > src/modules/orders/index.ts",
    ]);
  });

  it("a write to another's table, a read past its view, a name used twice", (t) => {
    const found = check(t, {
      "src/modules/orders/migrations/0001.sql": "create table orders (id uuid);",
      "src/modules/catalog/migrations/0001.sql":
        "-- create table orders\ncreate table products (id uuid);",
      "src/modules/catalog/store.ts": `${doc}export const all = [
  sql("catalog.touch")\`update products set id = id\`,
  sql("catalog.cheat")\`update orders set id = id\`,
  sql("catalog.peek")\`select 1 from products join orders using (id)\`,
  sql("catalog.view")\`select 1 from orders_view\`,
  sql("catalog.touch")\`select 1\`,
];\n`,
    });
    assert.deepEqual(found, [
      'src/modules/catalog/store.ts:7: "catalog.touch" is also in src/modules/catalog/store.ts:3',
      "src/modules/catalog/store.ts:4: catalog.cheat writes to orders, which belongs to modules/orders",
      "src/modules/catalog/store.ts:5: catalog.peek reads orders of modules/orders: ask for a …_view",
    ]);
  });

  it("SQL that has no name", (t) => {
    const found = check(t, {
      "src/modules/orders/store.ts": `${doc}export const a = (c) => c.query("select 1");\n`,
    });
    assert.deepEqual(found, [
      'src/modules/orders/store.ts:2: SQL without a name: use sql("module.what_it_does")`…`',
    ]);
  });

  it("missing docstrings, leftovers, output, long lines, silenced checks", (t) => {
    const marker = "TO" + "DO";
    const found = check(t, {
      "src/kernel/a.ts": [
        "export const bare = 1;",
        `// ${marker} later`,
        "console.log(bare);",
        `// ${"x".repeat(120)}`,
        "debugger;",
        "// @ts-" + "ignore",
        'export const quoted = "debugger; console.log";',
      ].join("\n"),
    });
    assert.deepEqual(found, [
      "src/kernel/a.ts:1: export without a docstring",
      `src/kernel/a.ts:2: leftover: ${marker}`,
      "src/kernel/a.ts:3: console: report through the logger, or an event",
      "src/kernel/a.ts:4: over 120 columns",
      "src/kernel/a.ts:5: leftover: debugger",
      "src/kernel/a.ts:6: a silenced type check",
      "src/kernel/a.ts:7: export without a docstring",
    ]);
  });

  it("words of a workplace", (t) => {
    const path = ["", "work", "main"].join("/");
    const found = check(t, { "README.md": `Run it in ${path}.\n` });
    assert.deepEqual(found, [`README.md:1: speaks of the workplace: ${path}`]);
  });
});

describe("the architecture", () => {
  it("has no circle among modules or layers", () => {
    for (const table of [moduleDeps, layers]) {
      const reach = (from: string, seen: readonly string[]): void => {
        assert(!seen.includes(from) || from === "app" || from === "demo", `${seen} > ${from}`);
        if (seen.includes(from)) return;
        for (const next of table[from] ?? []) reach(next, [...seen, from]);
      };
      for (const name of Object.keys(table)) reach(name, []);
    }
  });
});

describe("reading statements", () => {
  const read = (text: string) => findStatements([parseSource("src/a.ts", text)]);

  it("numbers parameters, through nested templates and comments", () => {
    const [statement] = read(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code that is read
      'x(sql("a.b")`select ${1 /* ` */}, ${`in ${2} side`} from "t" where ${"}"} = c`);',
    );
    assert.deepEqual(statement?.texts, ['select $1, $2 from "t" where $3 = c']);
    assert.equal(statement?.name, "a.b");
  });

  it("follows fragments: inline, chosen, named, returned and joined", () => {
    const statements = read(`
const columns = fragment\`id, name\`;
const order = by ? fragment\`order by a\` : fragment\`order by b\`;
function limit(n) {
  return fragment\`limit \${n}\`;
}
function list(filter) {
  const conditions = [fragment\`tenant = \${filter.t}\`];
  if (filter.s) conditions.push(fragment\`status = \${filter.s}\`);
  return sql("a.list")\`select \${columns} from t where \${joinFragments(conditions, " and ")} \${order} \${limit(3)}\`;
}
const locked = sql("a.lock")\`select 1 from t where id = \${id} \${lock ? fragment\`for update\` : fragment\`\`}\`;
`);
    assert.deepEqual(
      statements.map(({ texts }) => texts),
      [
        [
          "select id, name from t where tenant = $1 and status = $2 order by a limit $3",
          "select id, name from t where tenant = $1 and status = $2 order by b limit $3",
          "select id, name from t where tenant = $1 order by a limit $2",
          "select id, name from t where tenant = $1 order by b limit $2",
        ],
        ["select 1 from t where id = $1 for update", "select 1 from t where id = $1 "],
      ],
    );
  });
});
