import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createDb, type TenantTx } from "../db/db.ts";
import { keepByVersion, lockVersion, raiseVersion, readVersions } from "./versions.ts";

describe("versions on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const versionOf = (tenantId: TenantId, name: string) =>
    db.read(tenantId, async (tx) => (await readVersions(tx))(name));
  const raise = (tenantId: TenantId, name: string) =>
    db.commit(tenantId, async (tx) => raiseVersion(tx, name));

  /** Something a tenant has: here the version of another name stands for its content. */
  const setup = (tenantsMax?: number) => {
    const tenantId = newId<"tenant">();
    let loads = 0;
    const kept = keepByVersion({
      name: "thing",
      load: async (tx) => {
        loads++;
        return (await readVersions(tx))("content");
      },
      ...(tenantsMax ? { tenantsMax } : {}),
    });
    const useIn = async (tx: TenantTx) => kept(tx, await readVersions(tx));
    const change = (of: TenantId = tenantId) =>
      db.commit(of, async (tx) => {
        raiseVersion(tx, "content");
        raiseVersion(tx, "thing");
      });
    const use = (of: TenantId = tenantId) => db.read(of, useIn);
    return { tenantId, use, useIn, change, loads: () => loads };
  };

  it("counts the writes of each name of each tenant, and takes back those that failed", async () => {
    const [tenantId, other] = [newId<"tenant">(), newId<"tenant">()];
    assert.equal(await versionOf(tenantId, "a"), 0);
    await raise(tenantId, "a");
    await raise(tenantId, "a");
    await raise(tenantId, "b");
    const failing = db.commit(tenantId, async (tx) => {
      raiseVersion(tx, "a");
      await tx.flush();
      throw new Error("no");
    });
    await assert.rejects(failing, /no/);
    assert.equal(await versionOf(tenantId, "a"), 2);
    assert.equal(await versionOf(tenantId, "b"), 1);
    assert.equal(await versionOf(other, "a"), 0);
  });

  it("lets one writer at a time hold a version, the first one too", async () => {
    const tenantId = newId<"tenant">();
    const write = () =>
      db.commit(tenantId, async (tx) => {
        const next = await lockVersion(tx, "thing");
        raiseVersion(tx, "thing");
        return next;
      });
    const seen = await Promise.all(Array.from({ length: 8 }, write));
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(await versionOf(tenantId, "thing"), 8);
  });

  it("loads once, and again after a write, from whichever process it came", async () => {
    const { use, change, loads } = setup();
    assert.deepEqual([await use(), await use()], [0, 0]);
    assert.equal(loads(), 1);
    await change();
    assert.deepEqual([await use(), await use()], [1, 1]);
    assert.equal(loads(), 2);
  });

  it("keeps nothing a transaction loads that began before the last write", async () => {
    const { tenantId, use, useIn, change, loads } = setup();
    const old = await db.commit(
      tenantId,
      async (tx) => {
        const before = await useIn(tx);
        await change();
        assert.equal(await use(), 1);
        return [before, await useIn(tx)];
      },
      { isolation: "repeatable read" },
    );
    assert.deepEqual(old, [0, 0]);
    assert.equal(await use(), 1);
    assert.equal(loads(), 3);
  });

  it("keeps no more tenants than it may, and gives nobody another's", async () => {
    const { tenantId, use, change, loads } = setup(2);
    const [second, third] = [newId<"tenant">(), newId<"tenant">()];
    await change(second);
    assert.deepEqual([await use(tenantId), await use(second), await use(third)], [0, 1, 0]);
    assert.deepEqual([await use(second), await use(third)], [1, 0]);
    assert.equal(loads(), 3);
    await use(tenantId);
    assert.equal(loads(), 4);
  });

  it("never gives a value older than what was committed, whoever writes", async () => {
    const { use, change } = setup();
    let committed = 0;
    const writer = async () => {
      for (; committed < 30; committed++) await change();
    };
    const reader = async () => {
      while (committed < 30) {
        const least = committed;
        const value = await use();
        assert.ok(value >= least, `${value} after ${least} was committed`);
      }
    };
    await Promise.all([writer(), reader(), reader(), reader()]);
  });
});
