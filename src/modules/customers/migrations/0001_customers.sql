-- email is folded (trimmed, lower case) by the code; collation C makes a prefix a range.
create table customers (
  tenant_id  uuid        not null,
  id         uuid        not null,
  email      text collate "C" not null check (length(email) between 3 and 254 and email like '%_@_%'),
  name       text,
  phone      text,
  locale     text,
  is_guest   boolean     not null,
  metadata   jsonb       not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  version    integer     not null default 1 check (version > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, email)
);
select platform.protect_tenant_table('customers');

create table customer_addresses (
  tenant_id           uuid        not null,
  id                  uuid        not null,
  customer_id         uuid        not null,
  name                text        not null,
  company             text,
  line1               text        not null,
  line2               text,
  city                text        not null,
  region              text,
  postal_code         text        not null,
  country_code        text        not null check (country_code ~ '^[A-Z]{2}$'),
  phone               text,
  is_default_shipping boolean     not null,
  is_default_billing  boolean     not null,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('customer_addresses');
create index customer_addresses_by_customer on customer_addresses (tenant_id, customer_id, id);
create unique index customer_addresses_default_shipping
  on customer_addresses (tenant_id, customer_id) where is_default_shipping;
create unique index customer_addresses_default_billing
  on customer_addresses (tenant_id, customer_id) where is_default_billing;

-- What a person agreed to is a history: rows are added, never changed. The newest of a purpose
-- holds. Deleting is left to the erasure of the customer.
create table customer_consents (
  tenant_id   uuid        not null,
  customer_id uuid        not null,
  id          uuid        not null,
  purpose     text        not null check (purpose ~ '^[a-z0-9_.]{1,100}$'),
  state       text        not null check (state in ('granted', 'withdrawn')),
  source      text        not null check (length(source) between 1 and 200),
  at          timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('customer_consents');
revoke update on customer_consents from brandos_app;
create index customer_consents_by_customer
  on customer_consents (tenant_id, customer_id, purpose, at, id);
