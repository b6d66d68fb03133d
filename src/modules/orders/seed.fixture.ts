import type pg from "pg";

/** How many orders of a tenant to make up, and over which months. */
export interface SeedPlan {
  readonly tenantId: string;
  readonly orders: number;
  /** Months the orders are spread over, the current one included. */
  readonly months: number;
  readonly customers: number;
  /** Also two lines per order. */
  readonly withLines?: boolean;
}

/**
 * Fills a tenant with orders by SQL alone, some 100,000 a second: for benches and tests of plans.
 * The k-th oldest order has number k, and a customer id and status that follow from k.
 *
 * @param owner connection as the owner of the tables
 */
export async function seedOrders(owner: pg.Client, plan: SeedPlan): Promise<void> {
  await owner.query("set search_path = shared, platform");
  await owner.query("set synchronous_commit = off");
  await owner.query(
    `select platform.ensure_month_partition(parent, (now() - make_interval(months => back))::date)
     from unnest(array['orders', 'order_lines']::regclass[]) as parent,
       generate_series(0, $1 - 1) as back`,
    [plan.months],
  );
  await owner.query(seedOrdersSql, [plan.tenantId, plan.orders, plan.months, plan.customers]);
  if (plan.withLines) await owner.query(seedLinesSql, [plan.tenantId]);
  await owner.query(
    `insert into order_numbers values ($1, $2)
     on conflict (tenant_id) do update set next_number = excluded.next_number`,
    [plan.tenantId, plan.orders + 1_001],
  );
}

/** The k-th of n customers, as {@link seedOrders} names them. */
export function seededCustomer(k: number): string {
  return `00000000-0000-4000-8000-${k.toString(16).padStart(12, "0")}`;
}

const seedOrdersSql = `
  insert into orders (tenant_id, id, number, status, currency, subtotal_minor, discount_minor,
    shipping_minor, tax_minor, total_minor, refunded_minor, price_includes_tax, item_quantity,
    customer_id, email, shipping_address, billing_address, shipping_method, coupon_codes, metadata,
    placed_at, updated_at)
  select $1::uuid, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
      || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid,
    k, status, 'EUR', price * 2, 0, 490, price / 3, price * 2 + 490,
    case when status = 'refunded' then price * 2 + 490 else 0 end, true, 2,
    ('00000000-0000-4000-8000-' || lpad(to_hex(customer), 12, '0'))::uuid,
    'customer' || customer || '@example.com',
    '{"name": "Ada Lovelace", "line1": "12 Some Street", "city": "Berlin", "postalCode": "10115", "countryCode": "DE"}',
    null, '{"name": "Standard", "priceMinor": 490}', '{}', '{}', at, at
  from (
    select k, now() - (($2::bigint - k) * extract(epoch from now() - date_trunc('month', now())
        + make_interval(days => ($3::int - 1) * 28)) / $2::bigint) * interval '1 second' as at,
      md5(k::text || $1::uuid) as noise, k % $4::bigint as customer, 500 + k % 7919 as price,
      (array['completed', 'completed', 'completed', 'completed', 'completed', 'completed',
        'fulfilled', 'paid', 'cancelled', 'refunded', 'completed', 'completed', 'pending',
        'confirmed', 'paid', 'completed'])[1 + k % 16] as status
    from generate_series(1, $2::bigint) as k
  ) as made`;

const seedLinesSql = `
  insert into order_lines (tenant_id, order_id, line_no, variant_id, sku, title, quantity,
    unit_price_minor, discount_minor, tax_minor, total_minor, fulfilled_quantity)
  select tenant_id, id, line_no, id, 'SKU-' || number % 1000, 'Blue shirt, size M', 1,
    subtotal_minor / 2, 0, tax_minor / 2, subtotal_minor / 2,
    case when status in ('fulfilled', 'completed') then 1 else 0 end
  from orders cross join generate_series(1, 2) as line_no
  where tenant_id = $1`;
