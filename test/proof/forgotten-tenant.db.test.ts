import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { createPool, type Pool } from "../../src/platform/db/pool.ts";
import { sql } from "../../src/platform/db/sql.ts";
import { openTransaction } from "../../src/platform/db/transaction.ts";
import { createTestDatabase, type TestDatabase } from "../../src/testing/database.ts";

let database: TestDatabase;
let pool: Pool;
before(async () => {
  database = await createTestDatabase();
  const { app } = database.urls;
  pool = createPool({
    name: "forgotten",
    url: app,
    searchPath: "shared,platform",
    limits: { max: 1 },
  });
});
after(async () => {
  await pool.stop();
  await database.drop();
});

test("S9: a query that forgets its tenant returns nothing, also on a connection that just served one", async (t) => {
  const tenantId = newId<"tenant">();
  const lease = await pool.acquire("test");
  t.after(() => lease.release(true));
  for (const readOnly of [false, true]) {
    const open = openTransaction(lease, {
      isolation: "read committed",
      readOnly,
      statementTimeoutMs: 10_000,
      lockTimeoutMs: 5_000,
      commitTimeoutMs: 15_000,
      prepare: true,
      tenantId,
    });
    if (!readOnly) {
      await open.tx.run(sql("test.add_location")`
        insert into stock_locations (tenant_id, id, code, name, priority, active)
        values (${tenantId}, ${newId()}, 'main', 'Main', 1, true)`);
    }
    const mine = await open.tx.rows(sql("test.locations")`select id from stock_locations`);
    assert.equal(mine.length, 1);
    await open.commit();
    const forgotten = await lease.client.query("select id from shared.stock_locations");
    assert.equal(
      forgotten.rows.length,
      0,
      `after a ${readOnly ? "reading" : "writing"} transaction`,
    );
  }
});
