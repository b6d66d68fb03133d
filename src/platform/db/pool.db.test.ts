import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, describe, test } from "node:test";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { DbError } from "./errors.ts";
import { createPool, type PoolEvent, type PoolLimits } from "./pool.ts";

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase({ lines: [] });
});
after(() => database.drop());

interface Setup extends AsyncDisposable {
  readonly pool: ReturnType<typeof createPool>;
  readonly events: PoolEvent[];
  /** Resolves with the next event of a kind. */
  next(kind: PoolEvent["kind"]): Promise<PoolEvent>;
}

function setup(limits: Partial<PoolLimits>, url = database.ownerUrl): Setup {
  const emitter = new EventEmitter();
  const events: PoolEvent[] = [];
  const onEvent = (event: PoolEvent) => {
    events.push(event);
    emitter.emit(event.kind, event);
  };
  const pool = createPool({ name: "test", url, limits, onEvent });
  return {
    pool,
    events,
    next: async (kind) => (await once(emitter, kind))[0],
    [Symbol.asyncDispose]: () => pool.stop(),
  };
}

const codeOf = (error: unknown) => (error instanceof DbError ? error.code : String(error));

describe("a pool", () => {
  test("that is exhausted refuses within its time, and serves again when a connection is back", async () => {
    await using it = setup({ max: 2, acquireTimeoutMs: 1_000 });
    const held = [await it.pool.acquire("a"), await it.pool.acquire("b")];
    const startedAt = performance.now();
    await assert.rejects(it.pool.acquire("c"), { code: "ERR_DB_POOL_EXHAUSTED", retryable: true });
    const waitedMs = performance.now() - startedAt;
    assert.ok(waitedMs >= 990 && waitedMs < 5_000, `${waitedMs} ms`);
    assert.ok(it.events.some((event) => event.kind === "exhausted"));
    assert.equal(it.pool.state().breaker, "closed");
    for (const lease of held) lease.release();
    (await it.pool.acquire("d")).release();
  });

  test("refuses at once when too many wait already", async () => {
    await using it = setup({ max: 1, waitingMax: 2, acquireTimeoutMs: 2_000 });
    const held = await it.pool.acquire("a");
    const waiting = [it.pool.acquire("b"), it.pool.acquire("c")];
    const startedAt = performance.now();
    await assert.rejects(it.pool.acquire("d"), { code: "ERR_DB_POOL_EXHAUSTED" });
    assert.ok(performance.now() - startedAt < 50);
    held.release();
    for (const lease of waiting) (await lease).release();
  });

  test("reports who holds a connection too long", async () => {
    await using it = setup({ leakAfterMs: 20 });
    const lease = await it.pool.acquire("orders.place");
    const leak = await it.next("leak");
    assert.ok(leak.kind === "leak" && leak.holder === "orders.place" && leak.heldMs >= 19);
    lease.release();
  });

  test("closes a broken connection instead of lending it again", async () => {
    await using it = setup({ max: 1 });
    const first = await it.pool.acquire("a");
    const pid = (await first.client.query("select pg_backend_pid() as pid")).rows[0].pid;
    first.release(true);
    const second = await it.pool.acquire("b");
    assert.notEqual((await second.client.query("select pg_backend_pid() as pid")).rows[0].pid, pid);
    second.release();
  });

  test("survives the death of an idle connection", async () => {
    await using it = setup({ max: 1 });
    const lease = await it.pool.acquire("a");
    const pid = (await lease.client.query("select pg_backend_pid() as pid")).rows[0].pid;
    lease.release();
    const died = it.next("connection_error");
    await database.query("select pg_terminate_backend($1)", [pid]);
    await died;
    const again = await it.pool.acquire("b");
    assert.equal((await again.client.query("select 1 as one")).rows[0].one, 1);
    again.release();
  });

  test("opens its breaker on a dead database, refuses at once, and recovers by itself", async () => {
    const proxy = await startTcpProxy(database.ownerUrl);
    const limits = { max: 1, breakerThreshold: 3, breakerOpenMs: 100, acquireTimeoutMs: 1_000 };
    await using it = setup(limits, proxy.through(database.ownerUrl));
    proxy.refuse(true);
    for (let n = 0; n < 3; n++) {
      assert.equal(await it.pool.acquire("a").catch(codeOf), "ERR_DB_UNAVAILABLE");
    }
    assert.equal(it.pool.state().breaker, "open");
    const startedAt = performance.now();
    await assert.rejects(it.pool.acquire("a"), /circuit breaker is open/);
    assert.ok(performance.now() - startedAt < 20);

    proxy.refuse(false);
    const closed = (async () => {
      for (;;) {
        const event = await it.next("breaker");
        if (event.kind === "breaker" && event.state === "closed") return;
      }
    })();
    const deadline = performance.now() + 5_000;
    for (;;) {
      const lease = await it.pool.acquire("b").catch(() => undefined);
      if (lease) {
        lease.release();
        break;
      }
      assert.ok(performance.now() < deadline, "recovers");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await closed;
    assert.equal(it.pool.state().breaker, "closed");
    await proxy.stop();
  });

  test("does not hang on a database that accepts and says nothing", async () => {
    const proxy = await startTcpProxy(database.ownerUrl);
    await using it = setup({ acquireTimeoutMs: 100 }, proxy.through(database.ownerUrl));
    proxy.pause();
    const startedAt = performance.now();
    assert.equal(await it.pool.acquire("a").catch(codeOf), "ERR_DB_UNAVAILABLE");
    assert.ok(performance.now() - startedAt < 1_000);
    await proxy.stop();
  });

  test("may be stopped twice, and unused", async () => {
    const it = setup({});
    await it.pool.stop();
    await it.pool.stop();
  });
});
