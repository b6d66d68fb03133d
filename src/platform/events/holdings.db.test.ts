import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { beat, createCursors, type Holder } from "./cursors.ts";
import { setup } from "./events.fixture.ts";
import { createHoldings } from "./holdings.ts";

const name = "test.all";

test("what was given back is not taken again from an answer of before", async () => {
  await using log = await setup();
  const holder: Holder = { db: log.db, database: "home", node: newId(), leaseMs: 10_000 };
  await createCursors(holder, [{ name, from: "beginning" }]);
  const before = (await beat(holder, [name], [])).held;
  assert.equal(before.length, 8);
  const holdings = createHoldings(holder, name);
  holdings.reconcile(before, 4);
  assert.equal(await holdings.refresh(), true);
  holdings.reconcile(before, 4);
  assert.equal(holdings.list().length, 4);
  assert.equal(await holdings.refresh(), false);
  // Nobody else is there: it claims them anew.
  holdings.reconcile((await beat(holder, [name], [])).held, 8);
  assert.equal(holdings.list().length, 8);
});

test("a heartbeat while it asks what it holds is not forgotten", async () => {
  await using log = await setup();
  const holder: Holder = { db: log.db, database: "home", node: newId(), leaseMs: 10_000 };
  await createCursors(holder, [{ name, from: "beginning" }]);
  const holdings = createHoldings(holder, name);
  holdings.distrust();
  const refreshing = holdings.refresh();
  // Its answer is on the way, and says that nothing is held.
  holdings.reconcile((await beat(holder, [name], [])).held, 8);
  await refreshing;
  assert.equal(holdings.list().length, 8);
});
