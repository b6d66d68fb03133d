create table tax_categories (
  tenant_id  uuid        not null,
  code       text        not null check (code ~ '^[a-z0-9_.-]{1,60}$'),
  name       text        not null check (length(name) between 1 and 200),
  created_at timestamptz not null default now(),
  primary key (tenant_id, code)
);
select platform.protect_tenant_table('tax_categories');

create table tax_zones (
  tenant_id          uuid        not null,
  id                 uuid        not null,
  name               text        not null check (length(name) between 1 and 200),
  areas              jsonb       not null check (jsonb_typeof(areas) = 'array'),
  price_includes_tax boolean     not null,
  version            integer     not null default 1 check (version > 0),
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('tax_zones');

-- category null: the rate of every category of the zone that has none of its own.
create table tax_rates (
  tenant_id           uuid        not null,
  id                  uuid        not null,
  zone_id             uuid        not null,
  category            text,
  name                text        not null check (length(name) between 1 and 200),
  rate_bps            integer     not null check (rate_bps between 0 and 10000),
  is_compound         boolean     not null,
  applies_to_shipping boolean     not null,
  priority            integer     not null default 0,
  version             integer     not null default 1 check (version > 0),
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, zone_id) references tax_zones (tenant_id, id) on delete cascade,
  foreign key (tenant_id, category) references tax_categories (tenant_id, code)
);
select platform.protect_tenant_table('tax_rates');
create index tax_rates_by_zone on tax_rates (tenant_id, zone_id, priority, id);
create index tax_rates_by_category on tax_rates (tenant_id, category) where category is not null;
