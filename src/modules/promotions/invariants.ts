/** A statement about the data that must hold; its text returns the rows that break it. */
export interface Invariant {
  /** Promise it belongs to, and what it says. */
  readonly id: string;
  /** A query without parameters for a transaction that acts as the tenant. */
  readonly sql: string;
}

/**
 * What must hold of promotions, written against the tables alone. Each runs within one tenant and
 * returns the rows that break it, at most 100.
 */
export const promotionInvariants: readonly Invariant[] = [
  {
    id: "S4 a promotion is counted as used as often as orders use it",
    sql: `select p.id, p.used_count, count(r.order_id) as uses
      from promotions p
      left join promotion_redemptions r on r.tenant_id = p.tenant_id and r.promotion_id = p.id
        and r.released_at is null
      group by p.id, p.used_count having p.used_count <> count(r.order_id) limit 100`,
  },
  {
    id: "S4 a coupon is counted as used as often as orders use it",
    sql: `select c.id, c.used_count, count(r.order_id) as uses
      from coupons c
      left join promotion_redemptions r on r.tenant_id = c.tenant_id and r.coupon_id = c.id
        and r.released_at is null
      group by c.id, c.used_count having c.used_count <> count(r.order_id) limit 100`,
  },
  {
    id: "S4 no customer uses a promotion more often than it allows",
    sql: `select p.id, r.customer_id, count(*) as uses, p.usage_limit_per_customer
      from promotions p
      join promotion_redemptions r on r.tenant_id = p.tenant_id and r.promotion_id = p.id
        and r.released_at is null
      where p.usage_limit_per_customer is not null and r.redeemed_at > p.updated_at
      group by p.id, r.customer_id, p.usage_limit_per_customer
      having count(*) > p.usage_limit_per_customer limit 100`,
  },
];
