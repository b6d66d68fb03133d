import { inventoryInvariants } from "../../modules/inventory/index.ts";
import { ledgerInvariants } from "../../modules/ledger/index.ts";
import { paymentInvariants } from "../../modules/payments/index.ts";
import { promotionInvariants } from "../../modules/promotions/index.ts";

/** A statement about a brand's data that must hold; its text returns the rows that break it. */
export interface Invariant {
  /** Promise it belongs to, and what it says. */
  readonly id: string;
  /** A query without parameters for a transaction that acts as the tenant; at most 100 rows. */
  readonly sql: string;
}

/** How modules agree with each other: nobody can check this alone. */
const acrossModules: readonly Invariant[] = [
  {
    id: "S3 an order is paid if and only if its money was captured",
    sql: `select o.id, o.status, o.total_minor, p.captured
      from orders o
      left join (select order_id, sum(captured_minor) as captured, sum(refunded_minor) as refunded
        from payments group by order_id) p on p.order_id = o.id
      where (o.status in ('paid', 'fulfilled', 'completed')
          and o.total_minor > 0 and coalesce(p.captured, 0) < o.total_minor)
        or (o.status in ('pending', 'confirmed') and coalesce(p.captured, 0) > 0)
        or (o.status = 'cancelled' and coalesce(p.captured, 0) > coalesce(p.refunded, 0)
          and o.updated_at < now() - interval '5 minutes')
      limit 100`,
  },
  {
    id: "S4 an order's stock stands as the order does",
    sql: `select o.id, o.status, r.states
      from orders o
      join (select id, array_agg(distinct state) as states from reservations group by id) r
        on r.id = o.id
      where (o.status in ('paid', 'fulfilled', 'completed') and r.states <> array['committed'])
        or (o.status in ('pending', 'confirmed') and r.states <> array['active'])
        or (o.status = 'cancelled' and 'active' = any(r.states))
      limit 100`,
  },
  {
    id: "S4 the ledger owes and is owed what the orders say",
    sql: `select o.id, o.status, o.total_minor, j.placed
      from orders o
      left join (select journal_id, sum(amount_minor) as placed from ledger_entries
        where account = 'receivable' or account like 'provider:%'
        group by journal_id) j on j.journal_id = o.id
      where o.total_minor <> coalesce(j.placed, 0) limit 100`,
  },
  {
    id: "S4 receivable is zero for every order that is settled",
    sql: `select j.reference, sum(e.amount_minor) as open
      from ledger_entries e
      join ledger_journals j on j.id = e.journal_id
      join orders o on j.reference = 'order:' || o.id
      where e.account = 'receivable' and o.status <> 'pending' and o.status <> 'confirmed'
        and o.updated_at < now() - interval '5 minutes'
      group by j.reference having sum(e.amount_minor) <> 0 limit 100`,
  },
  {
    id: "S4 no saga is overdue or stuck",
    sql: `select id, name, status, due_at from platform.sagas
      where status = 'stuck' or (status in ('running', 'compensating')
        and due_at < now() - interval '5 minutes') limit 100`,
  },
  {
    id: "S5 every order told the event log that it was placed, once",
    sql: `select o.id, count(e.id) as events
      from orders o
      left join platform.events e on e.stream = 'order:' || o.id and e.type = 'orders.order_placed'
      group by o.id having count(e.id) <> 1 limit 100`,
  },
  {
    id: "S1 an order's totals are the sums of its lines",
    sql: `select o.id, o.total_minor, l.total
      from orders o
      join (select order_id, sum(total_minor) as total from order_lines group by order_id) l
        on l.order_id = o.id
      where l.total > o.total_minor
        or l.total + o.shipping_minor + o.tax_minor < o.total_minor limit 100`,
  },
];

/** All that must hold of a brand's data, in the order of the promises. */
export const invariants: readonly Invariant[] = [
  ...inventoryInvariants,
  ...ledgerInvariants,
  ...paymentInvariants,
  ...promotionInvariants,
  ...acrossModules,
].toSorted((a, b) => a.id.localeCompare(b.id));
