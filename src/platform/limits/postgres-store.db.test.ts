import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { openTwoProcesses } from "../../testing/two-processes.ts";
import { limitStoreSuite } from "./limit-store.fixture.ts";
import { createPostgresLimitStore, deleteOldLimits } from "./limits.ts";
import type { LimitPolicy } from "./policy.ts";

limitStoreSuite("PostgreSQL", async () => {
  const { dbs, stop } = await openTwoProcesses();
  const [store, other] = dbs.map((db) => createPostgresLimitStore({ db }));
  assert(store && other);
  return { store, other, stop };
});

describe("limits on PostgreSQL", async () => {
  const { database, dbs, stop } = await openTwoProcesses();
  const [db] = dbs;
  after(stop);
  const store = createPostgresLimitStore({ db });
  const policy: LimitPolicy = { name: "a", algorithm: "fixed_window", limit: 2, windowMs: 60_000 };
  const take = (key: string) =>
    ({ verb: "take", policy, key, cost: 1, upTo: 1, ticket: 0 }) as const;

  it("are forgotten when their whole limit has been there again for a minute", async () => {
    const [old, kept] = [newId(), newId()];
    await store.apply([[take(old)], [take(kept)]]);
    await database.query(
      "update platform.rate_limits set ends_at = now() - interval '2 minutes' where key like '%' || $1",
      [old],
    );
    assert.equal(await deleteOldLimits(db, "home"), 1);
    const rows = await database.query<{ key: string }>("select key from platform.rate_limits");
    assert.deepEqual(
      rows.map(({ key }) => key),
      [`a:fixed_window:${kept}`],
    );
  });

  it("are nothing that a brand's work can read or write", async () => {
    const denied = db.commit(newId<"tenant">(), (tx) =>
      tx.rows({ name: "", text: "select * from platform.rate_limits", values: [] }),
    );
    await assert.rejects(denied, { sqlState: "42501" });
  });

  it("do not wait in a circle, whatever order they are asked in", async () => {
    const keys = Array.from({ length: 12 }, () => newId());
    const stores = dbs.map((each) => createPostgresLimitStore({ db: each }));
    const asking = Array.from({ length: 60 }, (_, at) => {
      const order = at % 2 === 0 ? keys : keys.toReversed();
      return stores[at % 2]?.apply([order.slice(at % 5, 4 + (at % 5)).map(take)]);
    });
    const settled = await Promise.allSettled(asking);
    assert.deepEqual(
      settled.filter(({ status }) => status === "rejected"),
      [],
    );
  });
});
