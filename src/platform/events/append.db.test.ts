import assert from "node:assert/strict";
import { after, test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createDb } from "../db/db.ts";
import { appendEvents } from "./events.ts";

const database = await createTestDatabase();
const db = createDb({
  urlsOf: () => database.urls,
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
after(async () => {
  await db.stop();
  await database.drop();
});

test("records events in the transaction of the change they describe", async () => {
  const tenantId = newId<"tenant">();
  await db.commit(tenantId, async (tx) => {
    appendEvents(tx, systemContext(tenantId, "req-1"), [
      { type: "orders.order_placed", version: 1, stream: "order:1", data: { total: 5 } },
    ]);
  });
  const rows = await database.query("select * from platform.events");
  assert.equal(rows.length, 1);
  console.log(rows[0]);
});
