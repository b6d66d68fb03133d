create table shipping_zones (
  tenant_id  uuid        not null,
  id         uuid        not null,
  name       text        not null check (length(name) between 1 and 200),
  areas      jsonb       not null check (jsonb_typeof(areas) = 'array'),
  version    integer     not null default 1 check (version > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('shipping_zones');

create table shipping_methods (
  tenant_id         uuid        not null,
  id                uuid        not null,
  name              text        not null check (length(name) between 1 and 200),
  description       text        not null default '',
  status            text        not null check (status in ('active', 'disabled')),
  tax_category      text,
  position          integer     not null default 0,
  delivery_days_min integer     check (delivery_days_min >= 0),
  delivery_days_max integer     check (delivery_days_max >= delivery_days_min),
  version           integer     not null default 1 check (version > 0),
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('shipping_methods');

-- What a method costs in a zone: at most one rate per zone and currency.
create table shipping_rates (
  tenant_id        uuid   not null,
  method_id        uuid   not null,
  zone_id          uuid   not null,
  currency         text   not null check (currency ~ '^[A-Z]{3}$'),
  price            jsonb  not null check (jsonb_typeof(price) = 'object'),
  free_above_minor bigint check (free_above_minor >= 0),
  primary key (tenant_id, method_id, zone_id, currency),
  foreign key (tenant_id, method_id) references shipping_methods (tenant_id, id) on delete cascade,
  foreign key (tenant_id, zone_id) references shipping_zones (tenant_id, id)
);
select platform.protect_tenant_table('shipping_rates');
create index shipping_rates_by_zone on shipping_rates (tenant_id, zone_id);
