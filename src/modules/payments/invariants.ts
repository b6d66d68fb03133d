/** A statement about the data that must hold; its text returns the rows that break it. */
export interface PaymentInvariant {
  /** Promise it belongs to, and what it says. */
  readonly id: string;
  /** A query without parameters for a transaction that acts as the tenant. */
  readonly sql: string;
}

/**
 * What must hold of payments, written against the tables alone: it shares nothing with the code that
 * moves money. Each runs within one tenant and returns the rows that break it, at most 100.
 */
export const paymentInvariants: readonly PaymentInvariant[] = [
  {
    id: "S3 refunded <= captured <= authorised <= amount",
    sql: `select id from payments where not (0 <= refunded_minor and refunded_minor <= captured_minor
        and captured_minor <= authorised_minor and authorised_minor <= amount_minor) limit 100`,
  },
  {
    id: "S3 no order is charged twice",
    sql: `select order_id, count(*) as payments from payments
      where captured_minor > refunded_minor group by order_id having count(*) > 1 limit 100`,
  },
  {
    id: "S3 no captured money without order or refund after 5 minutes",
    sql: `select p.id, p.order_id, o.status from payments p
      left join orders o on o.tenant_id = p.tenant_id and o.id = p.order_id
      where p.captured_minor > p.refunded_minor and p.updated_at < now() - interval '5 minutes'
        and (o.id is null or o.status in ('pending', 'cancelled')) limit 100`,
  },
  {
    id: "S3 every recorded refund and capture is in the payment's totals",
    sql: `select p.id from payments p
      join payment_operations o on o.tenant_id = p.tenant_id and o.payment_id = p.id
      where o.status = 'succeeded'
      group by p.tenant_id, p.id, p.captured_minor, p.refunded_minor
      having coalesce(sum(o.amount_minor) filter (where o.kind = 'refund'), 0) > p.refunded_minor
        or coalesce(sum(o.amount_minor) filter (where o.kind = 'capture'), 0) > p.captured_minor
      limit 100`,
  },
  {
    id: "S4 the ledger holds what the providers hold, to the minor unit",
    sql: `select coalesce(p.account, l.account) as account, coalesce(p.currency, l.currency) as currency,
        p.held_minor as payments_minor, l.held_minor as ledger_minor
      from (select 'provider:' || provider as account, currency::text as currency,
          sum(captured_minor - refunded_minor) as held_minor
        from payments group by provider, currency) p
      full join (select e.account, e.currency, sum(e.amount_minor) as held_minor
        from ledger_entries e join ledger_journals j
          on j.tenant_id = e.tenant_id and j.id = e.journal_id
        where j.kind in ('order.sold', 'payment.captured', 'payment.refunded') and e.account like 'provider:%'
        group by e.account, e.currency) l
        on l.account = p.account and l.currency = p.currency
      where coalesce(p.held_minor, 0) <> coalesce(l.held_minor, 0) limit 100`,
  },
  {
    id: "S4 no payment waits for its outcome unless a person was told",
    sql: `select p.id, p.status from payments p
      where (p.status in ('created', 'requires_action')
          or (p.status = 'authorised' and p.capture_mode = 'automatic'))
        and p.created_at < now() - interval '20 minutes'
        and not exists (select 1 from payment_dead_letters d where d.tenant_id = p.tenant_id
          and d.payment_id = p.id and d.resolved_at is null) limit 100`,
  },
  {
    id: "S4 no capture, void or refund waits unless a person was told",
    sql: `select o.id, o.payment_id, o.kind from payment_operations o
      where o.status = 'pending' and o.requested_at < now() - interval '20 minutes'
        and not exists (select 1 from payment_dead_letters d where d.tenant_id = o.tenant_id
          and d.payment_id = o.payment_id and d.resolved_at is null) limit 100`,
  },
];
