import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { type Backfill, runBackfill } from "./backfill.ts";
import { createDb, type Db } from "./db.ts";
import { createStatementObserver, observeWith, type SlowStatement } from "./observer.ts";
import { sql } from "./sql.ts";

const lines = [
  ...migrationLines.filter(({ name }) => name === "platform/db"),
  {
    name: "testing/notes",
    scope: "tenant" as const,
    folder: new URL("../placement/testdata/notes", import.meta.url).pathname,
  },
];

let database: TestDatabase;
let db: Db;
const slow: SlowStatement[] = [];
let observer: ReturnType<typeof createStatementObserver>;

before(async () => {
  database = await createTestDatabase({ lines });
  observer = createStatementObserver({
    slowMs: 20,
    explainUrl: database.urls.app,
    onSlow: (found) => slow.push(found),
  });
  db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: observeWith(observer.onStatement),
  });
});
after(async () => {
  await observer.settled();
  await db.stop();
  await database.drop();
});

const shout = (name: string): Backfill => ({
  name,
  async batch(tx, position, limit) {
    const rows = await tx.rows<{ id: string }>(sql("test.shout")`
      with batch as (
        select id from notes where tenant_id = ${tx.tenantId}
          and id > ${position ?? "00000000-0000-0000-0000-000000000000"}
        order by id limit ${limit} for update)
      update notes n set text = text || '!' from batch b
      where n.tenant_id = ${tx.tenantId} and n.id = b.id returning n.id`);
    const ids = rows.map((row) => row.id).toSorted();
    return { rows: rows.length, next: rows.length < limit ? undefined : ids.at(-1) };
  },
});

async function tenantWith(count: number): Promise<TenantId> {
  const tenantId = newId<"tenant">();
  await db.commit(tenantId, (tx) =>
    tx.run(sql("test.many_notes")`
      insert into notes (tenant_id, id, text)
      select ${tenantId}, gen_random_uuid(), 'hey' from generate_series(1, ${count})`),
  );
  return tenantId;
}

const textsOf = async (tenantId: TenantId) =>
  database.query("select distinct text from shared.notes where tenant_id = $1", [tenantId]);

const wait = async () => {};

describe("a backfill", () => {
  test("changes every row of every tenant once, in batches, and never again", async () => {
    const tenants = [await tenantWith(25), await tenantWith(0), await tenantWith(10)];
    const sizes: number[] = [];
    const run = { tenants, batchSize: 10, wait, onBatch: () => sizes.push(1) };
    assert.equal(await runBackfill(db, shout("test.once"), run), 35);
    assert.equal(sizes.length, 3 + 1 + 2);
    assert.equal(await runBackfill(db, shout("test.once"), run), 0);
    assert.deepEqual(await textsOf(tenants[0] as TenantId), [{ text: "hey!" }]);
  });

  test("goes on where it was when it was cut off", async () => {
    const tenantId = await tenantWith(30);
    const abort = new AbortController();
    const cut = runBackfill(db, shout("test.cut"), {
      tenants: [tenantId],
      batchSize: 10,
      wait,
      signal: abort.signal,
      onBatch: () => abort.abort(new Error("killed")),
    });
    await assert.rejects(cut, /killed/);
    const rest = await runBackfill(db, shout("test.cut"), {
      tenants: [tenantId],
      batchSize: 10,
      wait,
    });
    assert.equal(rest, 20);
    assert.deepEqual(await textsOf(tenantId), [{ text: "hey!" }]);
  });

  test("leaves others their share of the time", async () => {
    const tenantId = await tenantWith(20);
    const waits: number[] = [];
    await runBackfill(db, shout("test.throttled"), {
      tenants: [tenantId],
      batchSize: 10,
      dutyCycle: 0.25,
      wait: async (ms) => void waits.push(ms),
    });
    assert.equal(waits.length, 2);
    assert.ok(waits.every((ms) => ms > 0));
  });

  test("run twice at once changes every row once", async () => {
    const tenantId = await tenantWith(50);
    const run = () =>
      runBackfill(db, shout("test.raced"), { tenants: [tenantId], batchSize: 7, wait });
    const [a, b] = await Promise.all([run(), run()]);
    assert.equal(a + b, 50);
    assert.deepEqual(await textsOf(tenantId), [{ text: "hey!" }]);
  });
});

describe("the statement observer", () => {
  test("counts statements by name and tells slow ones with a plan without values", async () => {
    const tenantId = await tenantWith(3);
    const told = () => slow.filter(({ name }) => name === "test.slow");
    const runOnce = async () => {
      await observer.settled();
      await db.read(tenantId, (tx) =>
        tx.rows(sql("test.slow")`
          select pg_sleep(0.03) from notes where tenant_id = ${tenantId} and text = ${"canary"}
          union all select pg_sleep(0.03)`),
      );
      await observer.settled();
    };
    let runs = 0;
    // On a busy machine another statement is slow as well, and plans are asked for one at a time.
    while (!told().some(({ plan }) => plan !== undefined) && runs < 20) {
      await runOnce();
      runs++;
    }
    await runOnce();
    const plans = told().flatMap(({ plan }) => plan ?? []);
    assert.equal(plans.length, 1);
    assert.match(plans[0] ?? "", /Scan on notes/);
    assert.doesNotMatch(plans[0] ?? "", /canary/);
    assert.equal(told().at(-1)?.plan, undefined);
    const figures = observer.figures(1_000).find(({ name }) => name === "test.slow");
    assert.equal(figures?.count, runs + 1);
    assert.ok((figures?.maxMs ?? 0) >= 30);
  });
});
