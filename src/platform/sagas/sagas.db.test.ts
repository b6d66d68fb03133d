import assert from "node:assert/strict";
import { test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { sql } from "../db/sql.ts";
import { setup } from "./sagas.fixture.ts";
import { defineSaga, type SagaEnding, type SagaId, type SagaRun } from "./sagas.ts";

/** Names and states of the steps, in order. */
function stepsOf(run: SagaRun): string[] {
  const steps = Object.entries(run.steps).toSorted(([, a], [, b]) => a.seq - b.seq);
  return steps.map(([name, { status }]) => `${name} ${status}`);
}

test("runs its steps in order and remembers what they gave", async () => {
  await using fixture = await setup();
  const keys: string[] = [];
  const saga = defineSaga({
    name: "test.sum",
    version: 1,
    async run(run, input: { readonly a: number }) {
      const b = await run.step("double", async (step) => {
        keys.push(step.idempotencyKey);
        return { value: input.a * 2, at: new Date(0) };
      });
      const c = await run.step("none", async () => undefined);
      return { sum: input.a + b.value, at: typeof b.at, none: c === undefined };
    },
  });
  const { run } = fixture.node([saga]);
  const over = await run(saga, { a: 2 });
  assert.equal(over.status, "completed");
  // A value is what it would be after a crash: dates are texts.
  assert.deepEqual(over.output, { sum: 6, at: "string", none: true });
  assert.deepEqual(stepsOf(over), ["double done", "none done"]);
  assert.deepEqual(keys, [`${over.id}:double`]);
  assert.equal(over.origin.requestId, "req");
});

test("takes the steps back in reverse order when a later one fails", async () => {
  await using fixture = await setup();
  const trace: string[] = [];
  const saga = defineSaga({
    name: "test.trip",
    version: 1,
    async run(run) {
      for (const name of ["flight", "hotel"]) {
        await run.step(name, async () => void trace.push(name), {
          undo: async () => void trace.push(`undo ${name}`),
        });
      }
      await run.step("note", async () => void trace.push("note"));
      await run.step(
        "car",
        async () => {
          trace.push("car");
          throw Object.assign(new Error("no cars"), { code: "cars.none" });
        },
        {
          retry: { attemptsMax: 2, baseMs: 1 },
          undo: async (value) => void trace.push(`undo car, outcome ${value}`),
        },
      );
    },
  });
  const over = await fixture.node([saga]).run(saga, null);
  assert.equal(over.status, "compensated");
  assert.deepEqual(over.failure, { code: "cars.none", message: "step car: no cars" });
  assert.deepEqual(trace, [
    "flight",
    "hotel",
    "note",
    "car",
    "car",
    "undo car, outcome undefined",
    "undo hotel",
    "undo flight",
  ]);
  assert.deepEqual(stepsOf(over), ["flight undone", "hotel undone", "note done", "car undone"]);
});

test("steps side by side: those under way are waited for, then all are undone", async () => {
  await using fixture = await setup();
  const trace: string[] = [];
  const slow = Promise.withResolvers<void>();
  const saga = defineSaga({
    name: "test.parallel",
    version: 1,
    run: (run) =>
      Promise.all([
        run.step(
          "slow",
          async () => {
            await slow.promise;
            trace.push("slow");
            return 1;
          },
          { undo: async (value) => void trace.push(`undo slow ${value}`) },
        ),
        run.step("fast", async () => void trace.push("fast"), {
          undo: async () => void trace.push("undo fast"),
        }),
        run.step("fails", async () => {
          setImmediate(() => slow.resolve());
          throw Object.assign(new Error("no"), { retryable: false });
        }),
      ]),
  });
  const over = await fixture.node([saga]).run(saga, null);
  assert.equal(over.status, "compensated");
  assert.deepEqual(trace, ["fast", "slow", "undo fast", "undo slow 1"]);
});

test("a failure the function catches is remembered, and it goes another way", async () => {
  await using fixture = await setup();
  let tries = 0;
  const make = (crashes: boolean) =>
    defineSaga({
      name: "test.detour",
      version: 1,
      async run(run) {
        const first = await run
          .step(
            "plan a",
            async () => {
              tries++;
              throw Object.assign(new Error("no"), { retryable: false });
            },
            {},
          )
          .catch(() => "plan b");
        await run.step("note", async () => null);
        await run.step("go", async () => {
          if (crashes) await new Promise(() => {});
        });
        return first;
      },
    });
  const one = fixture.node([make(true)], { leaseMs: 60_000 });
  const id = await one.begin(make(true), null);
  await one.sagas.stop({ withinMs: 100 });
  const over = await fixture.node([make(false)]).over(id);
  assert.deepEqual([over.status, over.output, tries], ["completed", "plan b", 1]);
});

test("an undo that fails for good is shown as stuck, and retried when asked", async () => {
  await using fixture = await setup();
  let broken = true;
  let undone = 0;
  const saga = defineSaga({
    name: "test.stuck",
    version: 1,
    async run(run) {
      await run.step("first", async () => 1, { undo: async () => void undone++ });
      await run.step("second", async () => 2, {
        undo: async () => {
          if (broken) throw new Error("the provider is away");
          undone++;
        },
      });
      throw new Error("turn back");
    },
  });
  const { sagas, run, over } = fixture.node([saga]);
  const stuck = await run(saga, null);
  assert.equal(stuck.status, "stuck");
  assert.equal(undone, 0);
  assert.equal(stuck.steps["second"]?.undoAttempts, 3);
  assert.equal(stuck.steps["second"]?.undoError?.message, "the provider is away");
  const listed = await sagas.list(fixture.tenantId, { status: "stuck", limit: 10 });
  assert.deepEqual(
    listed.items.map(({ id }) => id),
    [stuck.id],
  );
  broken = false;
  assert.equal((await sagas.retry(fixture.tenantId, stuck.id)).ok, true);
  const ended = await over(stuck.id);
  assert.equal(ended.status, "compensated");
  assert.equal(undone, 2);
  const again = await sagas.retry(fixture.tenantId, stuck.id);
  assert.deepEqual(again, fail({ code: "sagas.not_stuck", sagaId: stuck.id }));
});

test("times out in a step, takes the unknown outcome back, and ends", async () => {
  await using fixture = await setup();
  const undone: unknown[] = [];
  const saga = defineSaga({
    name: "test.slow",
    version: 1,
    timeoutMs: 50,
    async run(run) {
      await run.step("quick", async () => "q", { undo: async (value) => void undone.push(value) });
      await run.step("hangs", () => new Promise<string>(() => {}), {
        undo: async (value) => void undone.push(value),
      });
    },
  });
  const over = await fixture.node([saga]).run(saga, null);
  assert.equal(over.status, "compensated");
  assert.equal(over.failure?.code, "ERR_SAGA_TIMEOUT");
  assert.deepEqual(undone, [undefined, "q"]);
});

test("a step that takes too long is tried again", async () => {
  await using fixture = await setup();
  const saga = defineSaga({
    name: "test.step_timeout",
    version: 1,
    run: (run) =>
      run.step(
        "once slow",
        (step) => (step.attempt === 1 ? new Promise<number>(() => {}) : Promise.resolve(7)),
        { timeoutMs: 20, retry: { baseMs: 1 } },
      ),
  });
  const over = await fixture.node([saga]).run(saga, null);
  assert.equal(over.output, 7);
  assert.equal(over.steps["once slow"]?.attempts, 2);
});

test("a step in the database takes effect once with its record, and is undone once", async () => {
  await using fixture = await setup();
  await fixture.database.query("create table shared.balance (n int not null)");
  await fixture.database.query("insert into shared.balance values (0)");
  const add = (n: number) => sql("test.add")`update balance set n = n + ${n}`;
  const saga = defineSaga({
    name: "test.transact",
    version: 1,
    async run(run, input: { readonly fails: boolean }) {
      const refused = await run.transact("refuse", async (tx) => {
        await tx.run(add(100));
        return fail({ code: "test.refused" });
      });
      const done = await run.transact(
        "add",
        async (tx) => {
          await tx.run(add(1));
          return ok({ added: 1 });
        },
        { undo: async (tx, { added }) => void (await tx.run(add(-added))) },
      );
      if (input.fails) throw new Error("turn back");
      return { refused, done };
    },
  });
  const { run } = fixture.node([saga]);
  const kept = await run(saga, { fails: false });
  assert.deepEqual(kept.output, {
    refused: fail({ code: "test.refused" }),
    done: ok({ added: 1 }),
  });
  assert.deepEqual(await fixture.database.query("select n from shared.balance"), [{ n: 1 }]);
  const undone = await run(saga, { fails: true });
  assert.equal(undone.status, "compensated");
  assert.deepEqual(await fixture.database.query("select n from shared.balance"), [{ n: 1 }]);
});

test("ends many runs in one transaction of the caller's, and costs one insert and one update", async () => {
  await using fixture = await setup();
  const { tenantId } = fixture;
  const statements: string[] = [];
  const endings: { ending: SagaEnding; done: (value: string) => void }[] = [];
  const saga = defineSaga({
    name: "test.pay",
    version: 1,
    async run(run, input: { readonly n: number }) {
      const charged = await run.step("charge", async () => `charge ${input.n}`);
      return run.finish(
        (ending) =>
          new Promise<string>((done) => {
            endings.push({ ending: { ...ending, output: charged }, done });
          }),
      );
    },
  });
  const { sagas } = fixture.node([saga]);
  const ids = Array.from({ length: 5 }, () => newId<"saga">());
  await fixture.db.commit(tenantId, async (tx) =>
    sagas.startSagas(
      tx,
      systemContext(tenantId, "req"),
      ids.map((id, n) => ({ saga, id, input: { n } })),
    ),
  );
  const outcomes = ids.map((id) => sagas.outcomeOf(id));
  while (endings.length < 5) await new Promise((resolve) => setImmediate(resolve));
  const before = await fixture.database.query("select steps from platform.sagas");
  assert.deepEqual(before[0]?.["steps"], {}, "nothing is written between start and end");
  const foreign = { ...endings[0]?.ending, token: 99 } as SagaEnding;
  const ended = await fixture.db.commit(tenantId, async (tx) => {
    const held = await sagas.completeSagas(tx, [
      foreign,
      ...endings.slice(1).map(({ ending }) => ending),
    ]);
    statements.push("one");
    return held;
  });
  assert.deepEqual([...ended].toSorted(), ids.slice(1));
  await fixture.db.commit(tenantId, (tx) =>
    sagas.completeSagas(tx, [endings[0]?.ending as SagaEnding]),
  );
  for (const { done } of endings) done("done");
  assert.deepEqual(
    await Promise.all(outcomes),
    ids.map(() => ({ status: "completed", output: "done" })),
  );
  const run = await sagas.find(tenantId, ids[3] as SagaId);
  assert.deepEqual([run?.status, run?.output], ["completed", "charge 3"]);
  assert.deepEqual(stepsOf(run as SagaRun), ["charge done"]);
});

test("goes on with the version it began with", async () => {
  await using fixture = await setup();
  const calls: string[] = [];
  const version = (n: number, name: string) =>
    defineSaga({
      name: "test.versions",
      version: n,
      run: async (run) => {
        await run.step("common", async () => void calls.push(`common of ${name}`));
        await run.step(name, async () => void calls.push(name));
      },
    });
  const [v1, v2] = [version(1, "old"), version(2, "new")];
  const oldNode = fixture.node([v1]);
  const id = newId<"saga">();
  await fixture.db.commit(fixture.tenantId, async (tx) =>
    oldNode.sagas.startSaga(tx, systemContext(fixture.tenantId, "req"), {
      saga: v1,
      id,
      input: null,
      runLocally: false,
    }),
  );
  const newNode = fixture.node([v1, v2]);
  await oldNode.over(id);
  await newNode.run(v2, null);
  assert.deepEqual(calls, ["common of old", "old", "common of new", "new"]);
});

test("a run whose records the code does not come to any more is stuck, not dropped", async () => {
  await using fixture = await setup();
  const saga = defineSaga({
    name: "test.changed",
    version: 1,
    run: async (run) => void (await run.step("new", async () => 1)),
  });
  const node = fixture.node([saga], { sweepMs: 20 });
  const id = newId<"saga">();
  const record = { seq: 1, kind: "step", status: "done", undoable: true, attempts: 1 };
  await fixture.database.query(
    `insert into platform.sagas (tenant_id, id, name, version, status, due_at, deadline_at, input,
       steps, origin)
     values ($1, $2, 'test.changed', 1, 'compensating', now(), now() + interval '1 hour', 'null',
       $3, '{"requestId":"r","actor":{"kind":"system","id":"s"}}')`,
    [fixture.tenantId, id, { old: { ...record, startedAt: 0, endedAt: 0 } }],
  );
  const over = await node.over(id);
  assert.equal(over.status, "stuck");
  assert.equal(over.steps["old"]?.undoError?.code, "ERR_SAGA_CHANGED");
});

test("two nodes race for one run: the paused holder's writes are refused", async () => {
  await using fixture = await setup();
  const paused = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const calls: string[] = [];
  const make = (node: string) =>
    defineSaga({
      name: "test.race",
      version: 1,
      async run(run) {
        const by = await run.step("work", async () => {
          calls.push(node);
          if (node === "one") {
            entered.resolve();
            await paused.promise;
          }
          return node;
        });
        await run.step("after", async () => void calls.push(`${node} after`));
        return by;
      },
    });
  // The first node never sweeps, or it might take its own run over.
  const one = fixture.node([make("one")], { databases: [], leaseMs: 60_000 });
  const id = await one.begin(make("one"), null);
  await entered.promise;
  // Its lease runs out while it is paused.
  await fixture.database.query("update platform.sagas set due_at = now()");
  const two = fixture.node([make("two")]);
  const over = await two.over(id);
  assert.equal(over.output, "two");
  paused.resolve();
  await assert.rejects(one.sagas.outcomeOf(id) ?? Promise.reject(new Error("gone")), {
    code: "ERR_SAGA_INTERRUPTED",
  });
  assert.deepEqual(calls, ["one", "two", "two after"]);
  const rows = await fixture.database.query("select status, output, token from platform.sagas");
  assert.deepEqual(rows, [{ status: "completed", output: "two", token: 2 }]);
});

test("stop gives the leases of unfinished runs back at once", async () => {
  await using fixture = await setup();
  const entered = Promise.withResolvers<void>();
  const make = (hangs: boolean) =>
    defineSaga({
      name: "test.stop",
      version: 1,
      run: (run) =>
        run.step("work", async () => {
          entered.resolve();
          if (hangs) await new Promise(() => {});
          return "done";
        }),
    });
  const one = fixture.node([make(true)], { leaseMs: 60_000 });
  const id = await one.begin(make(true), null);
  await entered.promise;
  await one.sagas.stop({ withinMs: 10 });
  await one.sagas.stop();
  const two = fixture.node([make(false)], { leaseMs: 60_000 });
  assert.equal((await two.over(id)).output, "done");
});
