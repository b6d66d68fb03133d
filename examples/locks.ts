import { setTimeout as delay } from "node:timers/promises";
import { sql } from "../src/platform/db/sql.ts";
import {
  admitToken,
  createLeadership,
  createLocks,
  createPostgresLeaseStore,
  type LeaseStore,
  type Lock,
  LockError,
} from "../src/platform/locks/locks.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// Two nodes want one lock. The first holder falls asleep for longer than its lease and is overtaken;
// when it wakes up it writes all the same, and is refused by its token. Then they elect a leader.
// From an installed package: import { createLocks } from "brandos/locks".

await using playground = await openPlayground(`
  create table reports (tenant_id uuid, day date, author text not null,
    primary key (tenant_id, day));
  select platform.protect_tenant_table('reports');`);
const { db, tenantId } = playground;
const leaseMs = 200;

/** What a node knows; its renewals get lost while it sleeps, as those of a paused process do. */
function createNode(name: string) {
  const node = { isAsleep: false };
  const store: LeaseStore = createPostgresLeaseStore({ db });
  const locks = createLocks({
    store: {
      ...store,
      extend: (request) => (node.isAsleep ? new Promise(() => {}) : store.extend(request)),
    },
    onEvent: ({ kind }) => say(`${name}: ${kind}`),
  });
  const write = async (lock: Lock): Promise<void> => {
    await db.commit(tenantId, async (tx) => {
      await admitToken(tx, "report", lock.token);
      tx.write(sql("example.report")`
        insert into reports (tenant_id, day, author) values (${tx.tenantId}, '2026-01-01', ${name})
        on conflict (tenant_id, day) do update set author = excluded.author`);
    });
    say(`${name}: wrote with token ${lock.token === firstToken ? "1" : "2"}`);
  };
  return { node, locks, write };
}
let firstToken = 0;

const [anna, bert] = [createNode("anna"), createNode("bert")];
const first = await anna.locks.acquire("report", { leaseMs });
firstToken = first.token;
await anna.write(first);
anna.node.isAsleep = true;
const second = await bert.locks.acquire("report", { leaseMs });
await bert.write(second);
anna.node.isAsleep = false;
try {
  await anna.write(first);
  throw new Error("a stale token was admitted");
} catch (error) {
  if (!(error instanceof LockError && error.code === "ERR_LOCK_STALE")) throw error;
  say("anna: refused, her token is stale");
}
await second.release();

const led = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
let terms = 0;
const candidates = new Map(
  ["anna", "bert"].map((name) => [
    name,
    createLeadership({
      locks: createLocks({ store: createPostgresLeaseStore({ db }), pollMs: 50 }),
      name: "group",
      async lead({ signal }) {
        led[terms++]?.resolve(name);
        while (!signal.aborted) await delay(50, undefined, { signal }).catch(() => {});
      },
    }),
  ]),
);
for (const candidate of candidates.values()) candidate.start();
const leader = (await led[0]?.promise) ?? "";
await candidates.get(leader)?.stop();
const next = await led[1]?.promise;
say(`one of the two led, then ${next === leader ? "the same again" : "the other one"}`);
for (const candidate of candidates.values()) await candidate.stop();
await Promise.all([anna.locks.stop(), bert.locks.stop()]);
if (next === leader) throw new Error("whoever laid it down led again");
