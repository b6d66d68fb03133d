import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createDb } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import {
  createCache,
  createDurableWrites,
  type DurableSink,
  type DurableWritesConfig,
  deleteAppliedWrites,
  retryParkedWrites,
  type WriteBehindEvent,
} from "./cache.ts";

describe("durable writes behind", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  await database.query(
    `create table shared.prices (tenant_id uuid not null, key text not null, amount int not null,
       applied int not null default 1, primary key (tenant_id, key))`,
  );
  await database.query("select platform.protect_tenant_table('shared.prices')");
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(() => db.stop());

  /** Writes into the table of prices, in the transaction that marks them applied. */
  const sink: DurableSink<number> = async (tx, writes) => {
    for (const { key, value = -1 } of writes) {
      tx.write(sql("test.save_price")`
        insert into prices (tenant_id, key, amount) values (${tx.tenantId}, ${key}, ${value})
        on conflict (tenant_id, key) do update
        set amount = excluded.amount, applied = prices.applied + 1`);
    }
  };
  const setup = (change: Partial<DurableWritesConfig<number>> = {}) => {
    const tenantId = newId<"tenant">();
    const events: WriteBehindEvent[] = [];
    const config = {
      // A cache of its own: what other tests left is not applied here.
      ...{ db, name: newId().slice(0, 36), sink },
      onEvent(event: WriteBehindEvent) {
        if (event.kind === "look_failed") throw event.error;
        events.push(event);
      },
      ...change,
    };
    const put = (key: string, value: number | undefined) =>
      createDurableWrites(config).write(tenantId, [{ key, value }]);
    return { tenantId, config, events, put, writes: createDurableWrites(config) };
  };
  const prices = async (tenantId: TenantId) =>
    Object.fromEntries(
      (
        await database.query<{ key: string; amount: number }>(
          "select key, amount from shared.prices where tenant_id = $1 order by key",
          [tenantId],
        )
      ).map(({ key, amount }) => [key, amount]),
    );

  /** Waits until somebody waits for a lock in this database. */
  const untilBlocked = async () => {
    for (;;) {
      const waiting = await database.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      if (waiting.length > 0) return;
    }
  };

  it("are acknowledged before they are applied, and the last of a key is applied once", async () => {
    const { tenantId, writes, put, events } = setup();
    await put("a", 1);
    await put("a", 2);
    await put("b", 3);
    assert.deepEqual(await prices(tenantId), {});
    await writes.flush();
    assert.deepEqual(await prices(tenantId), { a: 2, b: 3 });
    await writes.flush();
    assert.deepEqual(
      events
        .filter(({ kind }) => kind === "applied")
        .map((each) => "writes" in each && each.writes),
      [2],
    );
  });

  it("are read by the cache before they are applied", async () => {
    const { tenantId, writes } = setup();
    const cache = createCache<number>({
      ...{ name: "prices", ttlMs: 1_000, write: writes.write },
      load: writes.overlay(async (_, keys) => keys.map(() => 0)),
    });
    await cache.put(tenantId, "a", 7);
    await cache.invalidate(tenantId);
    assert.deepEqual(await cache.getMany(tenantId, ["a", "b"]), [7, 0]);
    await cache.put(tenantId, "a", undefined);
    await cache.invalidate(tenantId);
    assert.equal(await cache.get(tenantId, "a"), undefined);
  });

  it("are applied by one of many who try at once, and no write is lost", async () => {
    const { tenantId, config, put } = setup({ batchMax: 3 });
    const keys = Array.from({ length: 40 }, (_, at) => `k${at}`);
    await Promise.all(keys.map((key, at) => put(key, at)));
    await Promise.all(Array.from({ length: 5 }, () => createDurableWrites(config).flush()));
    const applied = await database.query<{ key: string; applied: number }>(
      "select key, applied from shared.prices where tenant_id = $1",
      [tenantId],
    );
    assert.equal(applied.length, keys.length);
    assert(applied.every((row) => row.applied === 1));
  });

  it("of a key come with revisions that only grow, even once the row was forgotten", async () => {
    const revisions: number[] = [];
    const { put, writes } = setup({
      async sink(_, given) {
        revisions.push(...given.map(({ revision }) => revision));
      },
    });
    for (let round = 0; round < 3; round++) {
      await put("a", round);
      await writes.flush();
      if (round === 1) {
        await database.query(
          "update platform.cache_writes set written_at = now() - interval '2 days'",
        );
        assert((await deleteAppliedWrites(db, "home")) > 0);
      }
    }
    assert.equal(revisions.length, 3);
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((a, b) => a - b),
    );
  });

  it("that fail are parked in the end, hold up nobody, and can be tried again", async () => {
    let isHealed = false;
    const { tenantId, config, put, writes, events } = setup({
      ...{ attemptsMax: 2, backoff: { baseMs: 0, maxMs: 0 } },
      async sink(tx, given) {
        if (!isHealed && given.some(({ key }) => key === "bad")) throw new Error("poison");
        await sink(tx, given);
      },
    });
    await put("a", 1);
    await put("bad", 2);
    await put("c", 3);
    await writes.flush();
    await writes.flush();
    assert.deepEqual(await prices(tenantId), { a: 1, c: 3 });
    assert.equal(events.filter(({ kind }) => kind === "parked").length, 1);
    // It is not lost to readers either.
    const load = writes.overlay(async (_, keys) => keys.map(() => 0));
    assert.deepEqual(await load(tenantId, ["bad"], new AbortController().signal), [2]);
    isHealed = true;
    await writes.flush();
    assert.deepEqual(await prices(tenantId), { a: 1, c: 3 });
    assert.equal(await retryParkedWrites(db, tenantId, config.name), 1);
    await writes.flush();
    assert.deepEqual(await prices(tenantId), { a: 1, bad: 2, c: 3 });
  });

  it("that overtake a failed one are not put off with it", async () => {
    const { tenantId, put, writes } = setup({
      attemptsMax: 1,
      async sink(tx, given) {
        if (given.some(({ value }) => value === 1)) throw new Error("poison");
        await sink(tx, given);
      },
    });
    await put("a", 1);
    await writes.flush();
    await put("a", 2);
    await writes.flush();
    assert.deepEqual(await prices(tenantId), { a: 2 });
  });

  it("that come while an older one of the key is being given up are not given up with it", async () => {
    let later: Promise<unknown> | undefined;
    let failures = 0;
    const { tenantId, put, writes } = setup({
      attemptsMax: 1,
      async sink(tx, given) {
        if (given.some(({ value }) => value === 1)) {
          // The second failure, of the write alone, is what parks it.
          if (++failures === 2) {
            later = put("a", 2);
            await untilBlocked();
          }
          throw new Error("poison");
        }
        await sink(tx, given);
      },
    });
    await put("a", 1);
    await writes.flush();
    await later;
    await writes.flush();
    assert.equal(failures, 2);
    assert.deepEqual(await prices(tenantId), { a: 2 });
  });

  it("that one process is applying are passed over by the others, who go on with the rest", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { tenantId, config, put } = setup();
    await put("slow", 1);
    const slow = createDurableWrites({
      ...config,
      async sink(tx, given) {
        begun.resolve();
        await gate.promise;
        await sink(tx, given);
      },
    }).flush();
    await begun.promise;
    await put("b", 2);
    await createDurableWrites(config).flush();
    assert.deepEqual(await prices(tenantId), { b: 2 });
    gate.resolve();
    await slow;
    assert.deepEqual(await prices(tenantId), { b: 2, slow: 1 });
  });

  it("go with the transaction they are part of, or not at all", async () => {
    const { tenantId, writes } = setup();
    const failing = db.commit(tenantId, async (tx) => {
      writes.writeIn(tx, [{ key: "a", value: 1 }]);
      throw new Error("no");
    });
    await assert.rejects(failing, /no/);
    await writes.flush();
    assert.deepEqual(await prices(tenantId), {});
  });

  it("are refused while too many wait", async () => {
    const { put, writes, tenantId } = setup({
      ...{ waitingMax: 2, attemptsMax: 100, backoff: { baseMs: 60_000, maxMs: 60_000 } },
      random: () => 0.99,
      async sink() {
        throw new Error("away");
      },
    });
    await put("a", 1);
    await put("b", 1);
    await writes.flush();
    await assert.rejects(writes.write(tenantId, [{ key: "c", value: 1 }]), {
      code: "ERR_CACHE_WRITES_FULL",
    });
  });

  it("are applied without a flush once started, by whoever runs", async () => {
    const { tenantId, put, writes, events } = setup({ pollMs: 20 });
    writes.start();
    writes.start();
    await put("a", 1);
    while (!events.some(({ kind }) => kind === "applied")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(await prices(tenantId), { a: 1 });
    await writes.stop();
    await writes.stop();
  });

  it("of a tenant are hidden from every other", async () => {
    const { put, config } = setup();
    await put("secret", 1);
    const other = newId<"tenant">();
    const load = createDurableWrites(config).overlay(async (_, keys) => keys.map(() => 0));
    const { signal } = new AbortController();
    assert.deepEqual(await load(other, ["secret"], signal), { values: [0] });
    const seen = await db.read(other, (tx) => tx.rows(sql("test.look")`select from cache_writes`));
    assert.equal(seen.length, 0);
  });
});
