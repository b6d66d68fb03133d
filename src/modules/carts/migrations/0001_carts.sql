-- A cart is one small aggregate that is always read and written whole: one row, its lines inside.
create table carts (
  tenant_id          uuid        not null,
  id                 uuid        not null,
  status             text        not null default 'open' check (status in ('open', 'ordered')),
  currency           char(3)     not null,
  lines              jsonb       not null check (jsonb_typeof(lines) = 'array'),
  email              text,
  customer_id        uuid,
  shipping_address   jsonb,
  billing_address    jsonb,
  shipping_method_id uuid,
  coupon_codes       text[]      not null default '{}',
  order_id           uuid,
  version            integer     not null check (version > 0),
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  primary key (tenant_id, id),
  check ((status = 'ordered') = (order_id is not null))
) with (fillfactor = 80);
select platform.protect_tenant_table('carts');

-- Old carts are swept in batches, oldest first.
create index carts_by_age on carts (tenant_id, updated_at) where status = 'open';

-- The cart of an order that came to nothing is opened again.
create index carts_by_order on carts (tenant_id, order_id) where order_id is not null;
