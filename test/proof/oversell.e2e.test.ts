import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Verdict } from "../../src/cli/prove.ts";
import { askCli } from "../../src/testing/cli.ts";
import { createTestDatabase, type TestDatabase } from "../../src/testing/database.ts";

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(() => database.drop());

const races = [
  { buyers: 20, units: 7 },
  { buyers: 2_000, units: 100 },
  { buyers: 20, units: 7, kill: true },
  { buyers: 2_000, units: 1_500, kill: true },
];

describe("more buyers than units, in three processes", () => {
  for (const { buyers, units, kill } of races) {
    const how = kill ? ", one of which is killed" : "";
    test(`S1: ${buyers} buyers${how}: never more than ${units} sold`, async (t) => {
      const verdict = await askCli<Verdict>(database.ownerUrl, [
        "prove",
        `--buyers=${buyers}`,
        `--units=${units}`,
        "--processes=3",
        ...(kill ? ["--kill"] : []),
      ]);
      t.diagnostic(JSON.stringify(verdict));
      assert.deepEqual(verdict.broken, []);
      assert.ok(verdict.passed);
      assert.ok(verdict.sold <= units);
      assert.ok(verdict.confirmed <= verdict.sold, "who was told yes has an order");
      if (kill) {
        assert.equal(verdict.killed, 1);
      } else {
        assert.deepEqual(
          [verdict.sold, verdict.confirmed, verdict.refused],
          [units, units, buyers - units],
        );
        assert.equal(verdict.unanswered, 0);
      }
      const left = await database.query("select 1 from control.tenants where slug like 'prove-%'");
      assert.equal(left.length, 0, "the scratch tenant is gone");
    });
  }
});
