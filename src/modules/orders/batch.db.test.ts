import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createJobs } from "../../platform/jobs/jobs.ts";
import { type OrderChange, orderBatchMax } from "./contract.ts";
import { eventsOf, freshCaller, place, someOrder, startOrders } from "./orders.fixture.ts";

describe("batches of changes", async () => {
  const fixture = await startOrders();
  const { orders, db, statements } = fixture;
  after(() => fixture.stop());

  const setup = async (count: number) => {
    const ctx = freshCaller();
    const made = Array.from({ length: count }, () => someOrder({ status: "paid" }));
    return { ctx, ids: await place(fixture, ctx, made) };
  };
  const ours = () => statements.filter(({ name }) => name.startsWith("orders.")).length;

  it(`change ${orderBatchMax} orders in as many statements as one`, async () => {
    const { ctx, ids } = await setup(orderBatchMax);
    const changes = ids.map((orderId): OrderChange => ({ orderId, to: "fulfilled" }));
    statements.length = 0;
    assert((await orders.applyChanges(ctx, changes.slice(0, 1))).ok);
    const forOne = ours();
    statements.length = 0;
    const outcome = await orders.applyChanges(ctx, changes);
    assert(outcome.ok);
    assert.equal(ours(), forOne);
    assert.equal(outcome.value.results.length, orderBatchMax);
    assert.equal(outcome.value.refused, 1);
    assert.deepEqual(outcome.value.results[0], {
      orderId: ids[0],
      ok: false,
      failure: {
        code: "orders.illegal_transition",
        orderId: ids[0],
        from: "fulfilled",
        to: "fulfilled",
      },
    });
    assert.deepEqual(outcome.value.results[1], {
      orderId: ids[1],
      ok: true,
      status: "fulfilled",
      version: 2,
    });
  });

  it("answer a retry with the first outcome and change nothing twice", async () => {
    const { ctx, ids } = await setup(3);
    const claim = {
      key: "k",
      principal: "p",
      route: "POST /v1/orders/batch",
      fingerprint: "ab".repeat(32),
    };
    const changes = ids.map((orderId): OrderChange => ({ orderId, to: "fulfilled" }));
    const ask = () => orders.applyChanges({ ...ctx, idempotency: { ...claim } }, changes);
    const first = await ask();
    assert(first.ok && first.value.refused === 0);
    assert.deepEqual(await ask(), first);
    assert.equal((await eventsOf(fixture, ids[0] ?? "")).length, 3);
  });

  it("run in the background, with progress, and are resumed where a dead worker left them", async () => {
    const { ctx, ids } = await setup(1_200);
    const missing = newId<"order">();
    const changes = [...ids, missing].map((orderId): OrderChange => ({ orderId, to: "fulfilled" }));
    const begun = await orders.applyChangesLater(ctx, changes);
    assert(begun.ok);
    const { batchId, jobId } = begun.value;
    const waiting = await orders.getBatch(ctx, batchId);
    assert(waiting.ok && waiting.value.done === 0 && waiting.value.total === 1_201);

    // The worker dies after its first chunk: the run ends without the job being completed.
    const [definition] = orders.jobs;
    assert(definition);
    const dying = new AbortController();
    const job = { id: jobId, kind: definition.kind, queue: "default", payload: { batchId } };
    const unused = () => Promise.reject(new Error("not used"));
    await assert.rejects(
      definition.handle({
        ctx,
        job: { ...job, attempt: 1, attemptsMax: 10 },
        signal: dying.signal,
        progress: () => dying.abort(new Error("the worker died")),
        transact: unused,
        complete: unused,
      }),
      /the worker died/,
    );
    const halfway = await orders.getBatch(ctx, batchId);
    assert(halfway.ok && halfway.value.done === 500 && halfway.value.results.length === 500);

    const finished = Promise.withResolvers<void>();
    const jobs = createJobs({
      db,
      database: "home",
      definitions: orders.jobs,
      pollMs: 50,
      onEvent: (event) => event.kind === "finished" && finished.resolve(),
    });
    await jobs.start();
    await finished.promise;
    await jobs.stop();
    const done = await orders.getBatch(ctx, batchId);
    assert(done.ok);
    assert.deepEqual([done.value.done, done.value.refused], [1_201, 1]);
    assert(done.value.finishedAt instanceof Date);
    assert.deepEqual(
      done.value.results.map((result) => result.orderId),
      changes.map((change) => change.orderId),
    );
    assert.equal((await eventsOf(fixture, ids[0] ?? "")).length, 3);
    const stranger = await orders.getBatch(freshCaller(), batchId);
    assert(!stranger.ok && stranger.failure.code === "orders.batch_not_found");
    assert.equal(await orders.deleteOldBatches(ctx, new Date(Date.now() + 60_000), 10), 1);
  });
});
