// A process that runs one subscription until it is killed: node reader.fixture.ts <urls as JSON>
import { createDb, type DatabaseUrls } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { createSubscriptions } from "./events.ts";

const urls = JSON.parse(process.argv[2] ?? "") as DatabaseUrls;
const db = createDb({
  urlsOf: () => urls,
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
const subscriptions = createSubscriptions({
  db,
  databases: [{ name: "home" }],
  leaseMs: 2_000,
  pollMs: 50,
});
subscriptions.register({
  name: "test.killed",
  mode: "transactional",
  batchMax: 16,
  handle: async (tx, events) => {
    await tx.run(sql("test.record")`
      insert into effects (tenant_id, event_id, stream, n)
      select ${tx.tenantId}, id, stream, n from unnest(${events.map(({ id }) => id)}::uuid[],
        ${events.map(({ stream }) => stream)}::text[],
        ${events.map(({ data }) => data["n"])}::int[]) as e (id, stream, n)`);
  },
});
await subscriptions.start();
// The subscriptions alone do not keep a process alive.
setInterval(() => {}, 60_000);
process.stdout.write("ready\n");
