-- Stock per variant and location, who reserved it, and every movement that explains it.

create table stock_locations (
  tenant_id uuid not null,
  id uuid not null,
  code text not null check (code ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
  name text not null,
  -- Lower is asked first when a request names no location.
  priority integer not null default 100,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, code)
);
select platform.protect_tenant_table('stock_locations');
revoke delete on stock_locations from brandos_app;

-- The row every reservation of a SKU goes through. No index but the key, and room in the page:
-- updates stay heap-only and the hot row's dead versions are pruned in passing.
create table stock (
  tenant_id uuid not null,
  variant_id uuid not null,
  location_id uuid not null,
  -- Grows with every change; the optimistic strategy compares it.
  version bigint not null default 0,
  on_hand integer not null default 0,
  -- Sum of the active reservations.
  reserved integer not null default 0,
  -- Units that may be promised beyond what is there: 0 forbids overselling, 2147483647 is unlimited.
  backorder_limit integer not null default 0 constraint stock_backorder check (backorder_limit >= 0),
  -- Report as low at so many available units or fewer.
  low_at integer,
  primary key (tenant_id, variant_id, location_id),
  foreign key (tenant_id, location_id) references stock_locations,
  constraint stock_reserved check (reserved >= 0),
  -- Without backorders: 0 <= reserved <= on_hand.
  constraint stock_not_oversold check (reserved::bigint <= on_hand::bigint + backorder_limit),
  constraint stock_on_hand check (on_hand::bigint >= -backorder_limit::bigint)
) with (fillfactor = 50);
select platform.protect_tenant_table('stock');
revoke delete on stock from brandos_app;

-- One row per line of a reservation; a reservation's rows change state together. Whoever changes
-- it locks line 0 first.
create table reservations (
  tenant_id uuid not null,
  id uuid not null,
  variant_id uuid not null,
  location_id uuid not null,
  -- By the database's clock; null: kept until committed or released.
  expires_at timestamptz,
  quantity integer not null constraint reservations_quantity check (quantity > 0),
  line smallint not null,
  state text not null default 'active'
    constraint reservations_state check (state in ('active', 'committed', 'released', 'expired')),
  reference text,
  primary key (tenant_id, id, line)
) partition by range (id);
-- What the sweep looks for, and nothing that is settled.
create index reservations_active on reservations (tenant_id, expires_at) where state = 'active';
select platform.protect_tenant_table('reservations');
revoke delete on reservations from brandos_app;

-- Why on_hand is what it is: only ever added; their sum is on_hand.
create table stock_movements (
  tenant_id uuid not null,
  id uuid not null,
  variant_id uuid not null,
  location_id uuid not null,
  recorded_at timestamptz not null default now(),
  quantity integer not null constraint stock_movements_quantity check (quantity <> 0),
  line smallint not null,
  reason text not null,
  reference text,
  primary key (tenant_id, id, line)
) partition by range (id);
create index stock_movements_variant on stock_movements (tenant_id, variant_id, id, line);
select platform.protect_tenant_table('stock_movements');
revoke update, delete on stock_movements from brandos_app;

create function inventory_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: record an opposite movement instead', tg_table_name
    using errcode = 'restrict_violation', constraint = 'stock_movements_append_only';
end $$;
create trigger no_change before update or delete on stock_movements
  for each row execute function inventory_refuse_change();

-- Promises units of cells, given in order of (variant, location), or fails the transaction. Sent last
-- of its transaction: hot rows are locked only while the commit is written.
create function inventory_take(tenant uuid, variants uuid[], places uuid[], units integer[])
  returns timestamptz language plpgsql set search_path from current as $$
declare
  touched integer;
begin
  if cardinality(variants) > 1 then
    perform 1 from stock s
      join unnest(variants, places) d(variant_id, location_id)
        on s.variant_id = d.variant_id and s.location_id = d.location_id
      where s.tenant_id = tenant
      order by s.variant_id, s.location_id
      for update of s;
    update stock s set reserved = s.reserved + d.units, version = s.version + 1
      from unnest(variants, places, inventory_take.units) d(variant_id, location_id, units)
      where s.tenant_id = tenant
        and s.variant_id = d.variant_id and s.location_id = d.location_id;
  else
    update stock set reserved = reserved + inventory_take.units[1], version = version + 1
      where tenant_id = tenant and variant_id = variants[1] and location_id = places[1];
  end if;
  get diagnostics touched = row_count;
  if touched <> cardinality(variants) then
    raise exception 'one of % stock cells does not exist', cardinality(variants)
      using errcode = 'foreign_key_violation', constraint = 'stock_not_found';
  end if;
  return now();
end $$;

create table reservations_default partition of reservations default;
create table stock_movements_default partition of stock_movements default;
revoke all on reservations_default, stock_movements_default from brandos_app, brandos_platform;
alter table reservations_default enable row level security;
alter table reservations_default force row level security;
alter table stock_movements_default enable row level security;
alter table stock_movements_default force row level security;
select platform.ensure_month_partition('reservations', (now() + make_interval(months => m))::date),
       platform.ensure_month_partition('stock_movements', (now() + make_interval(months => m))::date)
  from generate_series(0, 2) m;
