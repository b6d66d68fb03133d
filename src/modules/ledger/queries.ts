import { assert } from "../../kernel/assert.ts";
import { lowestIdAt } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { type Fragment, fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import { type BadCursor, readCursor, signCursor } from "../../platform/http/cursor.ts";
import type {
  Account,
  AccountBalance,
  AccountFailure,
  JournalEntry,
  JournalId,
  PostedJournal,
  StatementLine,
  TrialBalance,
  TrialBalanceRow,
  TrialBalanceTotal,
} from "./contract.ts";
import { normalBalance } from "./journal.ts";

/** What every list takes. */
export interface PageRequest {
  /** 1 to 100. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface BalanceRow extends Omit<Account, "floorMinor"> {
  readonly floorMinor: number | null;
  readonly balanceMinor: number;
  readonly heldMinor: number;
}

/** Entries after the last closing, as a condition; the upper bound marks the range as short. */
function sinceClosing(tx: TenantTx): Fragment {
  return fragment`horizon >= (select coalesce(max(horizon), 0) from ledger_closings
      where tenant_id = ${tx.tenantId}) and horizon <= (select 9223372036854775807)`;
}

/** Accounts in order of code and currency, each with its balance. */
export async function listAccounts(
  tx: TenantTx,
  { limit, cursor }: PageRequest,
): Promise<Result<Page<AccountBalance>, BadCursor>> {
  const scope = { tenantId: tx.tenantId, list: "ledger accounts by code" };
  const after = cursor === undefined ? ok(["", ""]) : readCursor(scope, cursor);
  if (!after.ok) return after;
  const [code, currency] = after.value;
  const rows = await tx.rows<BalanceRow>(sql("ledger.list_accounts")`
    with page as (
      select * from ledger_accounts
      where tenant_id = ${tx.tenantId} and (code, currency) > (${code}, ${currency})
      order by code, currency limit ${limit + 1}
    ), tail as (
      select account, currency, sum(amount_minor) as amount from ledger_entries
      where tenant_id = ${tx.tenantId} and ${sinceClosing(tx)}
      group by account, currency
    )
    select p.code, p.currency, p.kind, p.floor_minor as "floorMinor",
      (coalesce(b.balance_minor, 0) + coalesce(t.amount, 0))::bigint as "balanceMinor",
      case when p.floor_minor is null then 0 else
        (select coalesce(sum(h.amount_minor - h.posted_minor), 0) from ledger_holds h
          where h.tenant_id = p.tenant_id and h.account = p.code and h.currency = p.currency
            and h.state = 'active') end::bigint as "heldMinor"
    from page p
    left join ledger_balances b
      on b.tenant_id = p.tenant_id and b.account = p.code and b.currency = p.currency
    left join tail t on t.account = p.code and t.currency = p.currency
    order by p.code, p.currency`);
  const items = rows.slice(0, limit).map(toBalance);
  const last = items.at(-1);
  if (rows.length <= limit || !last) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, [last.code, last.currency]) });
}

function toBalance({ floorMinor, ...row }: BalanceRow): AccountBalance {
  return {
    ...row,
    normalBalanceMinor: normalBalance(row.kind, row.balanceMinor),
    ...(floorMinor === null ? {} : { floorMinor }),
  };
}

/** Balance of one account at this moment; undefined when it is not open. */
export async function findBalance(
  tx: TenantTx,
  { code, currency }: Pick<Account, "code" | "currency">,
): Promise<AccountBalance | undefined> {
  const row = await tx.maybe<BalanceRow>(sql("ledger.find_balance")`
    select code, currency, kind, floor_minor as "floorMinor",
      ledger_balance(tenant_id, code, currency) as "balanceMinor",
      (select coalesce(sum(h.amount_minor - h.posted_minor), 0)::bigint from ledger_holds h
        where h.tenant_id = a.tenant_id and h.account = a.code and h.currency = a.currency
          and h.state = 'active') as "heldMinor"
    from ledger_accounts a
    where tenant_id = ${tx.tenantId} and code = ${code} and currency = ${currency}`);
  return row && toBalance(row);
}

/** Which statement to show. */
export interface StatementRequest extends PageRequest {
  readonly code: string;
  readonly currency: string;
  /** Journals from this moment on (by their ids). */
  readonly from?: Date | undefined;
  /** Journals before this moment. */
  readonly before?: Date | undefined;
}

interface StatementRow extends Omit<StatementLine, "reference" | "balanceMinor"> {
  readonly line: number;
  readonly reference: string | null;
}

const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";
const lowestId = "00000000-0000-0000-0000-000000000000";

/** Ids carry no moment before 1970. */
function firstIdAt(at: Date): string {
  return at.getTime() > 0 ? lowestIdAt(at) : lowestId;
}

/**
 * An account's entries, the newest journal first, each with the balance after it.
 *
 * The cursor carries the balance on, so that any page costs the same. Run it at `repeatable read`:
 * balance and entries must be of one moment. What is posted into the past between two pages does not
 * show in the balances of pages already begun.
 */
export async function readStatement(
  tx: TenantTx,
  request: StatementRequest,
): Promise<Result<Page<StatementLine>, AccountFailure | BadCursor>> {
  const { code, currency, from, before, limit, cursor } = request;
  const filter = { code, currency, from: from?.toISOString(), before: before?.toISOString() };
  const scope = { tenantId: tx.tenantId, list: "ledger statement, newest first", filter };
  const place = cursor === undefined ? undefined : readCursor(scope, cursor);
  if (place && !place.ok) return place;
  const start = place ? readPlace(place.value) : await statementStart(tx, request);
  if (!start) return fail({ code: "ledger.account_not_found", account: code });
  const rows = await tx.rows<StatementRow>(sql("ledger.statement")`
    select e.journal_id as "journalId", e.line, e.amount_minor as "amountMinor", j.kind,
      j.description, j.reference, j.occurred_at as "occurredAt"
    from ledger_entries e
    join ledger_journals j on j.tenant_id = e.tenant_id and j.id = e.journal_id
    where e.tenant_id = ${tx.tenantId} and e.account = ${code} and e.currency = ${currency}
      and (e.journal_id, e.line) < (${start.journalId}::uuid, ${start.line}::smallint)
      and e.journal_id <= ${start.journalId}::uuid
      and e.journal_id >= ${from ? firstIdAt(from) : lowestId}::uuid
    order by e.journal_id desc, e.line desc
    limit ${limit + 1}`);
  let { balanceMinor } = start;
  const items = rows.slice(0, limit).map(({ line: _, reference, ...row }): StatementLine => {
    const shown = { ...row, balanceMinor, ...(reference === null ? {} : { reference }) };
    balanceMinor -= row.amountMinor;
    return shown;
  });
  const last = rows[limit - 1];
  if (rows.length <= limit || !last) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, [last.journalId, last.line, balanceMinor]) });
}

interface StatementPlace {
  readonly journalId: string;
  readonly line: number;
  /** Balance after the entries before this place. */
  readonly balanceMinor: number;
}

function readPlace([journalId, line, balanceMinor]: readonly unknown[]): StatementPlace {
  const sound = typeof journalId === "string" && typeof line === "number";
  assert(sound && typeof balanceMinor === "number", "a statement's cursor has a place");
  return { journalId, line, balanceMinor };
}

async function statementStart(
  tx: TenantTx,
  { code, currency, before }: StatementRequest,
): Promise<StatementPlace | undefined> {
  const balance = await findBalance(tx, { code, currency });
  if (!balance) return undefined;
  if (!before) return { journalId: highestId, line: 0, balanceMinor: balance.balanceMinor };
  const journalId = firstIdAt(before);
  const { later } = await tx.one<{ later: number }>(sql("ledger.statement_later")`
    select coalesce(sum(amount_minor), 0)::bigint as later from ledger_entries
    where tenant_id = ${tx.tenantId} and account = ${code} and currency = ${currency}
      and journal_id >= ${journalId}::uuid`);
  return { journalId, line: 0, balanceMinor: balance.balanceMinor - later };
}

/** Most accounts a trial balance lists one by one; the totals cover all. */
export const trialBalanceAccountsMax = 10_000;

/** The trial balance at this moment, from one snapshot. */
export async function readTrialBalance(tx: TenantTx): Promise<TrialBalance> {
  const rows = await tx.rows<TrialBalanceRow & Totals>(sql("ledger.trial_balance")`
    with tail as (
      select account, currency, sum(greatest(amount_minor, 0)) as debit,
        sum(greatest(-amount_minor, 0)) as credit
      from ledger_entries where tenant_id = ${tx.tenantId} and ${sinceClosing(tx)}
      group by account, currency
    ), sums as (
      select a.code, a.currency, a.kind,
        coalesce(b.debit_minor, 0) + coalesce(t.debit, 0) as debit,
        coalesce(b.credit_minor, 0) + coalesce(t.credit, 0) as credit
      from ledger_accounts a
      left join ledger_balances b
        on b.tenant_id = a.tenant_id and b.account = a.code and b.currency = a.currency
      left join tail t on t.account = a.code and t.currency = a.currency
      where a.tenant_id = ${tx.tenantId}
    )
    select code, currency, kind, debit::bigint as "debitMinor", credit::bigint as "creditMinor",
      (debit - credit)::bigint as "balanceMinor",
      (sum(debit) over (partition by currency))::bigint as "debitTotal",
      (sum(credit) over (partition by currency))::bigint as "creditTotal"
    from sums order by code, currency limit ${trialBalanceAccountsMax}`);
  const totals = new Map<string, TrialBalanceTotal>();
  for (const { currency, debitTotal, creditTotal } of rows) {
    const differenceMinor = debitTotal - creditTotal;
    const total = { currency, debitMinor: debitTotal, creditMinor: creditTotal, differenceMinor };
    totals.set(currency, total);
  }
  const accounts = rows.map(({ debitTotal: _, creditTotal: __, ...row }) => row);
  return { accounts, totals: [...totals.values()] };
}

interface Totals {
  readonly debitTotal: number;
  readonly creditTotal: number;
}

/** Which journals to list. */
export interface JournalsRequest extends PageRequest {
  readonly reference?: string | undefined;
}

interface JournalRow extends Omit<PostedJournal, "entries" | "reference"> {
  readonly reference: string | null;
}

interface EntryRow extends JournalEntry {
  readonly journalId: JournalId;
}

/** Journals, the newest first, with their entries; of one reference or all. */
export async function listJournals(
  tx: TenantTx,
  { reference, limit, cursor }: JournalsRequest,
): Promise<Result<Page<PostedJournal>, BadCursor>> {
  const scope = {
    tenantId: tx.tenantId,
    list: "ledger journals, newest first",
    filter: { reference },
  };
  const place = cursor === undefined ? ok([highestId]) : readCursor(scope, cursor);
  if (!place.ok) return place;
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    fragment`id < ${place.value[0]}::uuid`,
    ...(reference === undefined ? [] : [fragment`reference = ${reference}`]),
  ];
  const rows = await tx.rows<JournalRow>(sql("ledger.list_journals")`
    select id, kind, description, reference, occurred_at as "occurredAt",
      recorded_at as "recordedAt"
    from ledger_journals where ${joinFragments(conditions, " and ")}
    order by id desc limit ${limit + 1}`);
  const shown = rows.slice(0, limit);
  const entries = await entriesOf(
    tx,
    shown.map((row) => row.id),
  );
  const items = shown.map(({ reference: about, ...row }) => ({
    ...row,
    ...(about === null ? {} : { reference: about }),
    entries: entries.get(row.id) ?? [],
  }));
  const last = shown.at(-1);
  if (rows.length <= limit || !last) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, [last.id]) });
}

async function entriesOf(
  tx: TenantTx,
  ids: readonly JournalId[],
): Promise<Map<JournalId, JournalEntry[]>> {
  const byJournal = new Map<JournalId, JournalEntry[]>();
  if (ids.length === 0) return byJournal;
  const rows = await tx.rows<EntryRow>(sql("ledger.entries_of")`
    select journal_id as "journalId", account, currency, amount_minor as "amountMinor"
    from ledger_entries
    where tenant_id = ${tx.tenantId} and journal_id = any(${ids}::uuid[])
      and journal_id between ${ids.at(-1)}::uuid and ${ids[0]}::uuid
    order by journal_id, line`);
  for (const { journalId, ...entry } of rows) {
    const list = byJournal.get(journalId);
    if (list) list.push(entry);
    else byJournal.set(journalId, [entry]);
  }
  return byJournal;
}
