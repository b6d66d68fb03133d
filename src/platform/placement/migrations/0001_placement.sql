-- The directory: which databases there are, and where each tenant's rows live. Schema control, so
-- only the platform role sees it.

create table databases (
  -- home, home/silo_acme (a database beside home on its server), eu1 (another cluster).
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,62}(/[a-z][a-z0-9_]{0,62})?$'),
  created_at timestamptz not null default now()
);

insert into databases (name) values ('home');

create table placements (
  tenant_id uuid primary key,
  style text not null check (style in ('pool', 'bridge', 'silo')),
  database text not null references databases (name),
  schema text not null check (schema ~ '^(shared|t_[a-z0-9_]{1,58})$'),
  -- Grows with each move; a writer that knows an older one is refused.
  epoch integer not null default 1 check (epoch > 0),
  -- preparing: schema or database under construction; erasing: rows going away. Neither is served.
  state text not null default 'preparing' check (state in ('preparing', 'active', 'erasing')),
  created_at timestamptz not null default now(),
  check ((style = 'bridge') = (schema <> 'shared'))
);

-- A bridge schema and a silo database belong to one tenant.
create unique index placements_bridge on placements (database, schema) where style = 'bridge';
create unique index placements_silo on placements (database) where style = 'silo';
