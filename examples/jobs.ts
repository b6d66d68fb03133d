import { ok } from "../src/kernel/result.ts";
import { sql } from "../src/platform/db/sql.ts";
import { createJobs, defineJob, enqueueJobs } from "../src/platform/jobs/jobs.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// A job is enqueued in the transaction of the row it is about, fails once, is tried again, and takes
// effect in the commit that completes it. Another one fails for good and waits for a person.
// From an installed package: import { createJobs } from "brandos/jobs".

await using playground = await openPlayground(`
  create table letters (tenant_id uuid, id integer, sent boolean not null default false,
    primary key (tenant_id, id));
  select platform.protect_tenant_table('letters');`);
const { db, tenantId, wakeup } = playground;
const ctx = { tenantId, actor: { kind: "system", id: "example" }, requestId: "example" } as const;
const backoff = { baseMs: 20, maxMs: 50 };
const over = Promise.withResolvers<void>();
const settled = new Set<string>();

const sendLetter = defineJob<{ letter: number }>({
  kind: "example.send_letter",
  backoff,
  async handle({ job, transact }) {
    say(`letter ${job.payload.letter}: attempt ${job.attempt}`);
    if (job.attempt === 1) throw new Error("the post office is closed");
    await transact(async (tx) => {
      tx.write(sql("example.sent")`
        update letters set sent = true
        where tenant_id = ${tx.tenantId} and id = ${job.payload.letter}`);
      return ok(null);
    });
  },
});
const burnLetter = defineJob({
  kind: "example.burn_letter",
  backoff,
  handle: () => Promise.reject(new Error("there is no fire")),
});

const jobs = createJobs({
  db,
  database: "home",
  wakeup,
  definitions: [sendLetter, burnLetter],
  onEvent(event) {
    if (event.kind !== "finished") return;
    // "stored": it completed in its own transaction.
    if (event.outcome === "stored" || event.outcome === "exhausted") settled.add(event.jobKind);
    if (settled.size === 2) over.resolve();
  },
});
await jobs.start();
await db.transact(tenantId, async (tx) => {
  tx.write(sql("example.write")`insert into letters (tenant_id, id) values (${tx.tenantId}, 1)`);
  enqueueJobs(tx, ctx, [
    { kind: "example.send_letter", payload: { letter: 1 } },
    { kind: "example.burn_letter", payload: {}, attemptsMax: 2 },
  ]);
  return ok(null);
});
await over.promise;
// Outcomes are stored in batches: stopping waits until the last one is.
await jobs.stop();

const sent = await db.read(tenantId, (tx) =>
  tx.one<{ sent: boolean }>(sql("example.look")`
    select sent from letters where tenant_id = ${tx.tenantId} and id = 1`),
);
const dead = await jobs.deadLetters.list(ctx, 10);
say(`letter 1 was sent: ${sent.sent}`);
for (const letter of dead.items)
  say(`dead letter: ${letter.kind}, ${letter.lastError.split("\n")[0]}`);
if (!sent.sent || dead.items.length !== 1) process.exitCode = 1;
