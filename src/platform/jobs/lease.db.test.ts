import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ok } from "../../kernel/result.ts";
import { pinned } from "./claim.ts";
import { createJobsFixture, openDb, until } from "./jobs.fixture.ts";
import { defineJob, enqueueJobs, JobLostError, type JobRun } from "./jobs.ts";
import { removeBatches, settlePlainly } from "./settle.ts";

const soon = { baseMs: 1, maxMs: 5 };

describe("leases of jobs", async () => {
  const fixture = await createJobsFixture();
  const { database } = fixture;
  await database.query("create table shared.effects (tenant_id uuid, job_id uuid, by_run int)");
  await database.query("grant insert, select on shared.effects to brandos_app");
  const effectsOf = async (id: string) =>
    (
      await database.query<{ by_run: number }>(
        "select by_run from shared.effects where job_id = $1",
        [id],
      )
    ).map((row) => row.by_run);
  const effect = (run: JobRun) => ({
    name: "test.lease_effect",
    text: "insert into effects values ($1, $2, $3)",
    values: [run.ctx.tenantId, run.job.id, run.job.attempt],
  });
  const expireLeases = (queue: string) =>
    database.query(
      `update platform.job_workers set expires_at = now() - interval '1 second'
       where id in (select worker_id from platform.jobs_running where queue = $1)`,
      [queue],
    );

  it("runs the jobs of a silent worker elsewhere, and refuses its late completion", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const isFirstDone = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    let late: unknown;
    const definitions = [
      defineJob({
        kind: "effect",
        backoff: soon,
        handle: async (run) => {
          if (run.job.attempt === 1) await release.promise;
          try {
            await run.transact(async (tx) => {
              await tx.run(effect(run));
              return ok(undefined);
            });
          } catch (error) {
            late = error;
            isFirstDone.resolve();
            throw error;
          }
        },
      }),
    ];
    const silent = jobs({ definitions, leaseMs: 60_000 });
    await silent.start();
    const { id } = await silent.enqueue(ctx, { kind: "effect", payload: {}, queue });
    await until(async () => (await silent.find(ctx, id))?.state === "running");
    await expireLeases(queue);
    const heir = jobs({ definitions, leaseMs: 400 });
    await heir.start();
    await until(async () => (await effectsOf(id)).length === 1);
    release.resolve();
    await isFirstDone.promise;
    assert(late instanceof JobLostError);
    assert.deepEqual(await effectsOf(id), [2]);
  });

  it("lets exactly one of two runs commit when they complete at the same moment", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const inside = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const definitions = [
      defineJob({
        kind: "effect",
        backoff: soon,
        handle: async (run) => {
          await run.transact(async (tx) => {
            await tx.run(effect(run));
            if (run.job.attempt === 1) {
              inside.resolve();
              await release.promise;
            }
            return ok(undefined);
          });
        },
      }),
    ];
    const slow = jobs({ definitions, leaseMs: 60_000 });
    await slow.start();
    const { id } = await slow.enqueue(ctx, { kind: "effect", payload: {}, queue });
    await inside.promise;
    // The job is complete in an open transaction: whoever takes over has to wait for its end.
    await expireLeases(queue);
    let reclaimed = 0;
    const heir = jobs({
      definitions,
      leaseMs: 200,
      onEvent: (event) => {
        if (event.kind === "reclaimed") reclaimed += event.jobs;
      },
    });
    await heir.start();
    await until(async () => {
      const rows = await database.query(
        "select from platform.job_workers where expires_at < now()",
      );
      return rows.length === 0;
    });
    release.resolve();
    await until(async () => (await effectsOf(id)).length === 1);
    await until(async () => (await heir.find(ctx, id)) === undefined);
    assert.deepEqual(await effectsOf(id), [1]);
    assert.equal(reclaimed, 0);
  });

  it("ends every run when its own lease is lost, and goes on under a new one", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const reasons: string[] = [];
    let runs = 0;
    const made = jobs({
      leaseMs: 300,
      definitions: [
        defineJob({
          kind: "long",
          backoff: soon,
          handle: async ({ signal }) => {
            if (++runs > 1) return;
            await new Promise<void>((resolve) => {
              signal.addEventListener("abort", () => {
                reasons.push(signal.reason.name);
                resolve();
              });
            });
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "long", payload: {}, queue });
    await until(() => runs === 1);
    await database.query(
      "delete from platform.job_workers where id in (select worker_id from platform.jobs_running where queue = $1)",
      [queue],
    );
    await until(() => runs === 2);
    await until(async () => (await made.find(ctx, id)) === undefined);
    assert.deepEqual(reasons, ["JobLostError"]);
  });

  it("makes a dead letter of a job that loses its worker at every attempt", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const hang = defineJob({ kind: "hang", backoff: soon, handle: () => new Promise(() => {}) });
    const heir = jobs({ leaseMs: 200, queues: { [queue]: { concurrency: 1 } } });
    const [first] = await heir.enqueueMany(ctx, [
      { kind: "hang", payload: {}, queue, attemptsMax: 1 },
    ]);
    assert(first);
    const silent = jobs({ definitions: [hang], leaseMs: 60_000, stopLimitMs: 1 });
    await silent.start();
    await until(async () => (await silent.find(ctx, first.id))?.state === "running");
    await expireLeases(queue);
    await heir.start();
    await until(async () => (await heir.find(ctx, first.id))?.state === "dead");
    assert.equal((await heir.deadLetters.list(ctx, 1)).items[0]?.reason, "lost");
  });

  it("settles nothing behind a batch that is being removed", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const hang = defineJob({ kind: "hang", handle: () => new Promise(() => {}) });
    const made = jobs({ definitions: [hang], stopLimitMs: 1 });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "hang", payload: {}, queue });
    await until(async () => (await made.find(ctx, id))?.state === "running");
    const [batch] = await database.query<{ id: string }>(
      "select id from platform.jobs_running where queue = $1",
      [queue],
    );
    assert(batch);
    const db = openDb(database);
    t.after(() => db.stop());
    const removed = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const removing = db.platform("home", async (tx) => {
      await pinned(tx);
      await removeBatches(tx, [{ tenantId: ctx.tenantId, id: batch.id }]);
      removed.resolve();
      await mayCommit.promise;
    });
    await removed.promise;
    const job = { tenantId: ctx.tenantId, batchId: batch.id, id };
    const settling = db.commit(ctx.tenantId, (tx) => settlePlainly(tx, [job]));
    await until(async () => {
      const waiting = await database.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%jobs_settled%'",
      );
      return waiting.length === 1;
    });
    mayCommit.resolve();
    await removing;
    assert.deepEqual(await settling, []);
  });

  it("keeps a job of a transaction whose enqueuer died out of sight", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const db = openDb(database);
    const broken = db.transact(ctx.tenantId, async (tx) => {
      enqueueJobs(tx, ctx, [{ kind: "never", payload: {}, queue }]);
      throw new Error("died");
    });
    await assert.rejects(broken, /died/);
    await db.stop();
    assert.deepEqual((await made.list(ctx, "ready", 10)).items, []);
  });
});
