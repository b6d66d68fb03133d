import { ok } from "../src/kernel/result.ts";
import { sql } from "../src/platform/db/sql.ts";
import { appendEvents, createSubscriptions } from "../src/platform/events/events.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// Readings of a meter are written with their events; a subscription keeps a total from them. One event
// is poison: it is parked, the other meters go on, and its own stream waits until somebody decides.
// From an installed package: import { appendEvents, createSubscriptions } from "brandos/events".

await using playground = await openPlayground(`
  create table totals (tenant_id uuid, meter text, total integer not null, primary key (tenant_id, meter));
  select platform.protect_tenant_table('totals');`);
const { db, tenantId, wakeup } = playground;
const ctx = { tenantId, actor: { kind: "system", id: "example" }, requestId: "example" } as const;
const parked = Promise.withResolvers<string>();

const subscriptions = createSubscriptions({
  db,
  databases: [{ name: "home", wakeup }],
  onEvent(event) {
    if (event.kind === "parked") parked.resolve(event.eventId);
  },
});
subscriptions.register({
  name: "example.totals",
  types: ["meters.read"],
  mode: "transactional",
  async handle(tx, events) {
    for (const { stream, data } of events) {
      const units = Number(data["units"]);
      if (units < 0) throw new Error(`${stream} runs backwards`);
      tx.write(sql("example.add")`
        insert into totals (tenant_id, meter, total) values (${tx.tenantId}, ${stream}, ${units})
        on conflict (tenant_id, meter) do update set total = totals.total + excluded.total`);
    }
  },
});
await subscriptions.start();

const read = (meter: string, units: number) =>
  db.transact(tenantId, async (tx) => {
    appendEvents(tx, ctx, [
      { type: "meters.read", version: 1, stream: `meter:${meter}`, data: { units } },
    ]);
    return ok(null);
  });
const totals = () =>
  db.read(tenantId, (tx) =>
    tx.rows<{ meter: string; total: number }>(sql("example.totals")`
      select meter, total from totals where tenant_id = ${tx.tenantId} order by meter`),
  );

/** Waits for what a reader will have done shortly. @throws Error after 10 s */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("the subscription did not get there");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const shows = (expected: string) => async () =>
  (await totals()).map(({ meter, total }) => `${meter}=${total}`).join(" ") === expected;

for (const units of [1, 2, 3]) await read("cellar", units);
await read("attic", 10);
await until(shows("meter:attic=10 meter:cellar=6"));
say("cellar 1+2+3 and attic 10: totals 6 and 10");

await read("cellar", -1);
const eventId = await parked.promise;
await read("cellar", 4);
await read("attic", 5);
await until(shows("meter:attic=15 meter:cellar=6"));
say(`event ${eventId} is parked; the cellar's next event waits behind it, the attic goes on`);

await subscriptions.discardDeadLetters({ subscription: "example.totals", eventIds: [eventId] });
await until(shows("meter:attic=15 meter:cellar=10"));
say("discarded: the cellar goes on too, and stands at 10");
await subscriptions.stop();
