import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pg from "pg";
import { ok } from "../../kernel/result.ts";
import { createJobsFixture, openDb, until } from "./jobs.fixture.ts";
import { defineJob, enqueueJobs, type NewJob } from "./jobs.ts";

const times = (count: number, job: NewJob) => Array.from({ length: count }, () => job);

describe("the low-water mark on a real server", async () => {
  const fixture = await createJobsFixture();
  const { database } = fixture;

  const working = (onDone: (n: unknown) => void) => [
    defineJob({ kind: "work", handle: async ({ job }) => onDone(job.payload["n"]) }),
  ];

  it("finds jobs that commit long after later ones were done", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const db = openDb(database);
    t.after(() => db.stop());
    const done: unknown[] = [];
    const made = jobs({ definitions: working((n) => done.push(n)) });
    await made.start();
    const isInserted = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const late = db.transact(ctx.tenantId, async (tx) => {
      enqueueJobs(tx, ctx, [{ kind: "work", payload: { n: "late" }, queue }]);
      await tx.run({ name: "", text: "select 1", values: [] });
      isInserted.resolve();
      await mayCommit.promise;
      return ok(undefined);
    });
    await isInserted.promise;
    // Enough to move the mark far beyond the late one.
    for (let round = 0; round < 5; round++) {
      await made.enqueueMany(ctx, times(1_000, { kind: "work", payload: { n: "early" }, queue }));
      await until(() => done.length === (round + 1) * 1_000);
    }
    assert(!done.includes("late"));
    const committedAt = performance.now();
    mayCommit.resolve();
    await late;
    await until(() => done.includes("late"));
    const foundMs = performance.now() - committedAt;
    assert(foundMs < 2_000, `found after ${foundMs} ms`);
    assert.equal(done.length, 5_001);
  });

  it("finds jobs whose claim was aborted", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const done: unknown[] = [];
    const made = jobs({ definitions: working((n) => done.push(n)) });
    await made.enqueueMany(ctx, times(50, { kind: "work", payload: { n: "claimed" }, queue }));
    await made.enqueueMany(ctx, times(3_000, { kind: "work", payload: { n: "free" }, queue }));
    const other = new pg.Client({ connectionString: database.ownerUrl });
    await other.connect();
    t.after(() => other.end());
    await other.query("begin");
    const { rowCount } = await other.query(
      `delete from platform.jobs_ready where ctid = any (array(
         select ctid from platform.jobs_ready where queue = $1 order by seq limit 50 for update))`,
      [queue],
    );
    assert.equal(rowCount, 50);
    await made.start();
    await until(() => done.length === 3_000);
    assert(!done.includes("claimed"));
    await other.query("rollback");
    await until(() => done.length === 3_050);
  });

  it("loses and doubles no job when many processes enqueue and claim at once", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const counts = new Map<unknown, number>();
    const definitions = working((n) => counts.set(n, (counts.get(n) ?? 0) + 1));
    const dbs = Array.from({ length: 3 }, () => openDb(database));
    t.after(() => Promise.all(dbs.map((db) => db.stop())));
    const workers = dbs.map((db) => jobs({ db, definitions }));
    await Promise.all(workers.map((worker) => worker.start()));
    let n = 0;
    await Promise.all(
      dbs.flatMap((db) =>
        Array.from({ length: 4 }, async () => {
          for (let round = 0; round < 25; round++) {
            const first = n;
            n += 10;
            await db.transact(ctx.tenantId, async (tx) => {
              const made = Array.from({ length: 10 }, (_, index) => ({
                kind: "work",
                payload: { n: first + index },
                queue,
              }));
              enqueueJobs(tx, ctx, made);
              // Some commit late, some not at all.
              if (round % 5 === 1)
                await tx.run({ name: "", text: "select pg_sleep(0.02)", values: [] });
              if (round % 5 === 3) return { ok: false, failure: { code: "test.refused" } };
              return ok(undefined);
            });
          }
        }),
      ),
    );
    await until(() => counts.size === 2_400);
    assert.equal(counts.size, 2_400);
    assert([...counts.values()].every((count) => count === 1));
  });

  it("does not walk over finished jobs again while an old snapshot keeps their remains", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let done = 0;
    const made = jobs({
      // Small claims: each would walk the remains of all jobs before it.
      queues: { [queue]: { readAheadMax: 100 } },
      definitions: working(() => done++),
    });
    const entriesRead = async (): Promise<number> => {
      const [row] = await database.query<{ idx_tup_read: number }>(
        "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'jobs_ready_pkey'",
      );
      return row?.idx_tup_read ?? 0;
    };
    const holder = new pg.Client({ connectionString: database.ownerUrl });
    await holder.connect();
    t.after(() => holder.end());
    await holder.query("begin isolation level repeatable read");
    await holder.query("select count(*) from platform.jobs_ready");
    const before = await entriesRead();
    await made.start();
    const rounds = 8;
    for (let round = 1; round <= rounds; round++) {
      await made.enqueueMany(ctx, times(5_000, { kind: "work", payload: {}, queue }));
      await until(() => done === round * 5_000);
    }
    await made.stop();
    await holder.query("rollback");
    // Backends report their counters a second late at most, when they are used.
    let read = 0;
    await until(async () => {
      await made.queues.stats();
      read = (await entriesRead()) - before;
      return read >= rounds * 5_000;
    });
    const perJob = read / (rounds * 5_000);
    assert(perJob < 30, `${perJob} index entries read for a job`);
  });
});
