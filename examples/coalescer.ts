import { createCoalescer } from "../src/platform/coalescer/coalescer.ts";
import { sql } from "../src/platform/db/sql.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// 400 callers take one unit each of a counter that holds 300: first everybody in a transaction
// of their own, then through a coalescer. The answers are the same, the number of transactions is not.
// From an installed package: import { createCoalescer } from "brandos/coalescer".

await using playground = await openPlayground(`
  create table counters (tenant_id uuid, name text, units integer not null check (units >= 0),
    primary key (tenant_id, name));
  select platform.protect_tenant_table('counters');`);
const { db, tenantId } = playground;
const callers = 400;
const stock = 300;
let transactions = 0;

/** Takes units for a batch of callers. @returns who got one, in order */
function takeUnits(name: string, count: number): Promise<boolean[]> {
  transactions++;
  return db.commit(tenantId, async (tx) => {
    const row = await tx.one<{ units: number }>(sql("example.lock")`
      select units from counters where tenant_id = ${tx.tenantId} and name = ${name} for update`);
    const taken = Math.min(row.units, count);
    tx.write(sql("example.take")`
      update counters set units = units - ${taken}
      where tenant_id = ${tx.tenantId} and name = ${name}`);
    return Array.from({ length: count }, (_, at) => at < taken);
  });
}

const coalescer = createCoalescer<string, boolean>({
  name: "example.take",
  batchMax: 500,
  inFlightMax: 1,
  waitingMax: 10_000,
  run: (_tenantId, names) => takeUnits("coalesced", names.length),
});

async function race(name: string, take: () => Promise<boolean>): Promise<void> {
  await db.commit(tenantId, async (tx) =>
    tx.write(sql("example.stock")`
      insert into counters (tenant_id, name, units) values (${tx.tenantId}, ${name}, ${stock})`),
  );
  transactions = 0;
  const startedAt = performance.now();
  const answers = await Promise.all(Array.from({ length: callers }, take));
  const elapsedMs = Math.round(performance.now() - startedAt);
  const sold = answers.filter((got) => got).length;
  say(
    `${name.padEnd(10)} ${sold} of ${callers} got one, ${transactions} transactions, ${elapsedMs} ms`,
  );
  if (sold !== stock) throw new Error(`${sold} were sold of ${stock}`);
}

// A pool answers fast when it is exhausted, so the callers who come alone come a few at a time.
let queue = Promise.resolve(true);
await race("alone", () => {
  queue = queue.then(async () => (await takeUnits("alone", 1))[0] ?? false);
  return queue;
});
await race("coalesced", () => coalescer.submit(tenantId, "coalesced"));
