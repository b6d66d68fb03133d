-- How far each backfill has come, tenant by tenant; written in the transaction of each batch.
create table backfills (
  tenant_id uuid not null,
  name text not null check (length(name) between 1 and 100),
  -- Where the next batch begins; null before the first.
  position text,
  rows bigint not null default 0,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (tenant_id, name)
);
select platform.protect_platform_table('backfills');
