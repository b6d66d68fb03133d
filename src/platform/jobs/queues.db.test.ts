import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createJobsFixture, until } from "./jobs.fixture.ts";
import { defineJob, type NewJob } from "./jobs.ts";

const times = (count: number, job: NewJob) => Array.from({ length: count }, () => job);

describe("queues of jobs", async () => {
  const fixture = await createJobsFixture();

  it("lets one tenant's flood not starve another's single job", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const order: string[] = [];
    const handle = async ({ ctx: { tenantId } }: { ctx: { tenantId: string } }) => {
      order.push(tenantId);
      await delay(5);
    };
    const made = jobs({ definitions: [defineJob({ kind: "work", handle })] });
    await made.enqueueMany(ctx, times(5_000, { kind: "work", payload: {}, queue }));
    await made.start();
    await until(() => order.length > 50);
    const small = systemContext(newId(), "small");
    const enqueuedAt = performance.now();
    const before = order.length;
    await made.enqueue(small, { kind: "work", payload: {}, queue });
    await until(() => order.includes(small.tenantId));
    const waitedMs = performance.now() - enqueuedAt;
    await made.stop();
    assert(waitedMs < 1_000, `waited ${waitedMs} ms`);
    assert(order.indexOf(small.tenantId) - before < 500);
    assert(order.length < 5_000);
  });

  it("leaves a slot free of one tenant's long jobs", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    const running: string[] = [];
    const made = jobs({
      queues: { [queue]: { concurrency: 3 } },
      definitions: [
        defineJob({
          kind: "long",
          handle: async (run) => {
            running.push(run.ctx.tenantId);
            await promise;
          },
        }),
      ],
    });
    await made.start();
    await made.enqueueMany(ctx, times(10, { kind: "long", payload: {}, queue }));
    await until(() => running.length === 2);
    const other = systemContext(newId(), "other");
    await made.enqueue(other, { kind: "long", payload: {}, queue });
    await until(() => running.length === 3);
    assert.equal(running[2], other.tenantId);
    resolve();
  });

  it("runs a tenant's urgent jobs first", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const order: unknown[] = [];
    const made = jobs({
      queues: { [queue]: { concurrency: 1 } },
      definitions: [
        defineJob({ kind: "work", handle: async ({ job }) => void order.push(job.payload["n"]) }),
      ],
    });
    await made.enqueueMany(ctx, [
      { kind: "work", payload: { n: 3 }, queue, priority: 10 },
      { kind: "work", payload: { n: 2 }, queue },
      { kind: "work", payload: { n: 1 }, queue, priority: -5 },
    ]);
    await made.start();
    await until(() => order.length === 3);
    assert.deepEqual(order, [1, 2, 3]);
  });

  it("parks a poison job while the others go on within a second", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let done = 0;
    let slowestMs = 0;
    const made = jobs({
      definitions: [
        defineJob({
          kind: "poison",
          backoff: { baseMs: 5, maxMs: 20 },
          handle: async () => Promise.reject(new Error("poison")),
        }),
        defineJob({
          kind: "work",
          handle: async ({ job }) => {
            slowestMs = Math.max(slowestMs, Date.now() - Number(job.payload["at"]));
            done++;
          },
        }),
      ],
    });
    await made.start();
    const poison = { kind: "poison", payload: {}, queue, attemptsMax: 5 };
    const [first] = await made.enqueueMany(ctx, times(20, poison));
    for (let count = 0; count < 50; count++) {
      await made.enqueue(ctx, { kind: "work", payload: { at: Date.now() }, queue });
    }
    await until(() => done === 50);
    assert(slowestMs < 1_000, `waited ${slowestMs} ms`);
    assert(first);
    await until(async () => (await made.deadLetters.list(ctx, 100)).items.length === 20);
    assert.equal((await made.find(ctx, first.id))?.attempt, 5);
  });

  it("gives the event loop its turns between handlers that never wait", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let turn = 0;
    const turns: number[] = [];
    const made = jobs({
      definitions: [
        defineJob({
          kind: "busy",
          handle: async () => {
            turns.push(turn);
            for (const until = performance.now() + 2; performance.now() < until; );
          },
        }),
      ],
    });
    await made.enqueueMany(ctx, times(100, { kind: "busy", payload: {}, queue }));
    const count = () => {
      turn++;
      if (turns.length < 100) setImmediate(count);
    };
    count();
    await made.start();
    await until(() => turns.length === 100);
    const perTurn = Map.groupBy(turns, (at) => at)
      .values()
      .map((group) => group.length);
    // Jobs of 2 ms begin for 5 ms: at 0, 2 and 4, however many slots are free.
    assert(Math.max(...perTurn) <= 3, `${Math.max(...perTurn)} jobs in one turn`);
  });

  it("claims nothing from a paused queue until it is resumed", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    let done = 0;
    const made = jobs({
      definitions: [defineJob({ kind: "work", handle: async () => void done++ })],
    });
    await made.queues.pause(queue);
    await made.start();
    await made.enqueueMany(ctx, times(3, { kind: "work", payload: {}, queue }));
    await delay(300);
    assert.equal(done, 0);
    const stats = (await made.queues.stats()).find((row) => row.queue === queue);
    assert.equal(stats?.isPaused, true);
    await made.queues.resume(queue);
    await until(() => done === 3);
  });

  it("starts no more jobs than the rate of the queue, over all processes", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const startedAt: number[] = [];
    const config = {
      queues: { [queue]: { concurrency: 10, rate: { jobsMax: 10, perMs: 1_000 } } },
      definitions: [
        defineJob({ kind: "work", handle: async () => void startedAt.push(performance.now()) }),
      ],
    };
    const one = jobs(config);
    const two = jobs(config);
    await one.enqueueMany(ctx, times(18, { kind: "work", payload: {}, queue }));
    await Promise.all([one.start(), two.start()]);
    const began = performance.now();
    await until(() => startedAt.length === 18);
    const elapsedMs = performance.now() - began;
    // A full bucket of 10 at once, then one each 100 ms.
    assert(elapsedMs > 600, `took ${elapsedMs} ms`);
    assert(elapsedMs < 5_000, `took ${elapsedMs} ms`);
    for (const at of startedAt) {
      const within = startedAt.filter((other) => other >= at && other < at + 500).length;
      assert(within <= 16, `${within} in half a second`);
    }
  });

  it("reports depth and age, and purges what waits", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const other = systemContext(newId(), "other");
    const runAt = new Date(Date.now() + 60_000);
    await made.enqueueMany(ctx, [
      ...times(7, { kind: "work", payload: {}, queue }),
      { kind: "work", payload: {}, queue, runAt },
      { kind: "work", payload: {}, queue, uniqueKey: "k" },
    ]);
    await made.enqueue(other, { kind: "work", payload: {}, queue });
    await delay(50);
    const stats = (await made.queues.stats()).find((row) => row.queue === queue);
    assert.equal(stats?.ready, 9);
    assert.equal(stats?.scheduled, 1);
    assert(stats.oldestSeconds >= 0.05 && stats.oldestSeconds < 30);
    assert.equal(await made.queues.purge(queue, ctx.tenantId), 9);
    assert.equal(await made.queues.purge(queue), 1);
    const again = await made.enqueue(ctx, { kind: "work", payload: {}, queue, uniqueKey: "k" });
    assert.equal(again.isNew, true);
    await made.queues.purge(queue);
  });

  it("works on queues it was not told about, unless it is to leave them", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs({ definitions: [defineJob({ kind: "work", handle: async () => {} })] });
    await made.start();
    const foreign = await made.enqueue(ctx, { kind: "work", payload: {}, queue: `${queue}.other` });
    const own = await made.enqueue(ctx, { kind: "work", payload: {}, queue });
    await until(async () => (await made.find(ctx, own.id)) === undefined);
    assert.equal((await made.find(ctx, foreign.id))?.state, "ready");
  });
});
