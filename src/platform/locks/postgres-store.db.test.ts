import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { openTwoProcesses } from "../../testing/two-processes.ts";
import { createDb } from "../db/db.ts";
import { createWakeup } from "../wakeup/wakeup.ts";
import { leaseStoreSuite } from "./lease-store.fixture.ts";
import {
  admitToken,
  checkLeaseIn,
  createLocks,
  createPostgresLeaseStore,
  deleteOldLeases,
} from "./locks.ts";

leaseStoreSuite("PostgreSQL", async () => {
  const { dbs, stop } = await openTwoProcesses();
  const [store, other] = dbs.map((db) => createPostgresLeaseStore({ db }));
  assert(store && other);
  return { store, other, stop };
});

describe("locks on PostgreSQL", async () => {
  const { database, dbs, stop } = await openTwoProcesses();
  const [db] = dbs;
  after(stop);
  const store = createPostgresLeaseStore({ db });
  const stale = { code: "ERR_LOCK_STALE" };

  it("wake those who wait in another process as soon as they are given back", async () => {
    const wakeups = dbs.map(() => createWakeup({ url: database.ownerUrl, topics: ["locks"] }));
    await Promise.all(wakeups.map((wakeup) => wakeup.start()));
    const refusals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let refused = 0;
    const [here, there] = dbs.map((each, at) => {
      const kept = createPostgresLeaseStore({ db: each, wakeup: wakeups[at] as never });
      const take: typeof kept.take = async (request) => {
        const lease = await kept.take(request);
        if (!lease) refusals[refused++]?.resolve();
        return lease;
      };
      return createLocks({ store: { ...kept, take }, pollMs: 600_000 });
    });
    assert(here && there);
    const lock = await here.acquire("woken");
    const next = there.acquire("woken");
    // Asked at once and once more before it sleeps: from now on only a wake-up helps.
    await Promise.all(refusals.map(({ promise }) => promise));
    await lock.release();
    assert((await next).token > lock.token);
    await Promise.all([here.stop(), there.stop()]);
    await Promise.all(wakeups.map((wakeup) => wakeup.stop()));
  });

  it("admit to what they protect nobody with an older token", async () => {
    const tenantId = newId<"tenant">();
    const write = (token: number) => db.commit(tenantId, (tx) => admitToken(tx, "file", token));
    await write(10);
    await write(10);
    await write(12);
    await assert.rejects(write(11), stale);
    await write(12);
    const other = newId<"tenant">();
    await db.commit(other, (tx) => admitToken(tx, "file", 1));
  });

  it("take back what an admitted holder did when its transaction fails", async () => {
    const tenantId = newId<"tenant">();
    const failing = await db.transact(tenantId, async (tx) => {
      await admitToken(tx, "file", 20);
      return fail({ code: "no" });
    });
    assert.equal(failing.ok, false);
    const admitted = await db.transact(tenantId, async (tx) => {
      await admitToken(tx, "file", 19);
      return ok(undefined);
    });
    assert(admitted.ok);
  });

  it("are checked in the transaction of platform work, and kept until it is over", async () => {
    const holder = { name: newId(), holder: newId(), leaseMs: 60_000 };
    const lease = await store.take(holder);
    assert(lease);
    const check = (token: number) =>
      db.platform("home", (tx) => checkLeaseIn(tx, { name: holder.name, token }));
    await check(lease.token);
    await assert.rejects(check(lease.token - 1), stale);
    await store.release(holder);
    await assert.rejects(check(lease.token), stale);
  });

  it("are had and renewed while a transaction keeps another one from being taken over", async () => {
    const request = () => ({ name: newId(), holder: newId(), leaseMs: 60_000 });
    const [kept, free] = [request(), request()];
    const lease = await store.take(kept);
    assert(lease && (await store.take(free)));
    await db.platform("home", async (tx) => {
      await checkLeaseIn(tx, { name: kept.name, token: lease.token });
      assert.equal(await store.take({ ...kept, holder: newId() }), undefined);
      const [blocked, renewed, taken] = await Promise.allSettled([
        store.extend(kept),
        store.extend(free),
        store.take(request()),
      ]);
      assert.equal(blocked.status, "rejected");
      assert(renewed.status === "fulfilled" && renewed.value !== undefined);
      assert(taken.status === "fulfilled" && taken.value !== undefined);
    });
    assert(await store.extend(kept));
  });

  it("are forgotten when nobody had them for a day, and their tokens still grow", async () => {
    const [old, held] = [newId(), newId()];
    const request = (name: string) => ({ name, holder: newId(), leaseMs: 60_000 });
    const first = request(old);
    const lease = await store.take(first);
    await store.take(request(held));
    await store.release(first);
    const dayAgo = `token = token - 2 * 86400 * 1000000::bigint`;
    await database.query(`update platform.leases set ${dayAgo} where name = any($1)`, [
      [old, held],
    ]);
    assert.equal(await deleteOldLeases(db, "home"), 1);
    const again = await store.take(request(old));
    assert(lease && again && again.token > lease.token);
  });

  it("say that the store is away instead of waiting for it", async () => {
    const away = createDb({
      urlsOf: () => ({ app: "postgres://a@127.0.0.1:1/x", platform: "postgres://a@127.0.0.1:1/x" }),
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    const locks = createLocks({ store: createPostgresLeaseStore({ db: away }) });
    await assert.rejects(locks.tryAcquire("x"), { code: "ERR_LOCK_UNAVAILABLE" });
    await assert.rejects(locks.acquire("x", { waitMs: 20 }), { code: "ERR_LOCK_UNAVAILABLE" });
    await locks.stop();
    await away.stop();
  });
});
