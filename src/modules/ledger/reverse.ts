import { newId } from "../../kernel/ids.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { JournalEntry, JournalId } from "./contract.ts";
import { postJournals } from "./store.ts";

/** Asks for the opposite of a posted journal. */
export interface Reversal {
  readonly origin: EventOrigin;
  readonly of: JournalId;
  readonly kind: string;
  readonly description: string;
  readonly reference?: string;
  readonly occurredAt: Date;
}

/**
 * Posts the exact opposite of journals, in the caller's transaction: entries are never changed, they
 * are answered. One read and one write for any number; journals that were never posted are passed
 * over. The caller sees to it that each is reversed once.
 */
export async function reverseJournals(tx: TenantTx, reversals: readonly Reversal[]): Promise<void> {
  if (reversals.length === 0) return;
  const ids = reversals.map((each) => each.of).toSorted();
  const rows = await tx.rows<JournalEntry & { readonly journalId: JournalId }>(
    sql("ledger.entries_of_journals")`
      select e.journal_id as "journalId", e.account, e.amount_minor as "amountMinor", e.currency,
        a.kind
      from ledger_entries e
      join ledger_accounts a using (tenant_id)
      where e.tenant_id = ${tx.tenantId} and e.journal_id = any(${ids}::uuid[])
        and e.journal_id >= ${ids[0]}::uuid and e.journal_id <= ${ids.at(-1)}::uuid
        and a.code = e.account and a.currency = e.currency
      order by e.journal_id, e.line`,
  );
  const byJournal = Map.groupBy(rows, (row) => row.journalId);
  postJournals(
    tx,
    reversals.flatMap(({ origin, of, ...journal }) => {
      const entries = byJournal.get(of);
      if (!entries) return [];
      const opposite = entries.map(({ journalId: _, ...entry }) => ({
        ...entry,
        amountMinor: -entry.amountMinor,
      }));
      return [{ origin, journal: { id: newId<"journal">(), ...journal, entries: opposite } }];
    }),
  );
}
