import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import pg from "pg";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail } from "../../kernel/result.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { createDb } from "../db/db.ts";
import { appendEvents } from "../events/append.ts";
import { createSubscriptions } from "../events/events.ts";
import { createWakeup } from "../wakeup/wakeup.ts";
import { announceInvalidations, invalidationSubscription, invalidationsTopic } from "./announce.ts";
import type { Invalidation } from "./invalidation.ts";
import { joinInvalidationBuses } from "./memory-bus.ts";
import {
  createPostgresInvalidationBus,
  deleteOldInvalidations,
  type PostgresInvalidationBusConfig,
} from "./postgres-bus.ts";

describe("invalidations over PostgreSQL", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  const openDb = () =>
    createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
  const db = openDb();
  after(() => db.stop());

  /** A bus as a node has it, and what it says. */
  const open = async (config: Partial<PostgresInvalidationBusConfig> = {}) => {
    const bus = createPostgresInvalidationBus({ db, pollMs: 5, ...config });
    const heard: Invalidation[] = [];
    let doubts = 0;
    bus.listen((invalidations) => void heard.push(...invalidations));
    bus.onDoubt(() => doubts++);
    after(() => bus.stop());
    await bus.start();
    return { bus, heard, doubts: () => doubts };
  };
  const announce = (tenantId: TenantId, ...invalidations: Omit<Invalidation, "tenantId">[]) =>
    db.commit(tenantId, async (tx) =>
      announceInvalidations(
        tx,
        invalidations.map((each) => ({ ...each, tenantId })),
      ),
    );
  const of = (tenantId: TenantId, heard: readonly Invalidation[]) =>
    heard.filter((each) => each.tenantId === tenantId);

  it("are heard by every node, whole, when the change is committed, and only then", async () => {
    const [here, there] = [await open(), await open()];
    const tenantId = newId<"tenant">();
    const all = [
      {
        cache: "products",
        keys: ["a", "ü {}\"'"],
        tags: ["shoes"],
        position: 4_503_599_627_370_497,
      },
      { cache: "prices", tags: ["eu"] },
      { cache: "flags", position: 0.5 },
    ];
    await db.transact(tenantId, async (tx) => {
      announceInvalidations(tx, [{ cache: "products", tenantId, keys: ["never"] }]);
      return fail({ code: "no" });
    });
    await db.commit(tenantId, async (tx) => {
      announceInvalidations(tx, [{ ...all[0], cache: "products", tenantId }]);
      announceInvalidations(
        tx,
        all.slice(1).map((each) => ({ ...each, tenantId })),
      );
    });
    for (const { heard } of [here, there]) {
      await until(() => of(tenantId, heard).length === 3);
      assert.deepEqual(
        of(tenantId, heard),
        all.map((each) => ({ ...each, tenantId })),
      );
    }
    assert.equal(here.doubts() + there.doubts(), 0);
  });

  it("may be announced by work of the platform for any tenant, by a tenant for itself only", async () => {
    const { heard } = await open();
    const [one, two] = [newId<"tenant">(), newId<"tenant">()];
    await db.platform("home", async (tx) =>
      announceInvalidations(tx, [
        { cache: "c", tenantId: one },
        { cache: "c", tenantId: two },
      ]),
    );
    await until(() => of(one, heard).length === 1 && of(two, heard).length === 1);
    const foreign = db.commit(one, async (tx) =>
      announceInvalidations(tx, [{ cache: "c", tenantId: two }]),
    );
    await assert.rejects(foreign, { code: "ERR_DB_REFUSED" });
    const reading = db.commit(one, (tx) =>
      tx.rows({ name: "", text: "select * from platform.cache_invalidations", values: [] }),
    );
    await assert.rejects(reading, { code: "ERR_DB_REFUSED" });
  });

  it("are heard from now on, not what was settled before the start", async () => {
    const tenantId = newId<"tenant">();
    await announce(tenantId, { cache: "c", keys: ["before"] });
    const unsettled = () =>
      database.query(
        `select from platform.cache_invalidations
         where tenant_id = $1 and horizon >= platform.event_watermark()`,
        [tenantId],
      );
    while ((await unsettled()).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const { heard } = await open();
    await announce(tenantId, { cache: "c", keys: ["after"] });
    await until(() => of(tenantId, heard).some(({ keys }) => keys?.[0] === "after"));
    assert.equal(of(tenantId, heard).length, 1);
  });

  it("are heard at once though an older transaction runs, which is heard when it commits", async () => {
    const { heard, doubts } = await open();
    const tenantId = newId<"tenant">();
    const older = new pg.Client({ connectionString: database.ownerUrl });
    await older.connect();
    await older.query("begin");
    await older.query(
      "insert into platform.cache_invalidations (tenant_id, cache) values ($1, 'older')",
      [tenantId],
    );
    for (let at = 0; at < 50; at++) await announce(tenantId, { cache: `newer ${at}` });
    await until(() => of(tenantId, heard).length === 50);
    await older.query("commit");
    await older.end();
    await until(() => of(tenantId, heard).length > 50);
    assert.equal(of(tenantId, heard).at(-1)?.cache, "older");
    assert.equal(new Set(of(tenantId, heard).map(({ cache }) => cache)).size, 51);
    assert.equal(doubts(), 0);
  });

  it("are all heard, however many transactions commit in whatever order", async () => {
    const { heard, doubts } = await open({ pollMs: 1 });
    const tenantId = newId<"tenant">();
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      for (let round = 0; round < 40; round++) {
        await db.commit(tenantId, async (tx) => {
          announceInvalidations(tx, [{ cache: `${writer}/${round}/early`, tenantId }]);
          await tx.flush();
          await tx.rows({ name: "", text: "select pg_sleep(random() / 200)", values: [] });
          announceInvalidations(tx, [{ cache: `${writer}/${round}/late`, tenantId }]);
        });
      }
    });
    await Promise.all(writers);
    const names = () => new Set(of(tenantId, heard).map(({ cache }) => cache));
    await until(() => names().size === 20 * 40 * 2);
    assert.equal(doubts(), 0);
  });

  it("are read on in pages when there are thousands", async () => {
    const { heard } = await open();
    const tenantId = newId<"tenant">();
    const many = Array.from({ length: 4_500 }, (_, at) => ({ cache: `c${at}` }));
    await announce(tenantId, ...many);
    await until(() => of(tenantId, heard).length >= 4_500);
    assert.equal(new Set(of(tenantId, heard).map(({ cache }) => cache)).size, 4_500);
  });

  it("wake a node that would otherwise look in ten minutes, in this and in other processes", async () => {
    const other = openDb();
    const tenantId = newId<"tenant">();
    const wakeups = [0, 1].map(() =>
      createWakeup({ url: database.urls.platform, topics: [invalidationsTopic] }),
    );
    await Promise.all(wakeups.map((wakeup) => wakeup.start()));
    const [wakeup] = wakeups;
    assert(wakeup);
    const bus = createPostgresInvalidationBus({ db: other, wakeup, pollMs: 600_000 });
    await bus.start();
    const heard = new Promise<readonly Invalidation[]>((resolve) => bus.listen(resolve));
    await announce(tenantId, { cache: "c", keys: ["k"] });
    assert.deepEqual(await heard, [{ cache: "c", tenantId, keys: ["k"] }]);
    await bus.stop();
    await Promise.all(wakeups.map((each) => each.stop()));
    await other.stop();
  });

  it("that were deleted before a node read them make it doubt, once, and go on", async () => {
    const quick = await open();
    let look = () => {};
    const wakeup = {
      listen(_: string, wake: () => void) {
        look = wake;
        return () => {};
      },
    };
    const slow = await open({ pollMs: 600_000, wakeup });
    const tenantId = newId<"tenant">();
    await announce(tenantId, { cache: "read" });
    await until(() => of(tenantId, quick.heard).length === 1);
    look();
    await until(() => of(tenantId, slow.heard).length === 1);
    await announce(tenantId, { cache: "lost" });
    await until(() => of(tenantId, quick.heard).length === 2);
    // Older ones may go first: transactions of others hold back what is settled.
    const isThere = () =>
      database.query(
        "select from platform.cache_invalidations where tenant_id = $1 and cache = 'lost'",
        [tenantId],
      );
    while ((await isThere()).length > 0)
      await deleteOldInvalidations(db, "home", { olderThanMs: 0 });
    look();
    await until(() => slow.doubts() === 1);
    await announce(tenantId, { cache: "next" });
    look();
    await until(() => of(tenantId, slow.heard).some(({ cache }) => cache === "next"));
    assert.equal(slow.doubts(), 1);
    // Whoever had read them loses nothing when they are deleted.
    await until(() => of(tenantId, quick.heard).length === 3);
    assert.equal(quick.doubts(), 0);
  });

  it("are heard after a time without the database, with a doubt if that was at the start", async () => {
    const proxy = await startTcpProxy(database.urls.platform);
    after(() => proxy.stop());
    const reached = createDb({
      urlsOf: () => ({ app: database.urls.app, platform: proxy.through(database.urls.platform) }),
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    after(() => reached.stop());
    proxy.refuse(true);
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const { heard, doubts } = await open({ db: reached, onError });
    assert(errors.length > 0);
    assert.equal(doubts(), 0);
    proxy.refuse(false);
    await until(() => doubts() === 1);
    const tenantId = newId<"tenant">();
    await announce(tenantId, { cache: "first" });
    await until(() => of(tenantId, heard).length === 1);
    proxy.refuse(true);
    proxy.cutAll();
    await announce(tenantId, { cache: "second" });
    proxy.refuse(false);
    await until(() => of(tenantId, heard).length === 2);
    assert.equal(doubts(), 1);
  });

  it("of several databases are heard as one", async () => {
    const [one, two] = [await open(), await open()];
    const heard: Invalidation[] = [];
    const joined = joinInvalidationBuses([one.bus, two.bus]);
    const end = joined.listen((told) => void heard.push(...told));
    const tenantId = newId<"tenant">();
    await announce(tenantId, { cache: "c" });
    await until(() => of(tenantId, heard).length === 2);
    end();
    await announce(tenantId, { cache: "d" });
    await until(() => of(tenantId, one.heard).length === 2 && of(tenantId, two.heard).length === 2);
    assert.equal(of(tenantId, heard).length, 2);
  });

  it("come from events by a subscription, exactly once", async () => {
    const { heard } = await open();
    const tenantId = newId<"tenant">();
    const subscription = invalidationSubscription({
      name: "cache.test",
      eventTypes: ["catalog.product_changed"],
      map: ({ tenantId: of, stream, position }) => [
        { cache: "products", tenantId: of, keys: [stream.slice("product:".length)], position },
      ],
    });
    const subscriptions = createSubscriptions({ db, databases: [{ name: "home" }], pollMs: 10 });
    subscriptions.register(subscription);
    await subscriptions.start();
    const ctx = { tenantId, actor: { kind: "system", id: "test" }, requestId: "r" } as const;
    await db.commit(tenantId, async (tx) => {
      const event = (stream: string, type: string) => ({ type, version: 1, stream, data: {} });
      appendEvents(tx, ctx, [
        event("product:1", "catalog.product_changed"),
        event("product:2", "catalog.other"),
        event("product:3", "catalog.product_changed"),
      ]);
    });
    await until(() => of(tenantId, heard).length === 2);
    assert.deepEqual(
      of(tenantId, heard)
        .map(({ keys }) => keys)
        .sort(),
      [["1"], ["3"]],
    );
    assert(of(tenantId, heard).every(({ position }) => (position ?? 0) > 0));
    await subscriptions.stop();
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    assert(performance.now() < deadlineMs, `it never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
