import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createJobsFixture } from "./jobs.fixture.ts";
import { enqueueJobs, enqueueJobsReturning } from "./jobs.ts";

describe("enqueueing jobs", async () => {
  const fixture = await createJobsFixture();
  const { db, database } = fixture;
  const kindsIn = async (table: string, queue: string) =>
    (
      await database.query<{ kind: string }>(
        `select kind from platform.${table} where queue = $1 order by kind`,
        [queue],
      )
    ).map((row) => row.kind);

  it("keeps the jobs of a transaction that commits, and none of one that does not", async (t) => {
    const { ctx, queue } = fixture.setup(t);
    await db.transact(ctx.tenantId, async (tx) => {
      enqueueJobs(tx, ctx, [
        { kind: "kept.now", payload: { n: 1 }, queue },
        { kind: "kept.later", payload: {}, queue, runAt: new Date(Date.now() + 60_000) },
        { kind: "kept.unique", payload: {}, queue, uniqueKey: "one" },
      ]);
      return ok(undefined);
    });
    await db.transact(ctx.tenantId, async (tx) => {
      enqueueJobs(tx, ctx, [{ kind: "dropped", payload: {}, queue, uniqueKey: "two" }]);
      return fail({ code: "test.refused" });
    });
    assert.deepEqual(await kindsIn("jobs_ready", queue), ["kept.now", "kept.unique"]);
    assert.deepEqual(await kindsIn("jobs_scheduled", queue), ["kept.later"]);
    const keys = await database.query(
      "select unique_key from platform.job_uniques where queue = $1",
      [queue],
    );
    assert.deepEqual(keys, [{ unique_key: "one" }]);
  });

  it("carries any JSON and any key unharmed", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const payload = {
      text: 'line\nbreak "quoted" \\ {,} \u2028 \u{1F600}',
      deep: { list: [null, 1.5] },
    };
    const uniqueKey = 'a "key", {with} \\ all\nof it';
    await jobs().enqueueMany(ctx, [
      { kind: "odd", payload, queue },
      { kind: "odd", payload, queue, uniqueKey },
    ]);
    const rows = await database.query(
      "select payload, unique_key from platform.jobs_ready where queue = $1 order by seq",
      [queue],
    );
    assert.deepEqual(rows, [
      { payload, unique_key: null },
      { payload, unique_key: uniqueKey },
    ]);
  });

  it("returns the job that holds a key instead of making a second one", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const job = { kind: "sync", payload: {}, queue, uniqueKey: "shop" };
    const [first, twin] = await jobs().enqueueMany(ctx, [job, job]);
    const again = await jobs().enqueue(ctx, job);
    assert.equal(first?.isNew, true);
    assert.deepEqual(twin, { id: first?.id, isNew: false });
    assert.deepEqual(again, { id: first?.id, isNew: false });
    const other = await jobs().enqueue(systemContext(newId(), "other"), job);
    assert.equal(other.isNew, true);
  });

  it("makes one job when fifty callers race for a key in transactions of their own", async (t) => {
    const { ctx, queue } = fixture.setup(t);
    const job = { kind: "sync", payload: {}, queue, uniqueKey: "shop" };
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        db.commit(ctx.tenantId, async (tx) => (await enqueueJobsReturning(tx, ctx, [job]))[0]),
      ),
    );
    assert.equal(outcomes.filter((outcome) => outcome?.isNew).length, 1);
    assert.equal(new Set(outcomes.map((outcome) => outcome?.id)).size, 1);
    assert.deepEqual(await kindsIn("jobs_ready", queue), ["sync"]);
  });

  it("coalesces callers of many tenants, and keeps them apart", async (t) => {
    const { queue, jobs } = fixture.setup(t);
    const tenants = Array.from({ length: 20 }, () => systemContext(newId(), "many"));
    const made = jobs();
    const enqueued = await Promise.all(
      tenants.flatMap((ctx) =>
        [1, 2, 3].map((n) => made.enqueue(ctx, { kind: "n", payload: { n }, queue })),
      ),
    );
    assert.equal(new Set(enqueued.map((job) => job.id)).size, 60);
    for (const ctx of tenants) {
      const { items } = await made.list(ctx, "ready", 100);
      assert.deepEqual(items.map((item) => item.payload["n"]).sort(), [1, 2, 3]);
      assert(items.every((item) => item.tenantId === ctx.tenantId));
    }
  });

  it("shows a tenant nothing of another's jobs", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const stranger = systemContext(newId(), "stranger");
    const job = await jobs().enqueue(ctx, { kind: "secret", payload: {}, queue });
    assert.equal(await jobs().find(stranger, job.id), undefined);
    const refused = await jobs().cancel(stranger, job.id);
    assert(!refused.ok);
    assert.deepEqual((await jobs().list(stranger, "ready", 10)).items, []);
    const seen = await jobs().find(ctx, job.id);
    assert.equal(seen?.state, "ready");
    assert.deepEqual(seen?.origin, { requestId: ctx.requestId, actor: ctx.actor });
  });

  it("refuses what is beyond its limits before it reaches the database", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const bad = [
      { kind: "Not A Name", payload: {} },
      { kind: "big", payload: { text: "x".repeat(70_000) } },
      { kind: "big", payload: { text: "ä".repeat(40_000) } },
      { kind: "urgent", payload: {}, priority: 1_000 },
      { kind: "never", payload: {}, attemptsMax: 0 },
      { kind: "key", payload: {}, uniqueKey: "" },
    ];
    for (const job of bad) {
      await assert.rejects(jobs().enqueue(ctx, { queue, ...job }), { name: "AssertionError" });
    }
  });
});
