import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { encodeArrays } from "./array-parameters.ts";
import { createDb, type Db } from "./db.ts";
import { DbError } from "./errors.ts";
import type { Statement } from "./sql.ts";

const nullable = <Value>(values: fc.Arbitrary<Value>) =>
  fc.array(fc.option(values, { nil: null }), { maxLength: 20 });
const whole = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
const text = fc.string({ unit: "grapheme", maxLength: 120 }).filter((it) => !it.includes("\0"));
const time = fc.date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true });
const json = fc.object({ values: [text, fc.integer()] }).map((value) => JSON.stringify(value));
const elements: Readonly<Record<string, fc.Arbitrary<readonly unknown[]>>> = {
  uuid: nullable(fc.uuid()),
  smallint: nullable(whole(16)),
  int: nullable(whole(32)),
  integer: nullable(whole(32)),
  bigint: nullable(fc.maxSafeInteger()),
  boolean: nullable(fc.boolean()),
  text: nullable(text),
  timestamptz: nullable(
    fc.oneof(
      time,
      time.map((at) => at.toISOString()),
    ),
  ),
  jsonb: nullable(json),
  json: nullable(json),
  bytea: fc.array(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 20 },
  ),
};

describe("array parameters", () => {
  let database: TestDatabase;
  let db: Db;
  before(async () => {
    database = await createTestDatabase({ lines: [] });
    db = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });

  const read = (name: string, type: string, values: readonly unknown[]) =>
    db.platform(
      "home",
      async (tx) => {
        const text = `select $1::${type}[]::text as value, cardinality($1::${type}[]) as size`;
        const row = await tx.one<{ value: string; size: number }>({ name, text, values: [values] });
        return row;
      },
      { readOnly: true, name: "test" },
    );

  for (const [type, arbitrary] of Object.entries(elements)) {
    it(`mean the same in binary as in text: ${type}`, async () => {
      await fc.assert(
        fc.asyncProperty(arbitrary, async (values) => {
          const statement: Statement = { name: "t", text: `$1::${type}[]`, values: [values] };
          assert(Buffer.isBuffer(encodeArrays(statement)[0]), "went as text");
          // Without a name nothing is encoded: the driver's own text.
          const [binary, plain] = [
            await read(`test.arrays_${type}`, type, values),
            await read("", type, values),
          ];
          assert.deepEqual(binary, plain);
        }),
        { numRuns: 60 },
      );
    });
  }

  const inexact: readonly [string, readonly unknown[]][] = [
    ["bigint", ["9223372036854775807", 2]],
    ["timestamptz", ["2026-01-01T00:00:00.123456Z"]],
    ["uuid", ["{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"]],
    ["jsonb", [{ an: "object" }]],
    ["numeric", [1.5]],
  ];
  for (const [type, values] of inexact) {
    it(`go as text when the binary form has no exact place for them: ${type}`, async () => {
      const statement: Statement = { name: "t", text: `$1::${type}[]`, values: [values] };
      assert.equal(encodeArrays(statement)[0], values);
      assert.deepEqual(
        await read(`test.arrays_text_${type}`, type, values),
        await read("", type, values),
      );
    });
  }

  const wrong: readonly [string, readonly unknown[], string][] = [
    ["smallint", [40_000], "22003"],
    ["int", [1.5], "22P02"],
    ["uuid", ["not-a-uuid-but-36-characters-long-12"], "22P02"],
    ["jsonb", ["{"], "22P02"],
    ["text", ["a\0b"], "22021"],
  ];
  for (const [type, values, sqlState] of wrong) {
    it(`are refused by the server as ever when they are wrong: ${type}`, async () => {
      await assert.rejects(
        read(`test.arrays_wrong_${type}`, type, values),
        (error) => error instanceof DbError && error.sqlState === sqlState,
      );
    });
  }
});
