import assert from "node:assert/strict";
import { test } from "node:test";
import { newIdAt } from "../../kernel/ids.ts";
import { numbered, setup, until } from "./events.fixture.ts";
import { openEventLog } from "./log.ts";

test("reads no more than the events and bytes it was told, and all of it in the end", async () => {
  await using log = await setup();
  const text = "x".repeat(1_000);
  const events = Array.from({ length: 400 }, (_, n) => ({
    ...numbered(`s${n % 40}`, n),
    data: { n, text: `${text}${Math.random()}` },
  }));
  await log.append(events);
  const reader = openEventLog(log.db, "home");
  let watermark = 0;
  // A writer in another database of the same server may hold the watermark back for a while.
  await until("events below the watermark", async () => {
    const state = await reader.look();
    watermark = state.watermark;
    return state.heads.every(({ horizon }) => horizon < watermark);
  });
  let after = new Map(Array.from({ length: 8 }, (_, p) => [p, { horizon: 0, position: 0 }]));
  const seen = new Set<string>();
  let reads = 0;
  for (let more = true; more; reads++) {
    const range = { after, watermark, types: undefined, eventsMax: 160, bytesMax: 8 * 2_000 };
    const batch = await reader.read(range);
    assert.ok(batch.events.length <= 160);
    for (const { id } of batch.events) seen.add(id);
    after = new Map(batch.reached);
    more = batch.more;
  }
  assert.equal(seen.size, 400);
  assert.ok(reads > 400 / 160, "the bytes cut the batches");
});

test("memory stays flat while a long backlog of large events is handled", async () => {
  await using log = await setup();
  const bytes = 64 * 1024;
  const total = 1_600;
  for (let n = 0; n < total; n += 40) {
    await log.append(
      Array.from({ length: 40 }, (_, i) => ({
        ...numbered(`s${i}`, n + i),
        // Text that does not compress: what is stored is what is sent.
        data: { text: Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex") },
      })),
    );
  }
  let handled = 0;
  let peak = 0;
  const before = process.memoryUsage().rss;
  await log.node([
    {
      name: "test.large",
      mode: "transactional",
      handle: async (_tx, events) => {
        handled += events.length;
        peak = Math.max(peak, process.memoryUsage().rss - before);
      },
    },
  ]);
  await until("the backlog", () => handled === total, 60_000);
  // 200 MB of events in batches of at most 4 MiB stored.
  assert.ok(peak < 150 * 2 ** 20, `${Math.round(peak / 2 ** 20)} MiB`);
});

test("readers walk the index of each month, whatever lies before the cursor", async () => {
  await using log = await setup();
  const { database, tenantId } = log;
  for (const month of ["2025-01-15", "2025-02-15"]) {
    await database.query("select platform.ensure_month_partition('platform.events', $1::date)", [
      month,
    ]);
    const ids = Array.from({ length: 2_000 }, () => newIdAt(new Date(month)));
    await database.query(
      `insert into platform.events (tenant_id, id, version, occurred_at, stream, type, request_id,
         data, metadata)
       select $1, id, 1, now(), 's' || row_number() over (), 'test', 'r', '{}', '{}'
       from unnest($2::uuid[]) as id`,
      [tenantId, ids],
    );
  }
  await database.query("analyze platform.events");
  const plan = async (text: string) => {
    const rows = await database.query<{ "QUERY PLAN": string }>(`explain ${text}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  const read = await plan(`select * from platform.events where partition = 3
    and (horizon, position) > (5, 5) and horizon < 1000000000000000
    order by horizon, position limit 100`);
  assert.match(read, /Merge Append|Index Scan/);
  assert.doesNotMatch(read, /Seq Scan|Bitmap|-> {2}Sort/);
  const ofMonth = await plan(`select * from platform.events
    where tenant_id = '${tenantId}' and id = '${newIdAt(new Date("2025-02-20"))}'`);
  assert.match(ofMonth, /events_y2025m02/);
  assert.doesNotMatch(ofMonth, /events_y2025m01|events_default/);
});

test("a restored log begins a new epoch: cursors of the old one go on with the new events", async () => {
  await using log = await setup();
  const { database } = log;
  const first = await log.node([{ name: "test.all", mode: "transactional", handle: log.record }]);
  await log.append([numbered("a", 1)]);
  await until("the effect", async () => (await log.effects()).length === 1);
  await first.stop();
  // A dump restored into another server: its transaction ids are far below those in the log.
  await database.query("update platform.event_log set system_identifier = 1");
  await database.query(
    "update platform.event_cursors set horizon = (1::bigint << 44) + (1::bigint << 40)",
  );
  await log.node([{ name: "test.all", mode: "transactional", handle: log.record }]);
  await log.append([numbered("a", 2)]);
  await until("the new effect", async () => (await log.effects()).length === 2);
  const [row] = await database.query("select epoch from platform.event_log");
  assert.equal(row?.["epoch"], 2);
});
