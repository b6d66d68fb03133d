import assert from "node:assert/strict";
import path from "node:path";
import { after, describe, it } from "node:test";
import pg from "pg";
import { readSources } from "../../tools/source.ts";
import { findStatements, type NamedStatement } from "../../tools/statements.ts";
import { searchPath } from "../platform/db/db.ts";
import { createTestDatabase } from "./database.ts";

const root = path.join(import.meta.dirname, "../..");
const statements = findStatements(
  readSources(root, ["src"]).filter((file) => !/\.(test|fixture)\.ts$/.test(file.path)),
);
/** What PREPARE accepts; other commands have no names of tables or columns to get wrong. */
const preparable = /^\s*(with|select|insert|update|delete|merge|values|\()/i;

/** Statements whose text is partly a parameter of a function: other tests have to run them. */
const unreadableMax = 5;

describe("every named statement", async () => {
  const database = await createTestDatabase();
  const client = new pg.Client(database.ownerUrl);
  await client.connect();
  after(async () => {
    await client.end();
    await database.drop();
  });
  let prepared = 0;

  /** The first refusal if it is refused in every schema that its place may speak to. */
  const refusal = async ({ file }: NamedStatement, text: string): Promise<string | undefined> => {
    const paths = [searchPath("shared"), searchPath("")];
    if (file.startsWith("src/platform/")) paths.reverse();
    let first: string | undefined;
    for (const schemas of paths) {
      await client.query("select set_config('search_path', $1, false)", [schemas]);
      const name = `checked_${prepared++}`;
      const error = await client.query(`prepare ${name} as ${text}`).then(
        () => undefined,
        (reason: Error) => reason.message,
      );
      if (error === undefined) return undefined;
      first ??= error;
    }
    return first;
  };

  for (const statement of statements) {
    const texts = statement.texts.filter((text) => preparable.test(text));
    if (texts.length === 0) continue;
    it(`${statement.name} fits the schema`, async () => {
      for (const text of texts) {
        const reason = await refusal(statement, text);
        assert.equal(reason, undefined, `${statement.file}:${statement.line}: ${reason}\n${text}`);
      }
    });
  }

  it("can be read from the source, but for a few", () => {
    const unreadable = statements.filter(({ unresolved }) => unresolved.length > 0);
    assert(
      unreadable.length <= unreadableMax,
      `not readable: ${unreadable.map(({ name }) => name).join(", ")}`,
    );
    assert(statements.length > 100, "the reader finds the statements at all");
  });

  it("is refused when a column does not exist", async () => {
    const [statement] = statements;
    assert(statement);
    assert.match(
      (await refusal(statement, "select no_such_column from events")) ?? "",
      /does not exist/,
    );
  });
});
