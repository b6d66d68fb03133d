import assert from "node:assert/strict";
import { test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail } from "../../kernel/result.ts";
import type { Db } from "../db/db.ts";
import { numbered, setup } from "./events.fixture.ts";
import {
  appendEvents,
  createEventAppender,
  eventsOfRequest,
  eventsOfStream,
  flushEvents,
  streamEvents,
} from "./events.ts";
import type { EventTail, EventTailPage } from "./queries.ts";

test("records events in the transaction of the change they describe", async () => {
  await using log = await setup();
  const { db, tenantId } = log;
  const ctx = { ...systemContext(tenantId, "req-1"), traceparent: "00-1-2-01" };
  const occurredAt = new Date("2011-01-02T03:04:05.678Z");
  await db.commit(tenantId, async (tx) =>
    appendEvents(tx, ctx, [
      { type: "orders.placed", version: 2, stream: "order:1", data: { total: 5 }, occurredAt },
      { type: "orders.paid", version: 1, stream: "order:1", data: { text: `"quoted", {}\\ é` } },
    ]),
  );
  const events = await db.read(tenantId, (tx) => eventsOfStream(tx, "order:1"));
  assert.deepEqual(
    events.map(({ type, version, data }) => ({ type, version, data })),
    [
      { type: "orders.placed", version: 2, data: { total: 5 } },
      { type: "orders.paid", version: 1, data: { text: `"quoted", {}\\ é` } },
    ],
  );
  assert.deepEqual(events[0]?.occurredAt, occurredAt);
  assert.equal(events[1]?.requestId, "req-1");
  assert.deepEqual(events[1]?.metadata, { actor: ctx.actor, traceparent: "00-1-2-01" });
});

test("leaves no event behind when the transaction refuses", async () => {
  await using log = await setup();
  const { db, tenantId } = log;
  await db.transact(tenantId, async (tx) => {
    appendEvents(tx, systemContext(tenantId, "req"), [numbered("order:1", 1)]);
    return fail({ code: "test.refused" });
  });
  assert.deepEqual(await db.read(tenantId, (tx) => eventsOfRequest(tx, "req")), []);
});

/**
 * Reads until so many events are there: a writer of any database of this server holds the watermark
 * back until it commits, and tests share the server.
 */
async function tailed(
  db: Db,
  tenantId: TenantId,
  tail: EventTail,
  count = 1,
): Promise<EventTailPage> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const page = await streamEvents(db, tenantId, tail);
    if (page.events.length >= count || performance.now() > deadline) return page;
  }
}

test("shows a tenant its own events only", async () => {
  await using log = await setup();
  const other = newId<"tenant">();
  await log.append([numbered("order:1", 1)]);
  await log.append([numbered("order:1", 2)], other);
  const events = await log.db.read(other, (tx) => eventsOfStream(tx, "order:1"));
  assert.deepEqual(
    events.map(({ data }) => data),
    [{ n: 2 }],
  );
  const tail = await tailed(log.db, other, { after: "0-0", limit: 10 });
  assert.deepEqual(
    tail.events.map(({ data }) => data),
    [{ n: 2 }],
  );
});

test("is append-only for the roles and for the owner", async () => {
  await using log = await setup();
  const { db, tenantId, database } = log;
  await log.append([numbered("order:1", 1)]);
  const asApp = (text: string) =>
    db.commit(tenantId, (tx) => tx.run({ name: "", text, values: [] }));
  for (const text of [
    "update platform.events set data = '{}'",
    "delete from platform.events",
    "truncate platform.events",
  ]) {
    await assert.rejects(asApp(text), { sqlState: "42501" });
    await assert.rejects(database.query(text), { code: "42501" });
  }
  assert.equal((await database.query("select from platform.events")).length, 1);
});

test("appends of callers at the same time share transactions, and one refusal fails one", async () => {
  await using log = await setup();
  const { db, tenantId, database } = log;
  const appender = createEventAppender(db, { inFlightMax: 1 });
  const ctx = systemContext(tenantId, "req");
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, (_, n) =>
      appender.append(tenantId, ctx, [numbered(n === 7 ? "x".repeat(201) : `order:${n}`, n)]),
    ),
  );
  assert.deepEqual(
    outcomes.flatMap((outcome, n) => (outcome.status === "rejected" ? [n] : [])),
    [7],
  );
  const [row] = await database.query("select count(*)::int as count from platform.events");
  assert.equal(row?.["count"], 49);
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => appender.append(tenantId, ctx, [numbered("s", n)])),
  );
  const [batches] = await database.query(
    "select count(distinct horizon)::int as count from platform.events where stream = 's'",
  );
  assert.ok(Number(batches?.["count"]) < 10);
});

test("tails a tenant's events without missing a late commit", async () => {
  await using log = await setup();
  const { db, tenantId } = log;
  const start = await streamEvents(db, tenantId, { limit: 10 });
  const late = Promise.withResolvers<void>();
  const appended = Promise.withResolvers<void>();
  const writing = db.commit(tenantId, async (tx) => {
    appendEvents(tx, systemContext(tenantId, "late"), [numbered("order:1", 1)]);
    flushEvents(tx);
    await tx.rows({ name: "", text: "select 1", values: [] });
    appended.resolve();
    await late.promise;
  });
  await appended.promise;
  await log.append([numbered("order:2", 2), numbered("order:3", 3, "test.other")]);
  const early = await streamEvents(db, tenantId, { after: start.next, limit: 10 });
  assert.deepEqual(early.events, []);
  late.resolve();
  await writing;
  const types = ["test.happened"];
  await tailed(db, tenantId, { after: early.next, limit: 10 }, 3);
  const rest = await streamEvents(db, tenantId, { after: early.next, types, limit: 1 });
  assert.deepEqual([rest.events[0]?.data, rest.more], [{ n: 1 }, true]);
  const last = await streamEvents(db, tenantId, { after: rest.next, types, limit: 10 });
  assert.deepEqual([last.events[0]?.data, last.events.length, last.more], [{ n: 2 }, 1, false]);
  await assert.rejects(streamEvents(db, tenantId, { after: "nonsense", limit: 1 }), RangeError);
});
