import assert from "node:assert/strict";
import { test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { sql } from "../db/sql.ts";
import { type NodeFixture, numbered, setup, until } from "./events.fixture.ts";
import { appendEvents, type RecordedEvent, type Subscription } from "./events.ts";

test("hands each event over once, in order per stream, to every subscription", async () => {
  await using log = await setup();
  const other = newId<"tenant">();
  const seen: RecordedEvent[] = [];
  const external: Subscription = {
    name: "test.external",
    mode: "external",
    types: ["test.wanted"],
    handle: async (_ctx, event) => void seen.push(event),
  };
  await log.append([numbered("a", 1), numbered("b", 1)]);
  await log.node([{ name: "test.all", mode: "transactional", handle: log.record }, external]);
  await log.append([numbered("a", 2, "test.wanted"), numbered("b", 2)]);
  await log.append([numbered("a", 1)], other);
  await until("five effects", async () => (await log.effects()).length === 5);
  await until("one call", () => seen.length === 1);
  const effects = await log.effects();
  const numbers = (stream: string, tenantId: string) =>
    effects.filter((e) => e.stream === stream && e.tenantId === tenantId).map((e) => e.n);
  assert.deepEqual(numbers("a", log.tenantId), [1, 2]);
  assert.deepEqual(numbers("b", log.tenantId), [1, 2]);
  assert.deepEqual(numbers("a", other), [1]);
  assert.deepEqual(seen[0]?.data, { n: 2 });
});

test("skips nothing when a transaction that began earlier commits later", async () => {
  await using log = await setup();
  const { db, tenantId } = log;
  await log.node([{ name: "test.all", mode: "transactional", handle: log.record }]);
  const late = Promise.withResolvers<void>();
  const appended = Promise.withResolvers<void>();
  const writing = db.commit(tenantId, async (tx) => {
    appendEvents(tx, systemContext(tenantId, "late"), [numbered("late", 1)]);
    await tx.rows({ name: "", text: "select 1", values: [] });
    appended.resolve();
    await late.promise;
  });
  await appended.promise;
  await log.append([numbered("early", 1)]);
  late.resolve();
  await writing;
  await until("both effects", async () => (await log.effects()).length === 2);
});

test("keeps a stream's order when the older transaction appends last", async () => {
  await using log = await setup();
  const { db, tenantId } = log;
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  // Its transaction id is the lower one, yet its event is the later one.
  const older = db.commit(tenantId, async (tx) => {
    await tx.rows({ name: "", text: "select pg_current_xact_id()", values: [] });
    begun.resolve();
    await go.promise;
    appendEvents(tx, systemContext(tenantId, "older"), [numbered("order:1", 2)]);
  });
  await begun.promise;
  await log.append([numbered("order:1", 1)]);
  go.resolve();
  await older;
  await log.node([{ name: "test.all", mode: "transactional", batchMax: 1, handle: log.record }]);
  await until("both effects", async () => (await log.effects()).length === 2);
  assert.deepEqual(
    (await log.effects()).map(({ n }) => n),
    [1, 2],
  );
});

test("a reader that rests leaves what comes meanwhile for later, and stops at once", async () => {
  await using log = await setup();
  const subscription: Subscription = {
    name: "test.all",
    mode: "transactional",
    handle: log.record,
  };
  const resting = await log.node([{ ...subscription, restMs: 60_000 }]);
  await log.append([numbered("order:1", 1)]);
  await until("the first effect", async () => (await log.effects()).length === 1);
  await log.append([numbered("order:1", 2)]);
  await log.append([numbered("order:1", 3)]);
  const startedAt = performance.now();
  await resting.stop();
  assert(performance.now() - startedAt < 30_000, "did not wait for the rest to end");
  assert.equal((await log.effects()).length, 1);
  await log.node([subscription]);
  await until("the others", async () => (await log.effects()).length === 3);
  assert.deepEqual(
    (await log.effects()).map(({ n }) => n),
    [1, 2, 3],
  );
});

test("many writers at once: no gap, no double, in order per stream, on two nodes", async () => {
  await using log = await setup();
  const { db, tenantId, database } = log;
  await database.query("create table shared.aggregates (stream text primary key, n int not null)");
  const streams = Array.from({ length: 20 }, (_, i) => `agg:${i}`);
  await database.query("insert into shared.aggregates select unnest($1::text[]), 0", [streams]);
  const subscription: Subscription = {
    name: "test.all",
    mode: "transactional",
    batchMax: 24,
    handle: log.record,
  };
  await log.node([subscription], { leaseMs: 1_000 });
  await log.node([subscription], { leaseMs: 1_000 });
  const writer = async (w: number) => {
    for (let i = 0; i < 60; i++) {
      const [a, b] = [streams[(w * 7 + i) % 20], streams[(w * 3 + i * 5) % 20]].toSorted();
      await db.commit(tenantId, async (tx) => {
        const rows = await tx.rows<{ stream: string; n: number }>(sql("test.move")`
          update aggregates set n = n + 1
          from (select stream as locked from aggregates where stream in (${a}, ${b})
            order by stream for update) l
          where stream = locked returning stream, n`);
        appendEvents(
          tx,
          systemContext(tenantId, newId()),
          rows.map(({ stream, n }) => numbered(stream, n)),
        );
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, w) => writer(w)));
  const [count] = await database.query<{ n: number }>(
    "select count(*)::int as n from platform.events",
  );
  await until("all effects", async () => (await log.effects()).length >= (count?.n ?? 0));
  const effects = await log.effects();
  assert.equal(effects.length, count?.n);
  for (const stream of streams) {
    const numbers = effects.filter((e) => e.stream === stream).map((e) => e.n);
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
      stream,
    );
  }
});

test("pauses and resumes", async () => {
  await using log = await setup();
  const { subscriptions } = await log.node([
    { name: "test.all", mode: "transactional", handle: log.record },
  ]);
  assert.equal(await subscriptions.pause("test.all"), true);
  assert.equal(await subscriptions.pause("test.none"), false);
  await log.append([numbered("a", 1)]);
  await until("lag", async () => (await subscriptions.status())[0]?.lagEvents === 1);
  const [status] = await subscriptions.status();
  assert.equal(status?.paused, true);
  assert.deepEqual(await log.effects(), []);
  await subscriptions.resume("test.all");
  await until("the effect", async () => (await log.effects()).length === 1);
  await until("no lag", async () => (await subscriptions.status())[0]?.lagEvents === 0);
});

test("replays from the beginning and from a moment", async () => {
  await using log = await setup();
  const { subscriptions } = await log.node(
    [{ name: "test.all", mode: "transactional", handle: log.record }],
    { leaseMs: 1_000 },
  );
  await log.append([numbered("a", 1), numbered("b", 1)]);
  await until("two effects", async () => (await log.effects()).length === 2);
  const moment = new Date(Date.now() + 1);
  await until("a later millisecond", () => Date.now() > moment.getTime());
  await log.append([numbered("a", 2)]);
  await until("three effects", async () => (await log.effects()).length === 3);
  assert.equal(await subscriptions.replay("test.all", "beginning"), true);
  await until("six effects", async () => (await log.effects()).length === 6);
  await subscriptions.replay("test.all", moment);
  await until("seven effects", async () => (await log.effects()).length === 7);
  assert.equal((await log.effects()).at(-1)?.n, 2);
});

test("parks a poison event and those behind it, and lets the rest go on", async () => {
  await using log = await setup();
  let broken = true;
  const { subscriptions, reports } = await log.node([
    {
      name: "test.all",
      mode: "transactional",
      handle: async (tx, events) => {
        if (broken && events.some((e) => e.stream === "bad" && e.data["n"] === 2)) {
          throw new Error("cannot handle 2");
        }
        await log.record(tx, events);
      },
    },
  ]);
  const others = Array.from({ length: 100 }, (_, i) => numbered(`good:${i}`, 1));
  const startedAt = performance.now();
  await log.append([numbered("bad", 1), ...others, numbered("bad", 2), numbered("bad", 3)]);
  await until("the others", async () => (await log.effects()).length === 101);
  // Under a second on a quiet machine; tests share theirs.
  assert.ok(performance.now() - startedAt < 4_000, "others are not kept waiting");
  await until("the letters", async () => {
    const [status] = await subscriptions.status();
    return status?.dead === 1 && status.waiting === 1;
  });
  await log.append([numbered("bad", 4), numbered("good:1", 2)]);
  await until("a later good one", async () => (await log.effects()).length === 102);
  const letters = await subscriptions.deadLetters({ subscription: "test.all", limit: 10 });
  assert.deepEqual(
    letters.map(({ state, attempts }) => [state, attempts]),
    [
      ["dead", 3],
      ["waiting", 0],
      ["waiting", 0],
    ],
  );
  assert.match(letters[0]?.error ?? "", /cannot handle 2/);
  assert.equal(reports.filter(({ kind }) => kind === "parked").length, 1);

  await subscriptions.replayDeadLetters({ subscription: "test.all" });
  await until("a second failure", () => reports.filter((r) => r.kind === "parked").length === 2);
  await until("waiting again", async () => {
    const again = await subscriptions.deadLetters({ limit: 10 });
    return again.map(({ state }) => state).join() === "dead,waiting,waiting";
  });

  broken = false;
  await subscriptions.replayDeadLetters({ subscription: "test.all" });
  await until(
    "no letters",
    async () => (await subscriptions.deadLetters({ limit: 10 })).length === 0,
  );
  await log.append([numbered("bad", 5)]);
  await until("all of the stream", async () => {
    const bad = (await log.effects()).filter(({ stream }) => stream === "bad");
    return bad.map(({ n }) => n).join() === "1,2,3,4,5";
  });
});

test("a handler that fails for every event stalls instead of parking the log", async () => {
  await using log = await setup();
  let broken = true;
  const stalled = Promise.withResolvers<void>();
  const { subscriptions } = await log.node(
    [
      {
        name: "test.broken",
        mode: "transactional",
        attemptsMax: 1,
        parkedInRowMax: 3,
        handle: async (tx, events) => {
          if (broken) throw new Error("a bug");
          await log.record(tx, events);
        },
      },
    ],
    {
      onEvent: (event) => {
        const { code } = (event.kind === "failed" ? event.error : {}) as { code?: string };
        if (code === "ERR_SUBSCRIPTION_STALLED") stalled.resolve();
      },
    },
  );
  await log.append(Array.from({ length: 20 }, (_, n) => numbered(`s${n}`, n)));
  await stalled.promise;
  assert.equal((await subscriptions.deadLetters({ limit: 99 })).length, 3);
  broken = false;
  await until("the rest", async () => (await log.effects()).length === 17);
  await subscriptions.replayDeadLetters({ subscription: "test.broken" });
  await until("all", async () => (await log.effects()).length === 20);
});

test("a discarded event lets those behind it go on", async () => {
  await using log = await setup();
  const seen: number[] = [];
  const { subscriptions } = await log.node([
    {
      name: "test.external",
      mode: "external",
      attemptsMax: 2,
      handle: async (_ctx, event) => {
        if (event.data["n"] === 1) throw new Error("no");
        seen.push(Number(event.data["n"]));
      },
    },
  ]);
  await log.append([numbered("bad", 1), numbered("bad", 2), numbered("good", 3)]);
  await until("the good one", () => seen.length === 1);
  await until(
    "the letters",
    async () => (await subscriptions.deadLetters({ limit: 9 })).length === 2,
  );
  assert.equal(await subscriptions.discardDeadLetters({ tenantId: log.tenantId }), 1);
  await until("the one behind", () => seen.length === 2);
  assert.deepEqual(seen, [3, 2]);
  await until(
    "no letters",
    async () => (await subscriptions.deadLetters({ limit: 9 })).length === 0,
  );
});

test("a node that dies is taken over; its late checkpoint is refused by the fencing token", async () => {
  await using log = await setup();
  const entered = Promise.withResolvers<void>();
  const paused = Promise.withResolvers<void>();
  const name = "test.all";
  let first = true;
  const slow = await log.node(
    [
      {
        name,
        mode: "transactional",
        handle: async (tx, events) => {
          await log.record(tx, events);
          if (!first) return;
          first = false;
          entered.resolve();
          await paused.promise;
        },
      },
    ],
    { leaseMs: 1_000 },
  );
  await log.append([numbered("a", 1)]);
  await entered.promise;
  // The first node is paused in its transaction and renews nothing: its leases expire.
  await log.database.query(
    `update platform.event_cursors set expires_at = '-infinity', holder = $1, token = token + 1`,
    [newId()],
  );
  await log.node([{ name, mode: "transactional", handle: log.record }], { leaseMs: 1_000 });
  await until("the takeover's effect", async () => (await log.effects()).length === 1);
  paused.resolve();
  await slow.stop();
  assert.equal((await log.effects()).length, 1);
});

/** How many partitions each node holds, by size; what nobody holds counts for none. */
async function spreadOf({ subscriptions }: NodeFixture): Promise<readonly number[]> {
  const [status] = await subscriptions.status();
  const taken = (status?.partitions ?? []).filter(({ holder }) => holder);
  const groups = Map.groupBy(taken, ({ holder }) => holder);
  return [...groups.values()].map((group) => group.length).toSorted();
}

test("partitions spread over nodes and move when one goes away", async () => {
  await using log = await setup();
  const subscription: Subscription = {
    name: "test.all",
    mode: "transactional",
    handle: log.record,
  };
  const one = await log.node([subscription], { leaseMs: 1_000 });
  const heldBy = () => spreadOf(one);
  assert.deepEqual(await heldBy(), [8]);
  const two = await log.node([subscription], { leaseMs: 1_000 });
  await until("an even spread", async () => (await heldBy()).join() === "4,4");
  await two.stop();
  await until("all back", async () => (await heldBy()).join() === "8");
});

test("nothing waits for a heartbeat when a node comes or goes", async () => {
  await using log = await setup();
  const subscription: Subscription = {
    name: "test.all",
    mode: "transactional",
    handle: log.record,
  };
  // A heartbeat every 15 s: none comes by itself.
  const config = { leaseMs: 60_000 };
  const one = await log.node([subscription], config);
  const two = await log.node([subscription], config);
  const held = () => spreadOf(one);
  await until("an even spread", async () => (await held()).join() === "4,4", 5_000);
  const streams = Array.from({ length: 40 }, (_, at) => numbered(`stream ${at}`, 1));
  await log.append(streams);
  await until("all effects", async () => (await log.effects()).length === 40, 5_000);
  await two.stop();
  await until("all back", async () => (await held()).join() === "8", 5_000);
  await log.append(streams);
  await until("all effects", async () => (await log.effects()).length === 80, 5_000);
});

test("stop tolerates never started and twice, and finishes the running batch", async () => {
  await using log = await setup();
  const entered = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const node = await log.node([
    {
      name: "test.all",
      mode: "transactional",
      handle: async (tx, events) => {
        entered.resolve();
        await go.promise;
        await log.record(tx, events);
      },
    },
  ]);
  await log.append([numbered("a", 1)]);
  await entered.promise;
  const stopping = node.stop();
  go.resolve();
  await stopping;
  await node.stop();
  assert.equal((await log.effects()).length, 1);
  const [status] = await node.subscriptions.status();
  assert.equal(
    status?.partitions.every(({ holder }) => holder === null),
    true,
  );
});
