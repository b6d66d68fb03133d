// A process that starts and resumes sagas until it is killed:
// node node.fixture.ts <urls as JSON> <tenant> <file of the outside world> <sagas to start>
import { appendFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import { createDb, type DatabaseUrls } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import { createSagas, defineSaga, type StepContext } from "./sagas.ts";

const [, , urlsJson, tenant, worldFile, count] = process.argv;
const urls = JSON.parse(urlsJson ?? "") as DatabaseUrls;
const tenantId = tenant as TenantId;
const db = createDb({
  urlsOf: () => urls,
  placementOf: async () => ({ database: "home", schema: "shared" }),
});

/** A provider that writes down what it is asked, by idempotency key. */
async function outside(what: string, { idempotencyKey }: StepContext): Promise<void> {
  await delay(2);
  appendFileSync(worldFile ?? "", `${idempotencyKey} ${what}\n`);
  await delay(2);
}

const saga = defineSaga({
  name: "test.killed",
  version: 1,
  async run(run, input: { readonly n: number }) {
    await run.step("pay", (step) => outside("done", step), {
      undo: (_, step) => outside("undone", step),
    });
    await run.transact("count", async (tx) => {
      await tx.run(sql("test.count")`
        insert into counts (tenant_id, saga_id) values (${run.tenantId}, ${run.id})`);
      return ok(1);
    });
    if (input.n % 3 === 0) throw new Error("every third turns back");
    await run.step("ship", (step) => outside("done", step));
  },
});

const sagas = createSagas({ db, databases: ["home"], leaseMs: 1_000, sweepMs: 100, runsMax: 20 });
sagas.register(saga);
sagas.start();
await db.commit(tenantId, async (tx) => {
  const ids = Array.from({ length: Number(count) }, () => newId<"saga">());
  sagas.startSagas(
    tx,
    systemContext(tenantId, "req"),
    ids.map((id, n) => ({ saga, id, input: { n } })),
  );
});
// The sagas alone do not keep a process alive.
setInterval(() => {}, 60_000);
process.stdout.write("ready\n");
