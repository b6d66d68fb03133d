import type { Context } from "../../kernel/context.ts";
import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import type { Journal, JournalEntry, JournalId } from "./contract.ts";
import { createLedger, type Ledger, ledgerInvariants } from "./index.ts";

/** A ledger on a database of its own, and a fresh tenant. */
export interface LedgerBench {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly ledger: Ledger;
  readonly ctx: Context;
  readonly tenantId: TenantId;
  stop(): Promise<void>;
}

/** Opens what the tests of the ledger share. */
export async function openLedgerBench(): Promise<LedgerBench> {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const tenantId = newId<"tenant">();
  return {
    database,
    db,
    ledger: createLedger({ db, uow: createUnitOfWork(db) }),
    ctx: systemContext(tenantId, "test"),
    tenantId,
    async stop() {
      await db.stop();
      await database.drop();
    },
  };
}

/** A bench's view of another, fresh tenant. */
export function freshTenant<B extends { ctx: Context; tenantId: TenantId }>(bench: B): B {
  const tenantId = newId<"tenant">();
  return { ...bench, tenantId, ctx: systemContext(tenantId, "test") };
}

/** A journal of two legs: debits one account, credits the other. */
export function transfer(
  debit: string,
  credit: string,
  amountMinor: number,
  change: Partial<Journal> = {},
): Journal {
  const currency = "EUR";
  const entries: JournalEntry[] = [
    { account: debit, amountMinor, currency },
    { account: credit, amountMinor: -amountMinor, currency },
  ];
  const occurredAt = new Date("2026-01-01T00:00:00Z");
  const id = newId<"journal">() as JournalId;
  return { id, kind: "test.transfer", description: "test", occurredAt, entries, ...change };
}

/** Runs every invariant as the tenant. @returns ids of those that do not hold */
export function brokenInvariants({ db, tenantId }: Pick<LedgerBench, "db" | "tenantId">) {
  return db.read(tenantId, async (tx) => {
    const broken: string[] = [];
    for (const { id, sql: text } of ledgerInvariants) {
      const rows = await tx.rows({ name: `invariant ${id}`.slice(0, 60), text, values: [] });
      if (rows.length > 0) broken.push(`${id}: ${JSON.stringify(rows)}`);
    }
    return broken;
  });
}
