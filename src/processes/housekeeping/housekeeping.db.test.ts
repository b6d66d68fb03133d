import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDb } from "../../platform/db/db.ts";
import { createLocks, createPostgresLeaseStore } from "../../platform/locks/locks.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createHousekeeper } from "./housekeeping.ts";

describe("housekeeping", async () => {
  it("is done by one node for all, and by another one when that stops", async (t) => {
    const database = await createTestDatabase();
    t.after(() => database.drop());
    await database.query(
      `insert into platform.leases values ('old', null, 1, '-infinity'), ('kept', null, $1, '-infinity')`,
      [Date.now() * 1_000],
    );
    await database.query(
      `insert into platform.cache_entries (key, value, expires_at) values ('old', 'x', '-infinity')`,
    );
    await database.query(
      // Below every transaction that other tests of this server run.
      `insert into platform.cache_invalidations (tenant_id, horizon, cache, recorded_at)
       values (gen_random_uuid(), 0, 'old', now() - interval '1 day')`,
    );
    const rounds: number[] = [];
    const came = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const errors: unknown[] = [];
    const nodes = [0, 1].map((node) => {
      const db = createDb({
        urlsOf: () => database.urls,
        placementOf: async () => ({ database: "home", schema: "shared" }),
      });
      const locks = createLocks({ store: createPostgresLeaseStore({ db }) });
      const placements = {
        async targets() {
          came[rounds.push(node) - 1]?.resolve();
          const { ownerUrl } = database;
          return [{ database: "home", home: true, ownerUrl, schemas: ["shared"] }];
        },
      };
      const housekeeper = createHousekeeper({ db, placements, locks }, (e) => errors.push(e));
      const stop = async () => {
        await housekeeper.stop();
        await locks.stop();
        await db.stop();
      };
      t.after(stop);
      return { housekeeper, stop };
    });
    for (const { housekeeper } of nodes) housekeeper.start();
    await came[0]?.promise;
    const [first] = rounds;
    assert(first !== undefined && nodes[first]);
    assert(nodes[first].housekeeper.isLeader());
    await nodes[first].stop();
    await came[1]?.promise;
    assert.deepEqual(rounds, [first, 1 - first]);
    await nodes[1 - first]?.stop();
    const leases = await database.query<{ name: string }>(
      "select name from platform.leases order by name",
    );
    assert.deepEqual(
      leases.map(({ name }) => name),
      ["housekeeping", "kept"],
    );
    const stale = await database.query(
      "select key from platform.cache_entries union all select cache from platform.cache_invalidations",
    );
    assert.deepEqual(stale, []);
    const months = await database.query(
      `select from pg_class where relname = 'events_y' || to_char(now() + interval '3 months', 'YYYY"m"MM')`,
    );
    assert.equal(months.length, 1);
    assert.deepEqual(errors, []);
  });
});
