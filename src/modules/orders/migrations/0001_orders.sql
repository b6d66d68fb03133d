-- Orders, their lines, fulfilments and returns. Orders and lines are cut into months by the order's
-- UUIDv7, so that one order lives in one partition of each. There are no foreign keys to orders: they
-- cost a trigger per line on the hottest path and would forbid dropping an archived month.

create table orders (
  tenant_id           uuid        not null,
  id                  uuid        not null,
  number              bigint      not null,
  status              text        not null check (status in
    ('pending', 'confirmed', 'paid', 'fulfilled', 'completed', 'cancelled', 'refunded')),
  version             integer     not null default 1,
  currency            text        not null check (char_length(currency) = 3),
  subtotal_minor      bigint      not null check (subtotal_minor >= 0),
  discount_minor      bigint      not null check (discount_minor >= 0),
  shipping_minor      bigint      not null check (shipping_minor >= 0),
  tax_minor           bigint      not null check (tax_minor >= 0),
  total_minor         bigint      not null check (total_minor >= 0),
  refunded_minor      bigint      not null default 0,
  price_includes_tax  boolean     not null,
  item_quantity       integer     not null check (item_quantity > 0),
  customer_id         uuid,
  email               text,
  external_reference  text,
  shipping_address    jsonb,
  billing_address     jsonb,
  shipping_method     jsonb,
  coupon_codes        text[]      not null default '{}',
  metadata            jsonb       not null default '{}',
  placed_at           timestamptz not null,
  updated_at          timestamptz not null,
  primary key (tenant_id, id),
  constraint orders_totals check (total_minor = subtotal_minor - discount_minor + shipping_minor
    + case when price_includes_tax then 0 else tax_minor end),
  constraint orders_refunded check (refunded_minor between 0 and total_minor
    and (status <> 'refunded' or refunded_minor = total_minor))
) partition by range (id);

create index orders_by_status on orders (tenant_id, status, id);
create index orders_by_customer on orders (tenant_id, customer_id, id) where customer_id is not null;
create index orders_by_email on orders (tenant_id, email, id) where email is not null;
create index orders_by_number on orders (tenant_id, number, id);
create index orders_by_reference on orders (tenant_id, external_reference, id)
  where external_reference is not null;

create table order_lines (
  tenant_id           uuid        not null,
  order_id            uuid        not null,
  line_no             integer     not null check (line_no > 0),
  variant_id          uuid,
  sku                 text        not null,
  title               text        not null,
  quantity            integer     not null check (quantity > 0),
  unit_price_minor    bigint      not null check (unit_price_minor >= 0),
  -- The source's own price, where it has more decimals than the currency.
  unit_price_exact    numeric,
  discount_minor      bigint      not null check (discount_minor >= 0),
  tax_minor           bigint      not null check (tax_minor >= 0),
  total_minor         bigint      not null check (total_minor >= 0),
  fulfilled_quantity  integer     not null default 0,
  returned_quantity   integer     not null default 0,
  returned_minor      bigint      not null default 0,
  primary key (tenant_id, order_id, line_no),
  constraint order_lines_fulfilled check (fulfilled_quantity between 0 and quantity),
  constraint order_lines_returned check (
    returned_quantity between 0 and quantity and returned_minor between 0 and total_minor)
) partition by range (order_id);

create table orders_default partition of orders default;
create table order_lines_default partition of order_lines default;
do $$
declare
  part text;
begin
  -- Partitions are reached through their parent only.
  foreach part in array array['orders_default', 'order_lines_default'] loop
    execute format('revoke all on %I from brandos_app, brandos_platform', part);
    execute format('alter table %I enable row level security', part);
    execute format('alter table %I force row level security', part);
  end loop;
end $$;

select platform.ensure_month_partition(parent, (now() + make_interval(months => ahead))::date)
from unnest(array['orders', 'order_lines']::regclass[]) as parent, generate_series(0, 3) as ahead;

select platform.protect_tenant_table('orders');
select platform.protect_tenant_table('order_lines');

-- The next order number of a tenant; handed out in blocks, so that placing an order locks nothing here.
create table order_numbers (
  tenant_id    uuid   primary key,
  next_number  bigint not null check (next_number > 0)
);
select platform.protect_tenant_table('order_numbers');

create table fulfilments (
  tenant_id     uuid        not null,
  id            uuid        not null,
  order_id      uuid        not null,
  carrier       text,
  tracking_code text,
  tracking_url  text,
  created_at    timestamptz not null,
  primary key (tenant_id, id)
);
create index fulfilments_by_order on fulfilments (tenant_id, order_id);
select platform.protect_tenant_table('fulfilments');

create table fulfilment_lines (
  tenant_id      uuid    not null,
  fulfilment_id  uuid    not null,
  line_no        integer not null,
  quantity       integer not null check (quantity > 0),
  primary key (tenant_id, fulfilment_id, line_no),
  foreign key (tenant_id, fulfilment_id) references fulfilments (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('fulfilment_lines');

-- Goods that came back. Without a receipt there is no order, and the lines name variants only.
create table returns (
  tenant_id           uuid        not null,
  id                  uuid        not null,
  order_id            uuid,
  customer_id         uuid,
  currency            text        not null check (char_length(currency) = 3),
  refund_minor        bigint      not null check (refund_minor >= 0),
  reason              text,
  external_reference  text,
  created_at          timestamptz not null,
  primary key (tenant_id, id)
);
create index returns_by_order on returns (tenant_id, order_id) where order_id is not null;
select platform.protect_tenant_table('returns');

create table return_lines (
  tenant_id     uuid    not null,
  return_id     uuid    not null,
  line_no       integer not null check (line_no > 0),
  -- Line of the order; null without a receipt.
  order_line_no integer,
  variant_id    uuid,
  sku           text    not null,
  quantity      integer not null check (quantity > 0),
  refund_minor  bigint  not null check (refund_minor >= 0),
  restock       boolean not null,
  primary key (tenant_id, return_id, line_no),
  foreign key (tenant_id, return_id) references returns (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('return_lines');

-- Batches of changes that run as background jobs: what was asked, how far it is, what came of each.
create table order_batches (
  tenant_id    uuid        not null,
  id           uuid        not null,
  changes      jsonb       not null,
  results      jsonb       not null default '[]',
  total        integer     not null check (total > 0),
  done         integer     not null default 0,
  refused      integer     not null default 0,
  created_at   timestamptz not null,
  finished_at  timestamptz,
  primary key (tenant_id, id),
  check (done between 0 and total and refused between 0 and done)
);
select platform.protect_tenant_table('order_batches');

-- What other modules may read of orders.
create view orders_view with (security_invoker = true) as
  select tenant_id, id, number, status, currency, total_minor, refunded_minor, customer_id,
    item_quantity, placed_at
  from orders;
