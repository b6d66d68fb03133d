import { assert } from "../../kernel/assert.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { type Statement, sql } from "../../platform/db/sql.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { AccountKind, Journal } from "./contract.ts";
import { checkJournal, contentOf, kindOfAccount } from "./journal.ts";

/** A journal together with its own origin. */
export interface AttributedJournal {
  readonly origin: Pick<EventOrigin, "requestId">;
  readonly journal: Journal;
}

/**
 * Posts journals inside the caller's transaction; accounts of the chart open themselves.
 *
 * One statement for all that a transaction posts; it travels with COMMIT. An id that was posted before
 * with the same content is left alone. Everything else the database refuses fails the transaction:
 * another content under a known id, an unknown account, a floor.
 * @param origin whose request id the journals carry
 * @param journals at most one per id; one whose legs are all zero posts nothing
 * @throws AssertionError for a journal that does not sum to zero: its maker has a bug
 */
export function postEntries(tx: TenantTx, origin: EventOrigin, journals: readonly Journal[]): void {
  postJournals(
    tx,
    journals.map((journal) => ({ origin, journal })),
  );
}

/** Like {@link postEntries} for a batch whose journals come from different callers. */
export function postJournals(tx: TenantTx, rows: readonly AttributedJournal[]): void {
  const checked: AttributedJournal[] = [];
  for (const { origin, journal } of rows) {
    const result = checkJournal(journal);
    if (!result.ok && result.failure.code === "ledger.no_entries") continue;
    assert(result.ok, `journal ${journal.kind} is sound: ${JSON.stringify(result)}`);
    checked.push({ origin, journal: result.value });
  }
  if (checked.length > 0) gather(tx, checked);
}

const gathered = new WeakMap<TenantTx, AttributedJournal[]>();

/** What the modules of one transaction post goes out as one statement, with COMMIT. */
function gather(tx: TenantTx, rows: readonly AttributedJournal[]): void {
  const known = gathered.get(tx);
  if (known) {
    known.push(...rows);
    return;
  }
  gathered.set(tx, [...rows]);
  tx.beforeCommit(() => flushJournals(tx));
}

/** Sends what a transaction has posted so far, for whoever reads its own entries before COMMIT. */
export function flushJournals(tx: TenantTx): void {
  const rows = gathered.get(tx);
  gathered.delete(tx);
  if (rows) tx.write(postStatement(tx, rows));
}

/** One insert for accounts, journals and entries; only journals that are new get entries. */
function postStatement(tx: TenantTx, rows: readonly AttributedJournal[]): Statement {
  const journals = rows.map((row) => row.journal);
  const accounts = accountColumns(journals);
  const legs = entryColumns(journals);
  const ids = journals.map((journal) => journal.id);
  const contents = journals.map(contentOf);
  return sql("ledger.post")`
    with opened as (
      insert into ledger_accounts (tenant_id, code, currency, kind)
      select ${tx.tenantId}, a.code, a.currency, a.kind
      from unnest(${accounts.codes}::text[], ${accounts.currencies}::text[],
        ${accounts.kinds}::text[]) a(code, currency, kind)
      order by a.code, a.currency
      on conflict do nothing
    ), posted as (
      insert into ledger_journals
        (tenant_id, id, content, occurred_at, kind, reference, description, request_id)
      select ${tx.tenantId}, j.* from unnest(${ids}::uuid[], ${contents}::uuid[],
        ${journals.map((journal) => journal.occurredAt.toISOString())}::timestamptz[],
        ${journals.map((journal) => journal.kind)}::text[],
        ${journals.map((journal) => journal.reference ?? null)}::text[],
        ${journals.map((journal) => journal.description)}::text[],
        ${rows.map(({ origin }) => origin.requestId)}::text[])
        j(id, content, occurred_at, kind, reference, description, request_id)
      on conflict do nothing
      returning id
    )
    insert into ledger_entries
      (tenant_id, journal_id, line, account, currency, amount_minor, horizon)
    select ${tx.tenantId}, e.journal_id, e.line, e.account, e.currency, e.amount_minor,
      (select platform.event_horizon())
    from unnest(${legs.journals}::uuid[], ${legs.lines}::smallint[], ${legs.accounts}::text[],
      ${legs.currencies}::text[], ${legs.amounts}::bigint[])
      e(journal_id, line, account, currency, amount_minor)
    join posted p on p.id = e.journal_id
    where (select case when (select count(*) from posted) = ${journals.length} then true
      else ledger_check_repeats(${tx.tenantId}, ${ids}::uuid[], ${contents}::uuid[]) end)`;
}

function entryColumns(journals: readonly Journal[]) {
  const owners: string[] = [];
  const lines: number[] = [];
  const accounts: string[] = [];
  const currencies: string[] = [];
  const amounts: number[] = [];
  for (const journal of journals) {
    for (const [line, entry] of journal.entries.entries()) {
      owners.push(journal.id);
      lines.push(line);
      accounts.push(entry.account);
      currencies.push(entry.currency);
      amounts.push(entry.amountMinor);
    }
  }
  return {
    journals: owners,
    lines: lines,
    accounts,
    currencies,
    amounts: amounts,
  };
}

/** Accounts whose kind is known; any other must have been opened before. */
function accountColumns(journals: readonly Journal[]) {
  const known = new Map<string, { code: string; currency: string; kind: AccountKind }>();
  for (const { entries } of journals) {
    for (const entry of entries) {
      const key = `${entry.account} ${entry.currency}`;
      const kind = kindOfAccount(entry);
      if (kind) known.set(key, { code: entry.account, currency: entry.currency, kind });
    }
  }
  const list = [...known.values()];
  return {
    codes: list.map((account) => account.code),
    currencies: list.map((account) => account.currency),
    kinds: list.map((account) => account.kind),
  };
}
