import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { startTcpProxy, type TcpProxy } from "../../testing/tcp-proxy.ts";
import { isCommit } from "../../testing/wire-messages.ts";
import { createDb, type Db, type DbConfig, type TenantTx } from "./db.ts";
import { DbError } from "./errors.ts";
import { sql } from "./sql.ts";

const lines = [
  ...migrationLines.filter(({ name }) => name === "platform/db"),
  {
    name: "testing/notes",
    scope: "tenant" as const,
    folder: new URL("../placement/testdata/notes", import.meta.url).pathname,
  },
];

let database: TestDatabase;
let proxy: TcpProxy;
let tenantId: TenantId;
const retries: string[] = [];

const open = (urls: DbConfig["urlsOf"], extra: Partial<DbConfig> = {}): Db =>
  createDb({
    urlsOf: urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onRetry: ({ error }) => retries.push(error.code),
    ...extra,
  });
let db: Db;
/** Through the proxy, where connections break. */
let shaky: Db;

before(async () => {
  database = await createTestDatabase({ lines });
  proxy = await startTcpProxy(database.ownerUrl);
  db = open(() => database.urls);
  shaky = open(() => ({
    app: proxy.through(database.urls.app),
    platform: proxy.through(database.urls.platform),
  }));
});
after(async () => {
  await Promise.all([db.stop(), shaky.stop()]);
  await proxy.stop();
  await database.drop();
});
beforeEach(() => {
  tenantId = newId<"tenant">();
  retries.length = 0;
  proxy.decide(() => "pass");
});

function addNote(tx: TenantTx, id: string = newId(), text = "note"): void {
  tx.write(sql("test.uow_add")`
    insert into notes (tenant_id, id, text) values (${tx.tenantId}, ${id}, ${text})`);
}

async function texts(): Promise<string[]> {
  const rows = await database.query<{ text: string }>(
    "select text from shared.notes where tenant_id = $1 order by id",
    [tenantId],
  );
  return rows.map((row) => row.text);
}

/** A meeting point: everybody waits until `count` have come. */
function barrier(count: number): () => Promise<void> {
  let arrived = 0;
  let open = () => {};
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    if (++arrived === count) open();
    return all;
  };
}

describe("a unit of work", () => {
  test("leaves nothing behind when it refuses or throws", async () => {
    const refused = await db.transact(tenantId, async (tx) => {
      addNote(tx);
      return fail({ code: "test.refused" });
    });
    assert.equal(refused.ok, false);
    const broken = db.transact(tenantId, async (tx) => {
      addNote(tx);
      throw new Error("bug");
    });
    await assert.rejects(broken, /bug/);
    assert.deepEqual(await texts(), []);
  });

  test("fails when a write that nobody awaited fails", async () => {
    const id = newId();
    const doubled = db.transact(tenantId, async (tx) => {
      addNote(tx, id);
      addNote(tx, id);
      return ok("never");
    });
    await assert.rejects(doubled, { code: "ERR_DB_CONSTRAINT", constraint: "notes_pkey" });
    assert.deepEqual(await texts(), []);
  });

  test("runs again after a serialization failure, and sees what beat it", async () => {
    const id = newId();
    await db.transact(tenantId, async (tx) => ok(addNote(tx, id, "0")));
    const meet = barrier(2);
    const runs: [number, number] = [0, 0];
    const increment = (n: 0 | 1) =>
      db.transact(
        tenantId,
        async (tx) => {
          const row = await tx.one<{ text: string }>(
            sql("test.uow_read")`select text from notes where id = ${id}`,
          );
          if (runs[n]++ === 0) await meet();
          const next = String(Number(row.text) + 1);
          tx.write(sql("test.uow_set")`update notes set text = ${next} where id = ${id}`);
          return ok(undefined);
        },
        { isolation: "repeatable read" },
      );
    await Promise.all([increment(0), increment(1)]);
    assert.deepEqual(await texts(), ["2"]);
    assert.deepEqual(retries, ["ERR_DB_SERIALIZATION"]);
  });

  test("runs again after a deadlock", async () => {
    const [a, b] = [newId(), newId()];
    await db.transact(tenantId, async (tx) => {
      addNote(tx, a);
      addNote(tx, b);
      return ok(undefined);
    });
    const meet = barrier(2);
    const runs: [number, number] = [0, 0];
    const lock = (n: 0 | 1, order: readonly string[]) =>
      db.transact(tenantId, async (tx) => {
        const [first, second] = order;
        await tx.run(sql("test.uow_lock")`update notes set text = text || '!' where id = ${first}`);
        if (runs[n]++ === 0) await meet();
        await tx.run(
          sql("test.uow_lock")`update notes set text = text || '!' where id = ${second}`,
        );
        return ok(undefined);
      });
    await Promise.all([lock(0, [a, b]), lock(1, [b, a])]);
    assert.deepEqual(await texts(), ["note!!", "note!!"]);
    assert.deepEqual(retries, ["ERR_DB_DEADLOCK"]);
  });

  test("gives up after its attempts", async () => {
    let runs = 0;
    const work = db.transact(
      tenantId,
      async (tx) => {
        runs++;
        await tx.run(sql("test.uow_raise")`
          do $$ begin raise exception 'conflict' using errcode = '40001'; end $$`);
        return ok(undefined);
      },
      { attemptsMax: 3 },
    );
    await assert.rejects(work, { code: "ERR_DB_SERIALIZATION" });
    assert.equal(runs, 3);
  });

  test("calls its afterCommit hook once, however often it ran, and never without a commit", async () => {
    const called: string[] = [];
    let runs = 0;
    await db.transact(tenantId, async (tx) => {
      tx.afterCommit(() => called.push("kept"));
      if (runs++ === 0) throw new DbError("ERR_DB_SERIALIZATION", "again", { retryable: true });
      addNote(tx);
      return ok(undefined);
    });
    await db.transact(tenantId, async (tx) => {
      tx.afterCommit(() => called.push("refused"));
      return fail({ code: "test.refused" });
    });
    assert.deepEqual(called, ["kept"]);
  });

  test("stops a statement and a lock wait that take too long", async () => {
    const slow = db.transact(
      tenantId,
      async (tx) => ok(await tx.rows(sql("test.uow_sleep")`select pg_sleep(5)`)),
      { statementTimeoutMs: 50 },
    );
    await assert.rejects(slow, { code: "ERR_DB_STATEMENT_TIMEOUT" });
    const id = newId();
    await db.transact(tenantId, async (tx) => ok(addNote(tx, id)));
    let held = () => {};
    const holding = new Promise<void>((resolve) => {
      held = resolve;
    });
    const meet = barrier(2);
    const holder = db.transact(tenantId, async (tx) => {
      await tx.run(sql("test.uow_lock")`update notes set text = text || '!' where id = ${id}`);
      await meet();
      await holding;
      return ok(undefined);
    });
    await meet();
    const waiting = db.transact(
      tenantId,
      async (tx) =>
        ok(
          await tx.run(sql("test.uow_lock")`update notes set text = text || '!' where id = ${id}`),
        ),
      { lockTimeoutMs: 50 },
    );
    await assert.rejects(waiting, { code: "ERR_DB_LOCK_TIMEOUT" });
    held();
    await holder;
  });

  test("runs no statement beyond its caller's deadline, and begins nothing after it", async () => {
    const startedAt = performance.now();
    const options = { name: "test.deadline", deadlineMs: startedAt + 150 };
    const slow = db.commit(
      tenantId,
      (tx) => tx.run(sql("test.uow_sleep_long")`select pg_sleep(5)`),
      options,
    );
    await assert.rejects(slow, { code: "ERR_DB_STATEMENT_TIMEOUT" });
    assert.ok(performance.now() - startedAt < 1_500);
    const late = db.commit(tenantId, async () => assert.fail("it began"), options);
    await assert.rejects(late, /deadline passed before test.deadline began/);
  });

  test("begins nothing when the deadline passed while it waited for a connection", async () => {
    const own = open(() => database.urls, { poolLimits: { max: 1 } });
    let end = () => {};
    const ending = new Promise<void>((resolve) => {
      end = resolve;
    });
    const holder = own.commit(tenantId, () => ending);
    const options = { name: "test.waited", deadlineMs: performance.now() + 50 };
    const late = own.commit(tenantId, async () => assert.fail("it began"), options);
    setTimeout(end, 100);
    await assert.rejects(late, /deadline passed before test.waited began/);
    await holder;
    await own.commit(tenantId, async (tx) => tx.rows(sql("test.uow_one")`select 1`), {
      deadlineMs: performance.now() + 5_000,
    });
    await own.stop();
  });

  test("gives up on a server that says nothing, and gives the connection away", async () => {
    const own = open(
      () => ({ app: proxy.through(database.urls.app), platform: database.urls.platform }),
      { poolLimits: { max: 1 } },
    );
    await own.read(tenantId, (tx) => tx.rows(sql("test.uow_one")`select 1`));
    proxy.pause();
    const startedAt = performance.now();
    const asked = own.commit(
      tenantId,
      async (tx) => {
        addNote(tx);
        await tx.rows(sql("test.uow_one")`select 1`);
      },
      { statementTimeoutMs: 50 },
    );
    await assert.rejects(asked, { code: "ERR_DB_UNAVAILABLE" });
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs >= 2_000 && tookMs < 4_000, `${tookMs} ms`);
    proxy.resume();
    await own.read(tenantId, (tx) => tx.rows(sql("test.uow_one")`select 1`));
    assert.deepEqual(await texts(), []);
    await own.stop();
  });

  test("cannot write when it reads", async () => {
    const writing = db.read(tenantId, async (tx) => addNote(tx));
    await assert.rejects(writing, { sqlState: "25006" });
  });
});

describe("a commit whose connection breaks", () => {
  test("before it was sent is run again, and takes effect once", async () => {
    let hooks = 0;
    let runs = 0;
    proxy.decide((message) => (isCommit(message) && runs === 1 ? "cut_before" : "pass"));
    const done = await shaky.transact(tenantId, async (tx) => {
      runs++;
      tx.afterCommit(() => hooks++);
      addNote(tx);
      return ok("done");
    });
    assert.deepEqual(done, ok("done"));
    assert.deepEqual([runs, hooks, await texts()], [2, 1, ["note"]]);
  });

  test("after it was sent is found committed, and is not run again", async () => {
    for (let round = 0; round < 20; round++) {
      let hooks = 0;
      let runs = 0;
      proxy.decide((message) => (isCommit(message) && runs === 1 ? "cut_after" : "pass"));
      const id = newId();
      const done = await shaky.transact(tenantId, async (tx) => {
        runs++;
        tx.afterCommit(() => hooks++);
        addNote(tx, id);
        return ok("done");
      });
      assert.deepEqual(done, ok("done"));
      assert.deepEqual([runs, hooks], [1, 1]);
    }
    assert.equal((await texts()).length, 20);
  });

  test("at any wire message leaves one effect or an error and none, and a retry makes it one", async () => {
    const work = (id: string) =>
      shaky.transact(tenantId, async (tx) => {
        const row = await tx.maybe(sql("test.uow_find")`select 1 from notes where id = ${id}`);
        if (!row) addNote(tx, id);
        return ok(undefined);
      });
    await work(newId());
    proxy.decide(() => "pass");
    await work(newId());
    const messages = proxy.seen();
    assert.ok(messages > 10, `${messages} messages`);
    let unknown = 0;
    for (let at = 1; at <= messages; at++) {
      for (const action of ["cut_before", "cut_after"] as const) {
        const id = newId();
        let cut = false;
        proxy.decide((_, index) => {
          if (index !== at || cut) return "pass";
          cut = true;
          return action;
        });
        const found = async () =>
          (await database.query("select 1 from shared.notes where id = $1", [id])).length;
        const first = await work(id).then(
          () => "done",
          (error: DbError) => error.code,
        );
        if (first === "done") assert.equal(await found(), 1, `${action} message ${at}`);
        else if (first === "ERR_DB_UNAVAILABLE") assert.equal(await found(), 0, `${action} ${at}`);
        else unknown++;
        proxy.decide(() => "pass");
        await work(id);
        assert.equal(await found(), 1);
      }
    }
    assert.equal(unknown, 0);
  });
});
