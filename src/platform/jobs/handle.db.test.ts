import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fail, ok } from "../../kernel/result.ts";
import { createJobsFixture, until } from "./jobs.fixture.ts";
import { defineJob, JobRefusedError, type JobRun, JobSnoozeError } from "./jobs.ts";

const soon = { baseMs: 1, maxMs: 5 };

describe("handling jobs", async () => {
  const fixture = await createJobsFixture();
  const { database } = fixture;
  await database.query("create table shared.effects (tenant_id uuid, job_id uuid)");
  await database.query("grant insert, select on shared.effects to brandos_app");
  const effectsOf = async (id: string) =>
    (await database.query("select from shared.effects where job_id = $1", [id])).length;
  const effect = (run: JobRun) => ({
    name: "test.effect",
    text: "insert into effects values ($1, $2)",
    values: [run.ctx.tenantId, run.job.id],
  });

  it("runs a job once, on behalf of who enqueued it", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const runs: JobRun[] = [];
    const made = jobs({
      definitions: [defineJob({ kind: "greet", handle: async (run) => void runs.push(run) })],
    });
    await made.start();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await made.enqueue({ ...ctx, traceparent }, { kind: "greet", payload: { name: "Ada" }, queue });
    await until(() => runs.length > 0);
    await made.stop();
    assert.equal(runs.length, 1);
    assert.deepEqual(runs[0]?.job.payload, { name: "Ada" });
    assert.equal(runs[0]?.job.attempt, 1);
    assert.equal(runs[0]?.ctx.requestId, ctx.requestId);
    assert.equal(runs[0]?.ctx.traceparent, traceparent);
    assert.equal(runs[0]?.ctx.tenantId, ctx.tenantId);
    assert.deepEqual(
      await database.query("select from platform.jobs_running where queue = $1", [queue]),
      [],
    );
  });

  it("tries again with a growing attempt, then makes a dead letter that can be replayed", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const attempts: number[] = [];
    let isBroken = true;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "flaky",
          backoff: soon,
          handle: async ({ job }) => {
            attempts.push(job.attempt);
            if (isBroken) throw new Error(`broken ${job.attempt}`);
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "flaky", payload: {}, queue, attemptsMax: 3 });
    await until(async () => (await made.find(ctx, id))?.state === "dead");
    assert.deepEqual(attempts, [1, 2, 3]);
    const [letter] = (await made.deadLetters.list(ctx, 10)).items;
    assert.equal(letter?.reason, "exhausted");
    assert.match(letter?.lastError ?? "", /broken 3/);
    isBroken = false;
    assert.deepEqual(await made.deadLetters.replay(ctx, [id]), [id]);
    await until(() => attempts.length === 4);
    assert.equal(attempts[3], 1);
    await until(async () => (await made.find(ctx, id)) === undefined);
    assert.deepEqual((await made.deadLetters.list(ctx, 10)).items, []);
  });

  it("parks a refused job at once, and postpones a snoozed one without using an attempt", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const attempts: number[] = [];
    const made = jobs({
      definitions: [
        defineJob({
          kind: "hopeless",
          handle: async () => Promise.reject(new JobRefusedError("no")),
        }),
        defineJob({
          kind: "patient",
          handle: async ({ job }) => {
            attempts.push(job.attempt);
            if (attempts.length < 3) throw new JobSnoozeError(1);
          },
        }),
      ],
    });
    await made.start();
    const hopeless = await made.enqueue(ctx, { kind: "hopeless", payload: {}, queue });
    await made.enqueue(ctx, { kind: "patient", payload: {}, queue, attemptsMax: 1 });
    await until(() => attempts.length === 3);
    assert.deepEqual(attempts, [1, 1, 1]);
    await until(async () => (await made.find(ctx, hopeless.id))?.state === "dead");
    assert.equal((await made.deadLetters.list(ctx, 10)).items[0]?.reason, "refused");
    assert.equal(await made.deadLetters.discard(ctx, [hopeless.id]), 1);
  });

  it("completes a job in the commit of its effects", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let runs = 0;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "effect",
          backoff: soon,
          handle: async (run) => {
            runs++;
            await run.transact(async (tx) => {
              await tx.run(effect(run));
              return ok(undefined);
            });
            // Too late to matter: the job is complete, and does not run again.
            throw new Error("after the commit");
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "effect", payload: {}, queue });
    await until(async () => (await effectsOf(id)) === 1);
    await until(async () => (await made.find(ctx, id)) === undefined);
    await made.stop();
    assert.equal(runs, 1);
    assert.equal(await effectsOf(id), 1);
  });

  it("keeps neither effect nor completion of a refused unit of work", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let runs = 0;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "effect",
          backoff: soon,
          handle: async (run) => {
            const isLast = ++runs === 2;
            const result = await run.transact(async (tx) => {
              await tx.run(effect(run));
              return isLast ? ok(undefined) : fail({ code: "test.not_yet" });
            });
            if (!result.ok) throw new Error(result.failure.code);
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "effect", payload: {}, queue });
    await until(async () => runs === 2 && (await effectsOf(id)) === 1);
    await until(async () => (await made.find(ctx, id)) === undefined);
    assert.equal(runs, 2);
  });

  it("frees a unique key with the job that held it, however it ends", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs({
      definitions: [
        defineJob({ kind: "plain", handle: async () => {} }),
        defineJob({
          kind: "effect",
          handle: async (run) => void (await run.transact(async () => ok(1))),
        }),
        defineJob({
          kind: "hopeless",
          handle: async () => Promise.reject(new JobRefusedError("no")),
        }),
      ],
    });
    await made.start();
    for (const kind of ["plain", "effect", "hopeless"]) {
      const first = await made.enqueue(ctx, { kind, payload: {}, queue, uniqueKey: "k" });
      assert.equal(first.isNew, true, kind);
      await until(async () => {
        const keys = await database.query("select from platform.job_uniques where queue = $1", [
          queue,
        ]);
        return keys.length === 0;
      });
    }
  });

  it("fails a run that takes too long, and refuses what it does afterwards", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const outcomes: string[] = [];
    let runs = 0;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "slow",
          timeoutMs: 100,
          backoff: soon,
          handle: async (run) => {
            if (++runs > 1) return;
            await new Promise((resolve) => run.signal.addEventListener("abort", resolve));
            outcomes.push((run.signal.reason as Error).name);
            await delay(50);
            await run
              .transact(async (tx) => {
                await tx.run(effect(run));
                return ok(undefined);
              })
              .catch((error) => outcomes.push(error.name));
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "slow", payload: {}, queue });
    await until(() => runs === 2 && outcomes.length === 2);
    assert.deepEqual(outcomes, ["JobTimeoutError", "JobLostError"]);
    assert.equal(await effectsOf(id), 0);
  });

  it("cancels waiting, scheduled and running jobs", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const reasons: string[] = [];
    const made = jobs({
      definitions: [
        defineJob({
          kind: "endless",
          handle: async ({ signal }) => {
            await new Promise((_, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason));
            }).catch((error) => {
              reasons.push(error.name);
              throw error;
            });
          },
        }),
      ],
    });
    const waiting = await made.enqueue(ctx, { kind: "endless", payload: {}, queue });
    const runAt = new Date(Date.now() + 60_000);
    const later = await made.enqueue(ctx, { kind: "endless", payload: {}, queue, runAt });
    assert.deepEqual(await made.cancel(ctx, waiting.id), ok("cancelled"));
    assert.deepEqual(await made.cancel(ctx, later.id), ok("cancelled"));
    await made.start();
    const running = await made.enqueue(ctx, { kind: "endless", payload: {}, queue });
    await until(async () => (await made.find(ctx, running.id))?.state === "running");
    assert.deepEqual(await made.cancel(ctx, running.id), ok("stopping"));
    await until(async () => (await made.find(ctx, running.id)) === undefined);
    assert.deepEqual(reasons, ["JobCancelledError"]);
    const gone = await made.cancel(ctx, running.id);
    assert(!gone.ok);
    assert.equal(gone.failure.code, "jobs.not_found");
  });

  it("tells how far a job is", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    const made = jobs({
      definitions: [
        defineJob({
          kind: "long",
          handle: async ({ progress }) => {
            progress(0.25, "a quarter");
            progress(0.5, "half way");
            await promise;
          },
        }),
      ],
    });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "long", payload: {}, queue });
    await until(async () => (await made.find(ctx, id))?.progress === 0.5);
    assert.equal((await made.find(ctx, id))?.note, "half way");
    resolve();
    await until(async () => (await made.find(ctx, id)) === undefined);
    const left = await database.query("select from platform.job_progress where job_id = $1", [id]);
    assert.deepEqual(left, []);
  });

  it("remembers finished jobs where the queue says so", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs({
      queues: { [queue]: { keepDoneForMs: 60_000 } },
      definitions: [
        defineJob({ kind: "plain", handle: async () => {} }),
        defineJob({
          kind: "effect",
          handle: async (run) => void (await run.transact(async () => ok(1))),
        }),
      ],
    });
    await made.start();
    for (const kind of ["plain", "effect"]) {
      const { id } = await made.enqueue(ctx, { kind, payload: { kind }, queue });
      await until(async () => (await made.find(ctx, id))?.state === "done");
      assert.equal((await made.find(ctx, id))?.detail, "completed");
    }
  });

  it("runs a job at its time, not before", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let ranAt = 0;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "later",
          handle: async () => {
            ranAt = Date.now();
          },
        }),
      ],
    });
    await made.start();
    const runAt = new Date(Date.now() + 400);
    await made.enqueue(ctx, { kind: "later", payload: {}, queue, runAt });
    await until(() => ranAt > 0);
    assert(ranAt >= runAt.getTime());
    assert(ranAt < runAt.getTime() + 1_000);
  });

  it("offers a kind nobody knows again later", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "from.the.future", payload: {}, queue });
    await until(async () => (await made.find(ctx, id))?.state === "scheduled");
    const view = await made.find(ctx, id);
    assert.equal(view?.attempt, 0);
    assert.match(view?.detail ?? "", /does not know the kind from.the.future/);
  });

  it("gives back what has not started when it stops, and waits for what runs", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    let finished = 0;
    const definitions = [
      defineJob({
        kind: "slow",
        handle: async () => {
          await promise;
          finished++;
        },
      }),
    ];
    const made = jobs({
      definitions,
      queues: { [queue]: { concurrency: 2, tenantConcurrency: 2 } },
    });
    await made.start();
    await made.enqueueMany(
      ctx,
      Array.from({ length: 5 }, () => ({ kind: "slow", payload: {}, queue })),
    );
    await until(async () => (await made.list(ctx, "running", 10)).items.length === 2);
    const stopping = made.stop();
    resolve();
    await stopping;
    assert.equal(finished, 2);
    assert.equal((await made.list(ctx, "ready", 10)).items.length, 3);
    assert.equal((await made.list(ctx, "running", 10)).items.length, 0);
    await made.stop();
  });

  it("gives back what runs too long when it stops, without using an attempt", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let reason = "";
    const definitions = [
      defineJob({
        kind: "endless",
        handle: ({ signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => {
              reason = signal.reason.name;
              resolve();
            });
          }),
      }),
    ];
    const made = jobs({ definitions, stopLimitMs: 50 });
    await made.start();
    const { id } = await made.enqueue(ctx, { kind: "endless", payload: {}, queue });
    await until(async () => (await made.find(ctx, id))?.state === "running");
    await made.stop();
    assert.equal(reason, "JobInterruptedError");
    const view = await made.find(ctx, id);
    assert.equal(view?.state, "ready");
    assert.equal(view?.attempt, 0);
  });
});
