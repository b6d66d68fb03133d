-- Writes that were acknowledged and wait to be applied: one row per key, the last write wins. A row
-- stays when it was applied, so that revisions keep growing; one that nothing has been written to for a
-- day may go: new revisions begin at the clock, in microseconds, and so above every older one.
create table cache_writes (
  tenant_id uuid not null,
  cache text collate "C" not null check (length(cache) between 1 and 60),
  key text collate "C" not null check (length(key) between 1 and 1000),
  revision bigint not null,
  -- Null: does not exist any more, or was applied.
  value bytea,
  written_at timestamptz not null default now(),
  -- Null: was applied, or is parked.
  due_at timestamptz,
  attempts smallint not null default 0,
  -- Set together with a due_at of null: parked.
  error text,
  primary key (tenant_id, cache, key)
) with (fillfactor = 70);
create index cache_writes_due on cache_writes (cache, due_at) where due_at is not null;
create index cache_writes_parked on cache_writes (cache) where due_at is null and error is not null;
select platform.protect_platform_table('cache_writes');
