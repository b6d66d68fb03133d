import type { TenantId } from "../../kernel/ids.ts";
import { createDb } from "../db/db.ts";
import { DbError } from "../db/errors.ts";
import { admitToken, createLocks, createPostgresLeaseStore, LockError } from "./locks.ts";

/*
 * A process that holds a lock and writes under it without pause, until it is refused: takes the URLs
 * of the roles, a tenant, the lock's name and the lease from its arguments. Says `holds <token>`,
 * `writes` after the first write, and in the end `refused` or `lost`, with its writes.
 */
const [app = "", platform = "", tenant = "", name = "", leaseMs = ""] = process.argv.slice(2);
const db = createDb({
  urlsOf: () => ({ app, platform }),
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
const say = (line: string) => process.stdout.write(`${line}\n`);
const locks = createLocks({ store: createPostgresLeaseStore({ db }) });
const lock = await locks.acquire(name, { leaseMs: Number(leaseMs) });
say(`holds ${lock.token}`);

/** Writes whether or not the process believes to hold the lock: what counts is what is admitted. */
async function write(): Promise<void> {
  await db.commit(tenant as TenantId, async (tx) => {
    await admitToken(tx, name, lock.token);
    const values = [tenant, lock.token];
    const text = "insert into protected_writes (tenant_id, token) values ($1, $2)";
    await tx.run({ name: "", text, values });
  });
}

let writes = 0;
for (;;) {
  try {
    await write();
    if (++writes === 1) say("writes");
  } catch (error) {
    // The server ends a transaction that was paused in the middle.
    if (error instanceof DbError) continue;
    if (!(error instanceof LockError)) throw error;
    say(`refused ${writes} ${lock.isHeld()}`);
    break;
  }
}
await locks.stop();
await db.stop();
