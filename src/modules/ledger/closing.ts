import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type { ChainReport, LedgerEvents } from "./contract.ts";

/** Most entries one seal covers, unless one transaction alone posted more. */
export const sealEntriesMax = 10_000;

/**
 * Sums a tenant's entries up into its closed balances, as far as no entry can appear any more, so that
 * reading a balance adds few rows. Postings neither wait for it nor hold it back for longer than
 * they run.
 *
 * @returns accounts whose closed balance moved
 */
export async function closeBalances(tx: TenantTx): Promise<number> {
  tx.write(sql("ledger.begin_closing")`
    insert into ledger_closings (tenant_id, horizon) values (${tx.tenantId}, 0)
    on conflict do nothing`);
  tx.write(sql("ledger.lock_closing")`
    select 1 from ledger_closings where tenant_id = ${tx.tenantId} for update`);
  return tx.run(sql("ledger.close")`
    with span as materialized (
      select c.horizon as low, greatest(c.horizon, platform.event_watermark()) as high
      from ledger_closings c where c.tenant_id = ${tx.tenantId}
    ), moved as (
      update ledger_closings c set horizon = span.high, closed_at = now()
      from span where c.tenant_id = ${tx.tenantId} and span.high > span.low
    )
    insert into ledger_balances
      (tenant_id, account, currency, balance_minor, debit_minor, credit_minor, entries)
    select e.tenant_id, e.account, e.currency, sum(e.amount_minor),
      sum(greatest(e.amount_minor, 0)), sum(greatest(-e.amount_minor, 0)), count(*)
    from ledger_entries e
    where e.tenant_id = ${tx.tenantId}
      and e.horizon >= (select low from span) and e.horizon < (select high from span)
    group by e.tenant_id, e.account, e.currency
    on conflict (tenant_id, account, currency) do update set
      balance_minor = ledger_balances.balance_minor + excluded.balance_minor,
      debit_minor = ledger_balances.debit_minor + excluded.debit_minor,
      credit_minor = ledger_balances.credit_minor + excluded.credit_minor,
      entries = ledger_balances.entries + excluded.entries`);
}

interface SealRow {
  readonly number: number;
  readonly entries: number;
  readonly hash: string;
}

/**
 * Adds the next seal to a tenant's hash chain, over at most {@link sealEntriesMax} entries that are
 * complete for ever. It runs behind the postings and never holds them up.
 *
 * @param entriesMax entries of one seal; the transactions in it are whole
 * @returns the seal, or undefined when nothing was left to seal
 */
export async function sealEntries(
  tx: TenantTx,
  origin: EventOrigin,
  entriesMax: number = sealEntriesMax,
): Promise<SealRow | undefined> {
  // Two sealers at once would make two links of one number: the key refuses the second.
  const seal = await tx.maybe<SealRow>(sql("ledger.seal")`
    with last as materialized (
      select number, high, hash from ledger_seals where tenant_id = ${tx.tenantId}
      order by number desc limit 1
    ), start as materialized (
      select coalesce((select number from last), 0) as number,
        coalesce((select high from last), 0) as low,
        coalesce((select hash from last), '\\x'::bytea) as previous,
        platform.event_watermark() as watermark
    ), span as materialized (
      select s.*, coalesce((
        select e.horizon from ledger_entries e
        where e.tenant_id = ${tx.tenantId} and e.horizon >= s.low and e.horizon < s.watermark
        order by e.horizon offset ${entriesMax} limit 1), s.watermark) as high
      from start s
    ), whole as materialized (
      -- One transaction that alone is larger than a seal gets a seal of its own.
      select p.number, p.low, p.previous, case when exists (
          select 1 from ledger_entries e where e.tenant_id = ${tx.tenantId}
            and e.horizon >= p.low and e.horizon < p.high)
        then p.high else p.high + 1 end as high
      from span p
    )
    insert into ledger_seals (tenant_id, number, low, high, entries, previous, hash)
    select ${tx.tenantId}, w.number + 1, w.low, w.high, l.entries, w.previous, l.hash
    from whole w, ledger_link(${tx.tenantId}, w.low, w.high, w.previous) l
    where l.entries > 0 and w.high > w.low
      and w.high <= (select watermark from start)
    returning number, entries, encode(hash, 'hex') as hash`);
  if (!seal) return undefined;
  const data: LedgerEvents["ledger.sealed"] = { ...seal };
  appendEvents(tx, origin, [{ type: "ledger.sealed", version: 1, stream: "ledger:seals", data }]);
  return seal;
}

interface LinkRow {
  readonly number: number;
  readonly entries: number;
  readonly hash: string;
  readonly fits: boolean;
}

/** Seals checked by one statement: 200,000 entries, about a second. */
const linksPerStatement = 20;

/**
 * Recomputes a tenant's hash chain from its entries: any row of a sealed span that was changed, removed
 * or slipped in breaks it, and so does a seal that was altered.
 *
 * Someone who can rewrite entries and every later seal is noticed only by comparing `head` with a
 * copy kept elsewhere, for one in the event log.
 */
export async function verifyChain(tx: TenantTx): Promise<ChainReport> {
  let sealsChecked = 0;
  let entriesChecked = 0;
  let head = "";
  for (;;) {
    const links = await linksAfter(tx, sealsChecked);
    const broken = links.find((link) => !link.fits);
    for (const link of links) {
      if (broken && link.number >= broken.number) break;
      sealsChecked++;
      entriesChecked += link.entries;
      head = link.hash;
    }
    if (!broken && links.length === linksPerStatement) continue;
    const entriesUnsealed = await countUnsealed(tx);
    const report = { sealsChecked, entriesChecked, entriesUnsealed, head };
    return broken
      ? { ...report, intact: false, brokenSeal: broken.number }
      : { ...report, intact: true };
  }
}

/** The next seals; each fits when it follows its predecessor and matches its entries. */
function linksAfter(tx: TenantTx, number: number): Promise<LinkRow[]> {
  return tx.rows<LinkRow>(sql("ledger.verify")`
    with links as (
      select s.*, lag(s.number, 1, 0) over w as before, lag(s.high, 1, 0) over w as start,
        lag(s.hash, 1, '\\x'::bytea) over w as link
      from ledger_seals s where s.tenant_id = ${tx.tenantId} and s.number >= ${number}
      window w as (order by s.number)
      order by s.number limit ${linksPerStatement + 1}
    )
    select s.number, s.entries, encode(s.hash, 'hex') as hash,
      (s.number = s.before + 1 and s.low = s.start and s.previous = s.link
        and s.entries = l.entries and s.hash = l.hash) as fits
    from links s, ledger_link(s.tenant_id, s.low, s.high, s.previous) l
    where s.number > ${number}
    order by s.number
    limit ${linksPerStatement}`);
}

async function countUnsealed(tx: TenantTx): Promise<number> {
  const { unsealed } = await tx.one<{ unsealed: number }>(sql("ledger.unsealed")`
    select count(*) as unsealed from ledger_entries
    where tenant_id = ${tx.tenantId} and horizon >= (select coalesce(max(high), 0) from ledger_seals
      where tenant_id = ${tx.tenantId})`);
  return unsealed;
}
