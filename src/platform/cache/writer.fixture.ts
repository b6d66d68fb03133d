import type { TenantId } from "../../kernel/ids.ts";
import { createDb } from "../db/db.ts";
import { createDurableWrites } from "./cache.ts";

/*
 * A process that writes behind without pause: takes the URLs of the roles, a tenant and the name of a
 * cache from its arguments. Says the number of each write once it was acknowledged; applies a few at a
 * time, into a table, and is killed in the middle of it.
 */
const [app = "", platform = "", tenant = "", name = ""] = process.argv.slice(2);
const db = createDb({
  urlsOf: () => ({ app, platform }),
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
const writes = createDurableWrites<number>({
  ...{ db, name, batchMax: 7, gatherMs: 1, pollMs: 5 },
  async sink(tx, given) {
    for (const { key, value } of given) {
      const text = `insert into applied_writes (tenant_id, key, value) values ($1, $2, $3)
        on conflict (tenant_id, key) do update set value = excluded.value`;
      await tx.run({ name: "", text, values: [tenant, key, value] });
    }
  },
});
writes.start();
for (let at = 0; ; at++) {
  await writes.write(tenant as TenantId, [{ key: `k${at % 50}`, value: at }]);
  process.stdout.write(`${at}\n`);
}
