import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { openTwoProcesses } from "../../testing/two-processes.ts";
import { createPostgresSharedTier, deleteExpiredCacheEntries } from "./postgres-tier.ts";
import { sharedTierSuite } from "./shared-tier.fixture.ts";

sharedTierSuite("PostgreSQL", async () => {
  const { dbs, stop } = await openTwoProcesses();
  const [tier, other] = dbs.map((db) => createPostgresSharedTier({ db }));
  assert(tier && other);
  return { tier, other, stop };
});

describe("a shared tier in PostgreSQL", async () => {
  const { database, dbs, stop } = await openTwoProcesses();
  const [db] = dbs;
  after(stop);
  const tier = createPostgresSharedTier({ db });
  const entry = (text: string, ttlMs: number) => ({
    key: newId(),
    bytes: Buffer.from(text),
    ttlMs,
  });

  it("is hidden from the role that works for tenants", async () => {
    for (const table of ["cache_entries", "cache_tags"]) {
      const reading = db.commit(newId<"tenant">(), (tx) =>
        tx.rows({ name: "", text: `select * from platform.${table}`, values: [] }),
      );
      await assert.rejects(reading, { code: "ERR_DB_REFUSED" });
    }
  });

  it("gives what one caller wrote last when many write and remove the same keys at once", async () => {
    const keys = Array.from({ length: 5 }, () => newId());
    const other = createPostgresSharedTier({ db: dbs[1] });
    const rounds = Array.from({ length: 200 }, async (_, round) => {
      const from = round % 2 ? tier : other;
      const mixed = keys.toSorted(() => (round % 3) - 1);
      if (round % 5 === 0) return from.remove(mixed);
      const bytes = Buffer.from(String(round));
      return from.write(mixed.map((key) => ({ key, bytes, ttlMs: 60_000 })));
    });
    await Promise.all(rounds);
    await tier.write(keys.map((key) => ({ key, bytes: Buffer.from("last"), ttlMs: 60_000 })));
    const found = await other.read(keys);
    assert(found.every((value) => value?.toString() === "last"));
  });

  it("forgets what is over, and nothing that lives or is being loaded", async () => {
    const [passed, living] = [entry("passed", 1), entry("living", 60_000)];
    await tier.write([passed, living]);
    const claimed = newId();
    assert(await tier.claim(claimed, 60_000));
    while ((await tier.read([passed.key]))[0]) await tier.read([living.key]);
    await deleteExpiredCacheEntries(db, "home");
    const kept = await database.query<{ key: string }>(
      "select key from platform.cache_entries where key = any($1)",
      [[passed.key, living.key, claimed]],
    );
    assert.deepEqual(new Set(kept.map(({ key }) => key)), new Set([living.key, claimed]));
  });
});
