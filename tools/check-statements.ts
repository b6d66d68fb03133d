import { readFileSync } from "node:fs";
import path from "node:path";
import { readersOfEverything } from "./architecture.ts";
import { listFiles, type SourceFile } from "./source.ts";
import { findStatements, type NamedStatement } from "./statements.ts";
import type { Offence } from "./tidy.ts";

/** Checks the SQL: unique names, writes to own tables only, reads of others through views. */
export function checkStatements(root: string, files: readonly SourceFile[]): Offence[] {
  const productive = files.filter(({ path: file }) => !/\.(test|fixture)\.ts$/.test(file));
  const statements = findStatements(productive);
  const { owners, offences } = readOwners(root);
  return [
    ...offences,
    ...duplicateNames(statements),
    ...statements.flatMap((statement) => foreignTables(statement, owners)),
  ];
}

interface Ownership {
  /** Table to the folder that creates it: `modules/orders`. */
  readonly owners: ReadonlyMap<string, string>;
  readonly offences: readonly Offence[];
}

/** Reads the migrations: who creates a table owns it, and names are unique in the product. */
function readOwners(root: string): Ownership {
  const owners = new Map<string, string>();
  const offences: Offence[] = [];
  const migrations = listFiles(root, "src").filter((file) => /\/migrations\/.*\.sql$/.test(file));
  for (const file of migrations) {
    const owner = file.slice("src/".length, file.indexOf("/migrations/"));
    const text = withoutComments(readFileSync(path.join(root, file), "utf8"));
    const pattern = /\bcreate\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?([\w."]+)/gi;
    for (const match of text.matchAll(pattern)) {
      const table = bare(match[1] ?? "");
      const before = owners.get(table);
      if (before !== undefined && before !== owner) {
        const line = text.slice(0, match.index).split("\n").length;
        offences.push({ file, line, rule: `${before} has a table ${table} already` });
      }
      owners.set(table, owner);
    }
  }
  return { owners, offences };
}

function withoutComments(sql: string): string {
  return sql.replace(/--[^\n]*/g, "").replace(/\/\*[\s\S]*?\*\//g, "");
}

function bare(name: string): string {
  return name.replaceAll('"', "").split(".").at(-1)?.toLowerCase() ?? "";
}

function duplicateNames(statements: readonly NamedStatement[]): Offence[] {
  const first = new Map<string, NamedStatement>();
  return statements.flatMap((statement) => {
    const { name, file, line } = statement;
    const form = /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/;
    const offences: Offence[] = [];
    if (!form.test(name))
      offences.push({ file, line, rule: `"${name}" is not module.what_it_does` });
    const before = first.get(name);
    if (before) {
      offences.push({ file, line, rule: `"${name}" is also in ${before.file}:${before.line}` });
    }
    first.set(name, before ?? statement);
    return offences;
  });
}

const verbs = ["insert into", "delete from", "merge into", "truncate", "truncate table", "update"];
const writes = new RegExp(
  `\\b(?:${verbs.join("|").replaceAll(" ", "\\s+")})\\s+(?:only\\s+)?([a-z_][\\w."]*)`,
  "gi",
);
const reads = /\b(?:from|join)\s+(?:only\s+|lateral\s+)?([a-z_][\w."]*)(?!\s*\()/gi;

function foreignTables(statement: NamedStatement, owners: Ownership["owners"]): Offence[] {
  const { file, line, name } = statement;
  const [layer = "", part = ""] = file.split("/").slice(1);
  const place = `${layer}/${part}`;
  const offences = new Set<string>();
  for (const text of statement.texts) {
    const sql = withoutComments(text);
    for (const [, table] of sql.matchAll(writes)) {
      const owner = owners.get(bare(table ?? ""));
      if (owner !== undefined && owner !== place) {
        offences.add(`${name} writes to ${bare(table ?? "")}, which belongs to ${owner}`);
      }
    }
    if (readersOfEverything.includes(layer)) continue;
    for (const [, table] of sql.matchAll(reads)) {
      const owner = owners.get(bare(table ?? ""));
      if (owner?.startsWith("modules/") && owner !== place) {
        offences.add(`${name} reads ${bare(table ?? "")} of ${owner}: ask for a …_view`);
      }
    }
  }
  return [...offences].map((rule) => ({ file, line, rule }));
}
