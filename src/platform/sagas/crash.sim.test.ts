import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { seededRandom } from "../../kernel/random.ts";
import { ok } from "../../kernel/result.ts";
import { createMortal, type Mortal } from "../../testing/mortal.ts";
import { sql } from "../db/sql.ts";
import { poke } from "../wakeup/poke.ts";
import { type SagaFixture, setup } from "./sagas.fixture.ts";
import { defineSaga, type SagaId, type SagaRun, type Sagas, sagasTopic } from "./sagas.ts";

interface Input {
  readonly key: string;
  readonly fails: boolean;
}

/** What providers remember, by idempotency key: it outlives every node. */
type World = Map<string, "done" | "undone">;

/** A trip: book outside, count inside, pay outside, end in a transaction of the caller's. */
function tripOn(node: {
  readonly sagas: () => Sagas;
  readonly mortal: Mortal;
  readonly world: World;
}) {
  const { world, mortal } = node;
  const outside = async (key: string, state: "done" | "undone") => {
    await mortal.moment();
    if (world.get(key) !== "undone") world.set(key, state);
    await mortal.moment();
    return key;
  };
  const count = (tenantId: string, key: string, n: number) =>
    sql("test.count")`
      insert into counts (tenant_id, key, n) values (${tenantId}, ${key}, ${n})
      on conflict (tenant_id, key) do update set n = counts.n + excluded.n`;
  return defineSaga({
    name: "test.trip",
    version: 1,
    async run(run, input: Input) {
      const { tenantId } = run;
      await run.step("book", (step) => outside(step.idempotencyKey, "done"), {
        undo: async (_value, step) => void (await outside(step.idempotencyKey, "undone")),
      });
      await run.transact(
        "count",
        async (tx) => {
          await tx.run(count(tenantId, input.key, 1));
          return ok(1);
        },
        {
          undo: async (tx) => void (await tx.run(count(tenantId, input.key, -1))),
        },
      );
      await run.step(
        "pay",
        async (step) => {
          if (input.fails) throw Object.assign(new Error("declined"), { retryable: false });
          return outside(step.idempotencyKey, "done");
        },
        { undo: async (_value, step) => void (await outside(step.idempotencyKey, "undone")) },
      );
      await run.finish(async (ending) => {
        await mortal.db.commit(tenantId, async (tx) => {
          const ended = await node.sagas().completeSagas(tx, [ending]);
          if (ended.has(ending.id)) await tx.run(count(tenantId, `${input.key} end`, 1));
        });
      });
    },
  });
}

function startNode(fixture: SagaFixture, world: World, dieAt: number, sweepMs = 60_000) {
  const mortal = createMortal(fixture.db, dieAt);
  const saga = tripOn({ sagas: () => node.sagas, mortal, world });
  const node = fixture.node([saga], { db: mortal.db, leaseMs: 60_000, sweepMs, dies: true });
  return { ...node, saga, mortal };
}

async function begin(
  fixture: SagaFixture,
  node: ReturnType<typeof startNode>,
  input: Input,
): Promise<SagaId> {
  const id = newId<"saga">();
  const started = node.mortal.db.commit(fixture.tenantId, async (tx) =>
    node.sagas.startSaga(tx, systemContext(fixture.tenantId, "req"), {
      saga: node.saga,
      id,
      input,
    }),
  );
  await Promise.race([started, node.mortal.died]);
  return id;
}

/** Lets every lease run out and waits until the run is over. @returns undefined when it never began */
async function settle(
  fixture: SagaFixture,
  id: SagaId,
  sagas: Sagas,
): Promise<SagaRun | undefined> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const run = await sagas.find(fixture.tenantId, id);
    if (!run || (run.status !== "running" && run.status !== "compensating")) return run;
    if (performance.now() > deadline) throw new Error(`run ${id} is ${run.status}`);
    if (!sagas.outcomeOf(id)) {
      await fixture.database.query("update platform.sagas set due_at = now() where id = $1", [id]);
      poke(sagasTopic);
    }
    await delay(5);
  }
}

async function check(fixture: SagaFixture, run: SagaRun | undefined, world: World, input: Input) {
  const rows = await fixture.database.query<{ key: string; n: number }>(
    "select key, n from shared.counts where key in ($1, $2)",
    [input.key, `${input.key} end`],
  );
  const counts = Object.fromEntries(rows.map(({ key, n }) => [key, n]));
  const inside = [counts[input.key] ?? 0, counts[`${input.key} end`] ?? 0];
  const outside = [...world.values()];
  if (!run) assert.deepEqual([inside, outside], [[0, 0], []]);
  else if (run.status === "completed")
    assert.deepEqual(
      [inside, outside],
      [
        [1, 1],
        ["done", "done"],
      ],
    );
  else {
    assert.equal(run.status, "compensated");
    assert.deepEqual(inside, [0, 0]);
    assert.ok(outside.every((state) => state === "undone"));
  }
  if (run) assert.equal(run.status, input.fails ? "compensated" : "completed");
}

async function withCounts(fixture: SagaFixture): Promise<void> {
  await fixture.database.query(`create table shared.counts (tenant_id uuid not null,
    key text not null, n int not null, primary key (tenant_id, key))`);
}

for (const fails of [false, true]) {
  const ending = fails ? "fails" : "succeeds";
  test(`a node that dies at any moment of a run that ${ending} leaves one effect or none`, async (t) => {
    await using fixture = await setup();
    await withCounts(fixture);
    for (let dieAt = 1; ; dieAt++) {
      const world: World = new Map();
      const node = startNode(fixture, world, dieAt);
      const input = { key: `trip ${fails} ${dieAt}`, fails };
      const id = await begin(fixture, node, input);
      const over = node.sagas.outcomeOf(id) ?? Promise.resolve();
      await Promise.race([over.catch(() => {}), node.mortal.died]);
      const hasDied = node.mortal.moments() >= dieAt;
      const healthy = startNode(fixture, world, Number.POSITIVE_INFINITY, 20);
      const run = await settle(fixture, id, healthy.sagas);
      await healthy.sagas.stop();
      await check(fixture, run, world, input);
      if (!hasDied) {
        t.diagnostic(`${dieAt - 1} moments`);
        assert.ok(dieAt > 10, "a run has many moments");
        break;
      }
    }
  });
}

test("two nodes that die one after the other leave one effect or none (seeded)", async () => {
  await using fixture = await setup();
  await withCounts(fixture);
  const random = seededRandom(8);
  for (let trial = 0; trial < 25; trial++) {
    const world: World = new Map();
    const input = { key: `trial ${trial}`, fails: random() < 0.5 };
    const first = startNode(fixture, world, 1 + Math.floor(random() * 18));
    const id = await begin(fixture, first, input);
    const over = first.sagas.outcomeOf(id) ?? Promise.resolve();
    await Promise.race([over.catch(() => {}), first.mortal.died]);
    const second = startNode(fixture, world, 1 + Math.floor(random() * 25), 20);
    await fixture.database.query("update platform.sagas set due_at = now() where id = $1", [id]);
    await Promise.race([second.mortal.died, delay(150)]);
    const third = startNode(fixture, world, Number.POSITIVE_INFINITY, 20);
    const run = await settle(fixture, id, third.sagas);
    await third.sagas.stop();
    await check(fixture, run, world, input);
  }
});
