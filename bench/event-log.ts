import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import { systemContext } from "../src/kernel/context.ts";
import { newId, type TenantId } from "../src/kernel/ids.ts";
import { migrationLines } from "../src/migration-lines.ts";
import { createDb, type Db, type TenantTx } from "../src/platform/db/db.ts";
import { migrate } from "../src/platform/db/migrate.ts";
import { roleUrls } from "../src/platform/db/roles.ts";
import { sql } from "../src/platform/db/sql.ts";
import {
  appendEvents,
  createEventAppender,
  createSubscriptions,
  type NewEvent,
  type RecordedEvent,
} from "../src/platform/events/events.ts";
import { createWakeup } from "../src/platform/wakeup/wakeup.ts";
import {
  type BenchOptions,
  type BenchResult,
  closedLoop,
  round,
  startBenchServer,
  summarise,
} from "./harness.ts";

interface Log {
  readonly db: Db;
  readonly ownerUrl: string;
  readonly tenantId: TenantId;
}

const batchSize = 1_000;

/**
 * Appends events one by one (coalesced) and in batches, hands a backlog through a transactional
 * subscription beside raw SQL that projects the same batches, and measures how soon an idle
 * subscription hears of one event.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const server = await startBenchServer();
  const opened = await openLog(server.url);
  try {
    return await measure(opened, { quick, log });
  } finally {
    await opened.db.stop();
    await server.stop();
  }
}

async function openLog(ownerUrl: string): Promise<Log> {
  await migrate({ ownerUrl, home: true, schemas: ["shared"], lines: migrationLines });
  await asOwner(ownerUrl, [
    `create table shared.bench_totals (tenant_id uuid not null, key text not null,
       events bigint not null, amount bigint not null, primary key (tenant_id, key))`,
    "select platform.protect_tenant_table('shared.bench_totals')",
    `create table platform.bench_checkpoint (position bigint not null)`,
    `insert into platform.bench_checkpoint values (0)`,
  ]);
  const db = createDb({
    urlsOf: () => roleUrls(ownerUrl),
    placementOf: async () => ({ database: "home", schema: "shared" }),
    poolLimits: { max: 16, acquireTimeoutMs: 30_000 },
  });
  return { db, ownerUrl, tenantId: newId<"tenant">() };
}

async function asOwner(ownerUrl: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

async function measure(log: Log, { quick, log: print }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 2_000 : 8_000;
  const rows: Record<string, string | number>[] = [];
  const row = (what: string, figures: Record<string, string | number>) => {
    rows.push({ what, ...figures });
    const text = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
    print(`${what}: ${text.join(", ")}`);
  };

  const single = await appendSingle(log, durationMs);
  row("append one by one, 256 callers, coalesced", {
    perSecond: single.perSecond,
    p50: single.p50,
    p99: single.p99,
  });
  const batched = await appendBatches(log, durationMs);
  row(`append in batches of ${batchSize}, 2 callers`, { perSecond: batched });

  const waiting = await countEvents(log);
  const ours = await subscribe(log, waiting);
  row("transactional subscription", { perSecond: ours, events: waiting });
  const limit = await projectRaw(log, waiting);
  row("by hand: read a batch, project, write, commit", { perSecond: limit, events: waiting });
  const inside = await projectInside(log, waiting);
  row("by hand, never leaving SQL", { perSecond: inside, events: waiting });

  const idle = await idleLatency(log, quick ? 150 : 500);
  row("append to handler, idle", { p50: idle.p50, p99: idle.p99, max: idle.max });

  const peer = await emmett(log, durationMs, print);
  const peers: Record<string, number> = {};
  const notes: string[] = [];
  if (peer) {
    row("emmett-postgresql: append one by one, 10 callers", { perSecond: peer.single });
    row("emmett-postgresql: append in hundreds, 10 callers", { perSecond: peer.batched });
    row("emmett-postgresql: projection of a backlog", { perSecond: peer.projected });
    peers["emmett-postgresql"] = peer.projected;
  } else {
    notes.push("emmett-postgresql is not installed: npm install in bench/");
  }
  return {
    bench: "event-log",
    ours,
    unit: "events/s",
    peers,
    ratio: peer ? round(ours / peer.projected) : null,
    limit,
    ofLimit: round(ours / limit),
    rows,
    notes,
  };
}

function orderPlaced(): NewEvent {
  const orderId = newId();
  const data = { orderId, total: { amountMinor: 1_999, currency: "EUR" }, lines: 2 };
  return { type: "bench.order_placed", version: 1, stream: `order:${orderId}`, data };
}

function appendSingle({ db, tenantId }: Log, durationMs: number) {
  const appender = createEventAppender(db);
  const ctx = systemContext(tenantId, newId());
  return closedLoop(256, durationMs, () => appender.append(tenantId, ctx, [orderPlaced()]));
}

async function appendBatches({ db, tenantId }: Log, durationMs: number): Promise<number> {
  const load = await closedLoop(2, durationMs, () =>
    db.commit(tenantId, async (tx) => {
      const events = Array.from({ length: batchSize }, orderPlaced);
      appendEvents(tx, systemContext(tenantId, newId()), events);
    }),
  );
  return load.perSecond * batchSize;
}

async function countEvents({ db }: Log): Promise<number> {
  const { count } = await db.platform("home", (tx) =>
    tx.one<{ count: number }>(sql("bench.count")`select count(*) from platform.events`),
  );
  return count;
}

/** The projection: events and amount by type, added up per batch. */
function project(tx: TenantTx, events: readonly RecordedEvent[]): void {
  const totals = new Map<string, { events: number; amount: number }>();
  for (const { type, data } of events) {
    const total = totals.get(type) ?? { events: 0, amount: 0 };
    const { amountMinor } = data["total"] as { readonly amountMinor: number };
    totals.set(type, { events: total.events + 1, amount: total.amount + amountMinor });
  }
  const values = [...totals.values()];
  tx.write(sql("bench.project")`
    insert into bench_totals (tenant_id, key, events, amount)
    select ${tx.tenantId}, key, events, amount
    from unnest(${[...totals.keys()]}::text[],
      ${values.map(({ events }) => events)}::bigint[],
      ${values.map(({ amount }) => amount)}::bigint[]) as n (key, events, amount)
    on conflict (tenant_id, key) do update set events = bench_totals.events + excluded.events,
      amount = bench_totals.amount + excluded.amount`);
}

async function subscribe({ db, tenantId }: Log, expected: number): Promise<number> {
  const done = Promise.withResolvers<void>();
  let seen = 0;
  const subscriptions = createSubscriptions({
    db,
    databases: [{ name: "home" }],
    onEvent: (event) => {
      if (event.kind === "failed") done.reject(event.error);
      if (event.kind !== "batch") return;
      seen += event.events;
      if (seen >= expected) done.resolve();
    },
  });
  subscriptions.register({
    name: "bench.totals",
    mode: "transactional",
    batchMax: batchSize,
    handle: async (tx, events) => project(tx, events),
  });
  const startedAt = performance.now();
  await subscriptions.start();
  await done.promise;
  const seconds = (performance.now() - startedAt) / 1_000;
  await subscriptions.stop();
  const total = await db.read(tenantId, (tx) =>
    tx.one<{ events: number }>(sql("bench.total")`select events from bench_totals`),
  );
  if (total.events !== expected) throw new Error(`${total.events} events took effect`);
  return Math.round(expected / seconds);
}

/**
 * The practical limit: the same batches read, projected, written and committed by hand, on one
 * connection, without tenants, leases, order across writers or dead letters.
 */
async function projectRaw({ ownerUrl, tenantId }: Log, expected: number): Promise<number> {
  const client = new pg.Client({ connectionString: ownerUrl, pipeline: true } as pg.ClientConfig);
  await client.connect();
  // The log has an index by partition; the loop by hand gets one it can walk in a straight line.
  await client.query("create index on platform.events (position)");
  await client.query("analyze platform.events");
  const startedAt = performance.now();
  const read = (after: number) =>
    client.query({
      name: "bench.read",
      text: `select tenant_id, id, position, stream, type, version, data, occurred_at
        from platform.events where position > $1 order by position limit $2`,
      values: [after, batchSize],
    });
  let reading = read(0);
  for (let seen = 0; seen < expected; ) {
    const { rows } = await reading;
    const position = rows.at(-1)?.position;
    let amount = 0;
    for (const { data } of rows) amount += data.total.amountMinor;
    const begun = client.query("begin");
    const written = client.query({
      name: "bench.write",
      text: `insert into shared.bench_totals (tenant_id, key, events, amount)
        values ($1, 'by hand', $2, $3) on conflict (tenant_id, key) do update
          set events = bench_totals.events + excluded.events,
            amount = bench_totals.amount + excluded.amount`,
      values: [tenantId, rows.length, amount],
    });
    const moved = client.query({
      name: "bench.move",
      text: "update platform.bench_checkpoint set position = $1",
      values: [position],
    });
    const committed = client.query("commit");
    reading = read(position);
    await Promise.all([begun, written, moved, committed]);
    seen += rows.length;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await client.end();
  return Math.round(expected / seconds);
}

/** What a projection costs that is written in SQL and never moves an event out of the server. */
async function projectInside({ ownerUrl, tenantId }: Log, expected: number): Promise<number> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  await client.query("update platform.bench_checkpoint set position = 0");
  const startedAt = performance.now();
  for (let seen = 0; seen < expected; ) {
    const { rows } = await client.query({
      name: "bench.inside",
      text: `with batch as (
          select position, type, data from platform.events
          where position > (select position from platform.bench_checkpoint)
          order by position limit $2),
        projected as (
          insert into shared.bench_totals (tenant_id, key, events, amount)
          select $1, 'inside ' || type, count(*), sum((data #>> '{total,amountMinor}')::bigint)
          from batch group by type
          on conflict (tenant_id, key) do update
            set events = bench_totals.events + excluded.events,
              amount = bench_totals.amount + excluded.amount)
        update platform.bench_checkpoint
        set position = (select max(position) from batch)
        returning (select count(*) from batch) as count`,
      values: [tenantId, batchSize],
    });
    seen += Number(rows[0]?.count);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await client.end();
  return Math.round(expected / seconds);
}

async function idleLatency({ db, ownerUrl, tenantId }: Log, count: number) {
  const wakeup = createWakeup({ url: ownerUrl, topics: ["events"] });
  await wakeup.start();
  const arrivals = new Map<string, (at: number) => void>();
  const subscriptions = createSubscriptions({ db, databases: [{ name: "home", wakeup }] });
  subscriptions.register({
    name: "bench.latency",
    mode: "transactional",
    from: "now",
    handle: async (_tx, events) => {
      for (const { stream } of events) arrivals.get(stream)?.(performance.now());
    },
  });
  await subscriptions.start();
  const latencies: number[] = [];
  const startedAt = performance.now();
  for (let index = 0; index < count; index++) {
    const event = orderPlaced();
    const arrived = new Promise<number>((resolve) => arrivals.set(event.stream, resolve));
    const at = performance.now();
    await db.commit(tenantId, async (tx) => {
      appendEvents(tx, systemContext(tenantId, newId()), [event]);
    });
    latencies.push((await arrived) - at);
    arrivals.delete(event.stream);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await subscriptions.stop();
  await wakeup.stop();
  return summarise(latencies, performance.now() - startedAt);
}

interface PeerFigures {
  readonly single: number;
  readonly batched: number;
  readonly projected: number;
}

/** The parts of emmett's API used here. */
interface Emmett {
  getPostgreSQLEventStore(url: string): {
    readonly schema: { migrate(): Promise<unknown> };
    appendToStream(stream: string, events: readonly object[]): Promise<unknown>;
    consumer(options: object): {
      reactor(options: object): unknown;
      start(): Promise<void>;
    };
  };
}

/** The peer runs in a process of its own: it leaves connections behind. */
async function emmett(
  { ownerUrl }: Log,
  durationMs: number,
  print: (line: string) => void,
): Promise<PeerFigures | undefined> {
  const script = new URL(import.meta.url).pathname;
  try {
    await import("@event-driven-io/emmett-postgresql" as string);
  } catch {
    return undefined;
  }
  await asOwner(ownerUrl, ["create database emmett"]);
  const url = new URL(ownerUrl);
  url.pathname = "/emmett";
  print("emmett-postgresql: appending and projecting in a process of its own");
  const child = await promisify(execFile)(
    process.execPath,
    [script, "--emmett", String(durationMs)],
    {
      env: { ...process.env, BENCH_URL: url.href },
    },
  );
  return JSON.parse(child.stdout.trim().split("\n").at(-1) ?? "") as PeerFigures;
}

async function emmettProcess(url: string, durationMs: number): Promise<PeerFigures> {
  const library = (await import("@event-driven-io/emmett-postgresql" as string)) as Emmett;
  const store = library.getPostgreSQLEventStore(url);
  await store.schema.migrate();
  const event = () => {
    const { type, data } = orderPlaced();
    return { type, data };
  };
  const single = await closedLoop(10, durationMs, () =>
    store.appendToStream(`order-${newId()}`, [event()]),
  );
  const batched = await closedLoop(10, durationMs, () =>
    store.appendToStream(`order-${newId()}`, Array.from({ length: 100 }, event)),
  );
  const projected = await projectEmmett(store, {
    expected: single.count + batched.count * 100,
    withinMs: durationMs * 3,
  });
  return { single: single.perSecond, batched: batched.perSecond * 100, projected };
}

async function projectEmmett(
  store: ReturnType<Emmett["getPostgreSQLEventStore"]>,
  { expected, withinMs }: { readonly expected: number; readonly withinMs: number },
): Promise<number> {
  let seen = 0;
  const done = Promise.withResolvers<void>();
  // The handler does nothing and batches are as large as ours: that favours the peer.
  const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: 5 } });
  consumer.reactor({
    processorId: "bench",
    startFrom: "BEGINNING",
    eachMessage: async () => {
      if (++seen >= expected) done.resolve();
    },
  });
  const startedAt = performance.now();
  const running = consumer.start();
  const late = new Promise((resolve) => setTimeout(resolve, withinMs));
  await Promise.race([done.promise, running, late]);
  const seconds = (performance.now() - startedAt) / 1_000;
  return Math.round(seen / seconds);
}

const durationOfPeer = process.argv[process.argv.indexOf("--emmett") + 1];
if (import.meta.main && process.argv.includes("--emmett")) {
  const figures = await emmettProcess(process.env["BENCH_URL"] ?? "", Number(durationOfPeer));
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
} else if (import.meta.main) {
  const result = await run({
    quick: process.argv.includes("--quick"),
    log: (line) => process.stderr.write(`${line}\n`),
  });
  console.table(result.rows);
  process.stdout.write(`${JSON.stringify({ ...result, rows: undefined })}\n`);
}
