import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { createDb, type Db, type TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { appendEvents, type NewEvent, type RecordedEvent, type Subscription } from "./events.ts";
import type { SubscriptionEvent } from "./subscription.ts";
import {
  createSubscriptions,
  type Subscriptions,
  type SubscriptionsConfig,
} from "./subscriptions.ts";

/** A database with a table of effects, for tests of the log. */
export interface LogFixture extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly tenantId: TenantId;
  /** Appends events of one tenant in one transaction. */
  append(events: readonly NewEvent[], tenantId?: TenantId): Promise<void>;
  /** A handler that records each event it sees, in order. */
  record(tx: TenantTx, events: readonly RecordedEvent[]): Promise<void>;
  /** What {@link record} recorded and kept, in the order of handling. */
  effects(): Promise<{ stream: string; n: number; tenantId: string }[]>;
  /** Runs subscriptions on a node of their own until the fixture ends. */
  node(
    subscriptions: readonly Subscription[],
    config?: Partial<SubscriptionsConfig>,
  ): Promise<NodeFixture>;
}

/** A process's subscriptions, and what they reported. */
export interface NodeFixture {
  readonly subscriptions: Subscriptions;
  readonly reports: SubscriptionEvent[];
  stop(): Promise<void>;
}

/** Makes a fresh database for one test. */
export async function setup(): Promise<LogFixture> {
  const database = await createTestDatabase();
  await database.query(`create table shared.effects (tenant_id uuid not null, event_id uuid not null,
    at bigint generated always as identity, stream text not null, n integer not null)`);
  const dbs: Db[] = [];
  const open = (): Db => {
    const made = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    dbs.push(made);
    return made;
  };
  const db = open();
  const tenantId = newId<"tenant">();
  const nodes: Subscriptions[] = [];
  return {
    database,
    db,
    tenantId,
    append: (events, of = tenantId) =>
      db.commit(of, async (tx) => appendEvents(tx, systemContext(of, "req"), events)),
    record,
    effects: () =>
      database.query(`select stream, n, tenant_id as "tenantId" from shared.effects order by at`),
    async node(subscriptions, config = {}) {
      const reports: SubscriptionEvent[] = [];
      const made = createSubscriptions({
        db: open(),
        databases: [{ name: "home" }],
        onEvent: (event) => void reports.push(event),
        ...config,
      });
      for (const subscription of subscriptions) made.register(subscription);
      nodes.push(made);
      await made.start();
      return { subscriptions: made, reports, stop: () => made.stop() };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.stop()));
      await Promise.all(dbs.map((made) => made.stop()));
      await database.drop();
    },
  };
}

async function record(tx: TenantTx, events: readonly RecordedEvent[]): Promise<void> {
  tx.write(sql("test.record")`
    insert into effects (tenant_id, event_id, stream, n)
    select ${tx.tenantId}, id, stream, n from unnest(${events.map(({ id }) => id)}::uuid[],
      ${events.map(({ stream }) => stream)}::text[],
      ${events.map(({ data }) => data["n"])}::int[]) as e (id, stream, n)`);
}

/** An event of a stream with a number. */
export function numbered(stream: string, n: number, type = "test.happened"): NewEvent {
  return { type, version: 1, stream, data: { n } };
}

/** Waits for a condition, looking every few milliseconds. @throws after the deadline */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
