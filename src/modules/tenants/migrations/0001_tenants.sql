-- The tenants of this deployment and their API keys. Schema control: the platform role only.

create table tenants (
  id uuid primary key,
  -- Names the shop in URLs and the schema or database of a bridge or silo tenant.
  slug text not null unique check (slug ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(slug) between 2 and 40),
  name text not null check (length(name) between 1 and 200),
  status text not null check (status in ('provisioning', 'active', 'suspended', 'erasing')),
  currencies text[] not null check (cardinality(currencies) between 1 and 50),
  default_currency text not null check (default_currency = any (currencies)),
  default_locale text not null check (length(default_locale) between 2 and 35),
  prices_include_tax boolean not null,
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  -- Grows with each change; callers send it back as If-Match.
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table api_keys (
  id uuid primary key,
  tenant_id uuid not null references tenants (id) on delete cascade,
  -- The first key of a chain of rotations: idempotency keys and audit entries follow it.
  lineage_id uuid not null,
  kind text not null check (kind in ('secret', 'publishable')),
  name text not null check (length(name) between 1 and 100),
  -- SHA-256 of the key, which has 256 random bits: nothing to guess, so no salt and no slow hash.
  hash bytea not null unique check (length(hash) = 32),
  -- Last four characters, to tell keys apart in a list.
  hint text not null check (length(hint) = 4),
  permissions text[] not null check (cardinality(permissions) <= 100),
  created_at timestamptz not null default now(),
  -- End of the overlap after a rotation, or a date the creator chose.
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_of_tenant on api_keys (tenant_id, id);

-- Who did what to which tenant. Rows are only added; they outlive the tenant.
create table tenant_log (
  id uuid primary key,
  tenant_id uuid not null,
  at timestamptz not null default now(),
  actor text not null,
  request_id text not null,
  action text not null,
  details jsonb not null default '{}'
);
create index tenant_log_of_tenant on tenant_log (tenant_id, id);
revoke update, delete, truncate on tenant_log from brandos_platform;
