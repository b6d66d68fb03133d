import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createMortal } from "../../testing/mortal.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { type LogFixture, numbered, setup } from "./events.fixture.ts";
import { createSubscriptions, type RecordedEvent, type Subscription } from "./events.ts";

const streams = ["a", "b", "c"];
const perStream = 4;

/** Appends to three streams in turn; the second event of `b` is one nobody can handle. */
async function fill(log: LogFixture): Promise<void> {
  for (let n = 1; n <= perStream; n++) {
    await log.append(streams.map((stream) => numbered(stream, n)));
  }
}

function subscription(name: string): Subscription {
  return {
    name,
    mode: "transactional",
    batchMax: 8,
    attemptsMax: 2,
    async handle(tx: TenantTx, events: readonly RecordedEvent[]) {
      if (events.some(({ stream, data }) => stream === "b" && data["n"] === 2)) {
        throw new Error("poison");
      }
      await tx.run(sql("test.effect")`
        insert into marks (tenant_id, subscription, stream, n)
        select ${tx.tenantId}, ${name}, stream, n
        from unnest(${events.map(({ stream }) => stream)}::text[],
          ${events.map(({ data }) => data["n"])}::int[]) as e (stream, n)`);
    },
  };
}

async function startNode(db: Db, name: string) {
  const config = { leaseMs: 60_000, pollMs: 20 };
  const node = createSubscriptions({ db, databases: [{ name: "home" }], ...config });
  node.register(subscription(name));
  await node.start();
  return node;
}

/** Waits for a condition, or for a node's death. @throws after 10 s */
async function settled(isDone: () => Promise<boolean>, isDead = () => false): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isDead() && !(await isDone())) {
    if (performance.now() > deadline) throw new Error("not settled within 10 s");
    await delay(5);
  }
}

async function expired(log: LogFixture): Promise<void> {
  await log.database.query("update platform.event_cursors set expires_at = '-infinity'");
  await log.database.query("delete from platform.event_readers");
}

async function marks(log: LogFixture, name: string): Promise<string> {
  const rows = await log.database.query<{ stream: string; n: number }>(
    "select stream, n from shared.marks where subscription = $1 order by at",
    [name],
  );
  return streams
    .map((stream) => rows.filter((row) => row.stream === stream).map(({ n }) => n))
    .map((numbers) => numbers.join(""))
    .join(" ");
}

async function letters(log: LogFixture, name: string): Promise<string> {
  const rows = await log.database.query<{ state: string }>(
    `select state from platform.event_dead_letters where subscription = $1
     order by horizon, position`,
    [name],
  );
  return rows.map(({ state }) => state).join(" ");
}

test("a node that dies at any moment leaves each effect once, in order, and the poison parked", async (t) => {
  await using log = await setup();
  await log.database.query(`create table shared.marks (at bigint generated always as identity,
    tenant_id uuid, subscription text, stream text, n int)`);
  await fill(log);
  for (let dieAt = 1; ; dieAt++) {
    const name = `test.${dieAt}`;
    const isDone = async () =>
      (await marks(log, name)) === "1234 1 1234" &&
      (await letters(log, name)) === "dead waiting waiting";
    const mortal = createMortal(log.db, dieAt);
    const isDead = () => mortal.moments() >= dieAt;
    const first = startNode(mortal.db, name);
    await settled(isDone, isDead);
    const hasDied = isDead();
    // Whether it lives or not, it is not heard of again: its leases run out.
    first.catch(() => {});
    await expired(log);
    const second = await startNode(log.db, name);
    await settled(isDone);
    await second.stop();
    assert.ok(await isDone(), `died at moment ${dieAt}`);
    if (!hasDied) {
      t.diagnostic(`${dieAt - 1} moments`);
      assert.ok(dieAt > 20, "handling has many moments");
      break;
    }
  }
});
