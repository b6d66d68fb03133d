import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { createDb, type Db, type StatementReport } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { genericPlan } from "../../testing/plans.ts";
import { closeBalances, createLedger, sealEntries } from "./index.ts";
import { transfer } from "./setup.fixture.ts";

let database: TestDatabase;
let db: Db;
const seen = new Map<string, StatementReport>();
before(async () => {
  database = await createTestDatabase();
  db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: (report) => void seen.set(report.name.split(":")[0] ?? "", report),
  });
});
after(async () => {
  await db.stop();
  await database.drop();
});

/** 10 tenants with 2,000 journals of two entries each. */
async function seed(): Promise<TenantId> {
  await database.query(`
    insert into shared.ledger_accounts (tenant_id, code, currency, kind)
    select t.id, a.code, 'EUR', a.kind
    from (select gen_random_uuid() as id from generate_series(1, 10)) t,
      (values ('receivable', 'asset'), ('sales', 'income')) a(code, kind)`);
  await database.query(`
    insert into shared.ledger_journals (tenant_id, id, content, occurred_at, kind, reference, description, request_id)
    select t.tenant_id, (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
      gen_random_uuid(), now(), 'test', 'order:' || gen_random_uuid(), 'test', 'seed'
    from (select distinct tenant_id from shared.ledger_accounts) t, generate_series(1, 2000)`);
  await database.query(`
    insert into shared.ledger_entries (tenant_id, journal_id, line, account, currency, amount_minor)
    select tenant_id, id, line, case line when 0 then 'receivable' else 'sales' end, 'EUR',
      case line when 0 then 5 else -5 end
    from shared.ledger_journals, generate_series(0, 1) line`);
  await database.query("analyze");
  const [row] = await database.query<{ id: TenantId }>(
    "select tenant_id as id from shared.ledger_accounts limit 1",
  );
  assert.ok(row);
  return row.id;
}

test("no hot statement reads the entries from end to end, and months without the ids are left out", async () => {
  const tenantId = await seed();
  const ctx = systemContext(tenantId, "test");
  const ledger = createLedger({ db, uow: createUnitOfWork(db) });
  const reference = "order:1";
  assert.ok((await ledger.post(ctx, transfer("receivable", "sales", 5, { reference }))).ok);
  const page = { limit: 20 };
  assert.ok((await ledger.listJournals(tenantId, { ...page, reference })).ok);
  assert.ok((await ledger.listAccounts(tenantId, page)).ok);
  const statement = { ...page, code: "sales", currency: "EUR" };
  assert.ok((await ledger.statement(tenantId, statement)).ok);
  await ledger.trialBalance(tenantId);
  await db.commit(tenantId, closeBalances);
  await db.commit(tenantId, (tx) => sealEntries(tx, ctx));
  await ledger.verify(tenantId);

  const statements = [...seen].filter(([name]) => name.startsWith("ledger."));
  assert.ok(statements.length > 10);
  const large = new RegExp(
    `Seq Scan on ledger_(entries|journals)_y${new Date().getUTCFullYear()}m`,
  );
  for (const [name, report] of statements) {
    const plan = await genericPlan({ appUrl: database.urls.app, tenantId, statement: report });
    const filled = plan.replaceAll(/Seq Scan on \w+_y\d+m\d+ \w+ {2}\(cost=0\.00\.\.0\.00.*/g, "");
    assert.doesNotMatch(filled, large, `${name}\n${plan}`);
    if (/contents|entries_of/.test(name))
      assert.match(plan, /Subplans Removed/, `${name}\n${plan}`);
  }
  const trial = seen.get("ledger.trial_balance");
  assert.ok(trial);
  const plan = await genericPlan({ appUrl: database.urls.app, tenantId, statement: trial });
  assert.match(
    plan,
    /horizon >= [^)]*\)[^\n]*horizon <= /,
    "both bounds are in the index condition",
  );
});
