/** A statement about the data that must hold; its text returns the rows that break it. */
export interface Invariant {
  /** Promise it belongs to, and what it says. */
  readonly id: string;
  /** A query without parameters for a transaction that acts as the tenant. */
  readonly sql: string;
}

/**
 * What must hold of inventory, written against the tables alone: it shares nothing with the code that
 * reserves. Each runs within one tenant and returns the rows that break it, at most 100.
 */
export const inventoryInvariants: readonly Invariant[] = [
  {
    id: "S1 never oversold: 0 <= reserved <= on hand, backorders aside",
    sql: `select variant_id, location_id, on_hand, reserved, backorder_limit from stock
      where reserved < 0 or reserved::bigint > on_hand::bigint + backorder_limit
        or on_hand::bigint < -backorder_limit::bigint limit 100`,
  },
  {
    id: "S1 the sum of active reservations is what is reserved",
    sql: `select coalesce(s.variant_id, r.variant_id) as variant_id,
        coalesce(s.location_id, r.location_id) as location_id, s.reserved, r.units
      from (select variant_id, location_id, reserved from stock where reserved <> 0) s
      full join (select variant_id, location_id, sum(quantity) as units from reservations
        where state = 'active' group by variant_id, location_id) r
        on r.variant_id = s.variant_id and r.location_id = s.location_id
      where s.reserved is distinct from r.units limit 100`,
  },
  {
    id: "S1 every unit on hand is explained by a movement",
    sql: `select coalesce(s.variant_id, m.variant_id) as variant_id,
        coalesce(s.location_id, m.location_id) as location_id, s.on_hand, m.units
      from (select variant_id, location_id, on_hand from stock where on_hand <> 0) s
      full join (select variant_id, location_id, sum(quantity) as units from stock_movements
        group by variant_id, location_id having sum(quantity) <> 0) m
        on m.variant_id = s.variant_id and m.location_id = s.location_id
      where s.on_hand is distinct from m.units limit 100`,
  },
  {
    id: "S1 the lines of a reservation are settled together",
    sql: `select id from reservations group by id having count(distinct state) > 1 limit 100`,
  },
  {
    id: "S4 no reservation is overdue by more than a minute",
    sql: `select id, expires_at from reservations
      where state = 'active' and expires_at < now() - interval '1 minute' limit 100`,
  },
];
