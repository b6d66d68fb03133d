-- Who holds which lock. A row stays when its lock is given back, so that tokens keep growing; one
-- that nobody has had for a day may go: new tokens begin at the clock, in microseconds, and so above
-- every older one.
create table leases (
  name text collate "C" primary key check (length(name) between 1 and 200),
  -- One acquisition; null when it was given back.
  holder uuid,
  token bigint not null,
  expires_at timestamptz not null
) with (fillfactor = 70);
revoke all on leases from brandos_app;

-- The largest token that was admitted to something a lock protects.
create table fences (
  tenant_id uuid not null,
  resource text collate "C" not null check (length(resource) between 1 and 200),
  token bigint not null,
  primary key (tenant_id, resource)
) with (fillfactor = 70);
select platform.protect_platform_table('fences');
