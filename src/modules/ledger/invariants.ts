/** A statement about the data that must hold; its text returns the rows that break it. */
export interface Invariant {
  /** Promise it belongs to, and what it says: `S2 journals balance`. */
  readonly id: string;
  /** A query without parameters for a transaction that acts as the tenant. */
  readonly sql: string;
}

/**
 * What must hold of a ledger, written against the tables alone: it shares nothing with the code that
 * posts. Each runs within one tenant and returns the rows that break it, at most 100.
 */
export const ledgerInvariants: readonly Invariant[] = [
  {
    id: "S2 every journal sums to zero per currency",
    sql: `select journal_id, currency, sum(amount_minor) as difference from ledger_entries
      group by journal_id, currency having sum(amount_minor) <> 0 limit 100`,
  },
  {
    id: "S2 every journal has entries and every entry a journal",
    sql: `select coalesce(j.id, e.journal_id) as journal_id from ledger_journals j
      full join (select distinct journal_id from ledger_entries) e on e.journal_id = j.id
      where j.id is null or e.journal_id is null limit 100`,
  },
  {
    id: "S2 every entry belongs to an open account",
    sql: `select e.account, e.currency from
      (select distinct account, currency from ledger_entries) e
      where not exists (select 1 from ledger_accounts a
        where a.code = e.account and a.currency = e.currency) limit 100`,
  },
  {
    id: "S2 closed balances are the sums of the entries below the horizon",
    sql: `select coalesce(b.account, s.account) as account, b.balance_minor, s.balance
      from ledger_balances b
      full join (
        select account, currency, sum(amount_minor) as balance, count(*) as entries
        from ledger_entries
        where horizon < coalesce((select horizon from ledger_closings), 0)
        group by account, currency
      ) s on s.account = b.account and s.currency = b.currency
      where b.balance_minor is distinct from s.balance or b.entries is distinct from s.entries
        or b.debit_minor - b.credit_minor is distinct from s.balance
      limit 100`,
  },
  {
    id: "S2 no floored account is below its floor, holds deducted",
    sql: `select a.code, a.currency, a.floor_minor from ledger_accounts a
      where a.floor_minor is not null and a.floor_minor >
        coalesce((select sum(e.amount_minor) from ledger_entries e
          where e.account = a.code and e.currency = a.currency), 0)
          * case when a.kind in ('asset', 'expense') then 1 else -1 end
        - coalesce((select sum(h.amount_minor - h.posted_minor) from ledger_holds h
          where h.account = a.code and h.currency = a.currency and h.state = 'active'), 0)
      limit 100`,
  },
  {
    id: "S2 the hash chain is unbroken",
    sql: `select s.number from (
        select t.*, lag(number, 1, 0::bigint) over w as before,
          lag(high, 1, 0::bigint) over w as start, lag(hash, 1, ''::bytea) over w as link
        from ledger_seals t window w as (order by number)
      ) s
      where s.number <> s.before + 1 or s.low <> s.start or s.previous <> s.link
        or s.hash <> (
          select sha256(s.previous || convert_to(coalesce(string_agg(jsonb_build_array(
              e.horizon, e.journal_id, e.line, e.account, e.currency, e.amount_minor, j.kind,
              j.reference, j.description, (extract(epoch from j.occurred_at) * 1000000)::bigint,
              j.request_id)::text, E'\\n' order by e.horizon, e.journal_id, e.line), ''), 'UTF8'))
          from ledger_entries e left join ledger_journals j on j.id = e.journal_id
          where e.horizon >= s.low and e.horizon < s.high)
      limit 100`,
  },
];
