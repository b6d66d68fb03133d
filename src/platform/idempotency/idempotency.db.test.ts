import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { createDb, type Db, type TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { decodeOutcome, encodeOutcome } from "./codec.ts";
import { claimKeys, purgeIdempotencyKeys, storeOutcomes } from "./keys.ts";
import { claimStep, createUnitOfWork, transactOnce } from "./unit-of-work.ts";

const lines = [
  ...migrationLines.filter(({ name }) => /^platform\/(db|idempotency)$/.test(name)),
  {
    name: "testing/notes",
    scope: "tenant" as const,
    folder: new URL("../placement/testdata/notes", import.meta.url).pathname,
  },
];

let database: TestDatabase;
/** Two processes, as far as the database can tell: a pool each. */
let nodes: readonly [Db, Db];
let tenantId: TenantId;

before(async () => {
  database = await createTestDatabase({ lines });
  const open = () =>
    createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
  nodes = [open(), open()];
});
after(async () => {
  await Promise.all(nodes.map((db) => db.stop()));
  await database.drop();
});
beforeEach(() => {
  tenantId = newId<"tenant">();
});

const claim = (key: string, fingerprint = "aa".repeat(32)): IdempotencyClaim => ({
  key,
  principal: "key-1",
  route: "POST /v1/notes",
  fingerprint,
});

const context = (idempotency?: IdempotencyClaim): Context => ({
  tenantId,
  actor: { kind: "api_key", id: "key-1" },
  requestId: "test",
  ...(idempotency ? { idempotency } : {}),
});

async function addNote(tx: TenantTx): Promise<string> {
  const { id } = await tx.one<{ id: string }>(sql("test.idempotent_note")`
    insert into notes (tenant_id, id, text) values (${tx.tenantId}, ${newId()}, 'once') returning id`);
  return id;
}

async function countNotes(): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    "select count(*)::int as count from shared.notes where tenant_id = $1",
    [tenantId],
  );
  return row?.count ?? -1;
}

describe("a unit of work with an Idempotency-Key", () => {
  test("takes effect once and gives the first value again", async () => {
    const uow = createUnitOfWork(nodes[0]);
    const place = () =>
      uow.transact(
        context(claim("k1")),
        async (tx) => ok({ id: await addNote(tx), at: new Date("2026-01-02"), none: undefined }),
        { name: "notes.add" },
      );
    const first = await place();
    const second = await place();
    assert.deepEqual(second, {
      ok: true,
      value: { id: first.ok && first.value.id, at: new Date("2026-01-02") },
    });
    assert.equal(await countNotes(), 1);
  });

  test("is refused when the key came with another request", async () => {
    const uow = createUnitOfWork(nodes[0]);
    const place = (fingerprint: string) =>
      uow.transact(context(claim("k1", fingerprint)), async (tx) => ok(await addNote(tx)), {
        name: "n",
      });
    await place("aa".repeat(32));
    const other = await place("bb".repeat(32));
    assert.equal(other.ok || other.failure.code, "idempotency.key_reused");
    assert.equal(await countNotes(), 1);
  });

  test("is refused at once while the first request is under way", async () => {
    let entered = () => {};
    let release = () => {};
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const first = transactOnce(nodes[0], context(), { claim: claim("k1") }, async (tx) => {
      entered();
      await held;
      return ok(await addNote(tx));
    });
    await inside;
    const second = await transactOnce(nodes[1], context(), { claim: claim("k1") }, async (tx) =>
      ok(await addNote(tx)),
    );
    assert.equal(second.ok || second.failure.code, "idempotency.in_flight");
    release();
    const done = await first;
    const third = await transactOnce(nodes[1], context(), { claim: claim("k1") }, async (tx) =>
      ok(await addNote(tx)),
    );
    assert.deepEqual(third, done);
  });

  test("does not keep a refusal: a retry is decided afresh", async () => {
    const uow = createUnitOfWork(nodes[0]);
    let stock = 0;
    const place = () =>
      uow.transact(
        context(claim("k1")),
        async (tx) => (stock > 0 ? ok(await addNote(tx)) : fail({ code: "notes.no_stock" })),
        { name: "n" },
      );
    assert.equal((await place()).ok, false);
    stock = 1;
    assert.equal((await place()).ok, true);
    assert.equal(await countNotes(), 1);
  });

  test("keeps keys of tenants, principals and operations apart", async () => {
    const same = claim("k1");
    const claims = [same, { ...same, principal: "key-2" }, { ...same, route: "POST /v1/others" }];
    for (const each of claims) {
      const done = await transactOnce(nodes[0], context(), { claim: each }, async (tx) =>
        ok(await addNote(tx)),
      );
      assert.ok(done.ok);
    }
    assert.equal(await countNotes(), 3);
    const stranger = { ...context(), tenantId: newId<"tenant">() };
    const theirs = await transactOnce(nodes[0], stranger, { claim: same }, async (tx) =>
      ok(await addNote(tx)),
    );
    assert.ok(theirs.ok);
  });

  test("treats two steps of one request as two", async () => {
    const uow = createUnitOfWork(nodes[0]);
    for (let attempt = 0; attempt < 2; attempt++) {
      const ctx = context(claim("k1"));
      const steps = [];
      for (const name of ["a", "b", "a"]) {
        steps.push(await uow.transact(ctx, async (tx) => ok(await addNote(tx)), { name }));
      }
      assert.equal(new Set(steps.map((step) => step.ok && step.value)).size, 3);
    }
    assert.equal(await countNotes(), 3);
  });

  test("S8: 50 racing identical requests over two processes have one effect and one body", async () => {
    for (let round = 0; round < 5; round++) {
      const before = await countNotes();
      const racing = Array.from({ length: 50 }, (_, n) =>
        transactOnce(
          nodes[n % 2 === 0 ? 0 : 1],
          context(),
          { claim: claim(`race-${round}`) },
          async (tx) => ok(await addNote(tx)),
        ),
      );
      const results = await Promise.all(racing);
      const bodies = new Set(results.flatMap((result) => (result.ok ? [result.value] : [])));
      assert.equal(bodies.size, 1);
      const refused = results.flatMap((result) => (result.ok ? [] : [result.failure.code]));
      assert.ok(refused.every((code) => code === "idempotency.in_flight"));
      assert.equal((await countNotes()) - before, 1);
    }
  });
});

describe("claims of a batch", () => {
  test("are judged one by one in one flight, and stored in one statement", async () => {
    const run = (keys: readonly (string | undefined)[], refused = -1) =>
      nodes[0].commit(tenantId, async (tx) => {
        const claims = keys.map((key) => (key === undefined ? undefined : claim(key)));
        const verdicts = await claimKeys(tx, claims);
        const fresh = claims.map((each, n) => ({ claim: each, value: `value ${keys[n]}` }));
        storeOutcomes(
          tx,
          fresh.filter((_, n) => verdicts[n]?.kind === "fresh" && n !== refused),
        );
        return verdicts.map((verdict) => verdict.kind);
      });
    assert.deepEqual(await run(["a", undefined, "b", "a", "c"], 4), [
      "fresh",
      "fresh",
      "fresh",
      "in_flight",
      "fresh",
    ]);
    assert.deepEqual(await run(["b", "c", "a"]), ["replay", "fresh", "replay"]);
  });

  test("a key that was taken behind the lock's back makes the unit of work run again", async () => {
    const mine = claim("k1");
    let runs = 0;
    const done = await transactOnce(nodes[0], context(), { claim: mine }, async (tx) => {
      if (runs++ === 0) {
        // As the owner, past the lock: what no code of ours does.
        await database.query(
          `insert into platform.idempotency_keys (tenant_id, principal, route, key, fingerprint, outcome)
           values ($1, $2, $3, $4, decode($5, 'hex'), $6)`,
          [
            tenantId,
            mine.principal,
            mine.route,
            mine.key,
            mine.fingerprint,
            encodeOutcome("theirs"),
          ],
        );
      }
      return ok(await addNote(tx));
    });
    assert.deepEqual(done, ok("theirs"));
    assert.equal(await countNotes(), 0);
  });

  test("works at repeatable read as well", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        transactOnce(
          nodes[n % 2 === 0 ? 0 : 1],
          context(),
          { claim: claim("rr"), options: { isolation: "repeatable read" } },
          async (tx) => ok(await addNote(tx)),
        ),
      ),
    );
    assert.equal(new Set(results.flatMap((r) => (r.ok ? [r.value] : []))).size, 1);
    assert.equal(await countNotes(), 1);
  });
});

describe("the purge", () => {
  test("forgets old keys of every tenant and keeps young ones", async () => {
    for (const key of ["old", "young"]) {
      await transactOnce(nodes[0], context(), { claim: claim(key) }, async (tx) =>
        ok(await addNote(tx)),
      );
    }
    await database.query(
      `update platform.idempotency_keys set created_at = now() - interval '3 days'
       where tenant_id = $1 and key = 'old'`,
      [tenantId],
    );
    const purge = { olderThanMs: 86_400_000, batchSize: 1 };
    assert.equal(await purgeIdempotencyKeys(nodes[0], "home", purge), 1);
    const left = await database.query(
      "select key from platform.idempotency_keys where tenant_id = $1",
      [tenantId],
    );
    assert.deepEqual(left, [{ key: "young" }]);
  });
});

test("an outcome survives being written down", () => {
  const value = {
    z: new Date("2026-02-03T04:05:06.789Z"),
    a: [1, null, { $date: "mine" }, 10n],
    nested: { $escaped: 1, other: true },
    $undefined: "x",
  };
  assert.deepEqual(decodeOutcome(encodeOutcome(value)), value);
  assert.deepEqual(Object.keys(decodeOutcome(encodeOutcome(value)) as object), [
    "z",
    "a",
    "nested",
    "$undefined",
  ]);
  assert.equal(decodeOutcome(encodeOutcome(undefined)), undefined);
});

test("a claim without a key on the context is none", () => {
  assert.equal(claimStep(context(), "x"), undefined);
});
