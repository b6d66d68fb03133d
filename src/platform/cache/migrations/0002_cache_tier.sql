-- The shared tier of caches, where no Redis is. Unlogged: after a crash of the server it is empty, and
-- whatever was in it is loaded again. Keys carry the tenant; no tenant's role may look.
create unlogged table cache_entries (
  key text collate "C" primary key check (length(key) between 1 and 512),
  -- Null while it is only being loaded.
  value bytea,
  expires_at timestamptz not null,
  -- The right to load it, for one process.
  claim uuid,
  claim_expires_at timestamptz not null default '-infinity'
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1);
revoke all on cache_entries from brandos_app;

-- Epochs of tags. A tag that was forgotten begins again at the clock, in microseconds: above whatever it had.
create unlogged table cache_tags (
  tag text collate "C" primary key check (length(tag) between 1 and 600),
  epoch bigint not null
) with (fillfactor = 70);
revoke all on cache_tags from brandos_app;

-- What changed, for the caches of all nodes: written in the transaction of the change, read by every
-- node along (horizon, position) as the event log is.
create sequence cache_invalidations_position;
create table cache_invalidations (
  tenant_id uuid not null,
  horizon bigint not null default platform.event_horizon(),
  position bigint not null default nextval('platform.cache_invalidations_position'),
  cache text not null check (length(cache) between 1 and 100),
  -- Arrays of texts; neither: everything of the tenant.
  keys json,
  tags json,
  -- Where the truth stands since.
  truth double precision,
  recorded_at timestamptz not null default clock_timestamp()
);
create index cache_invalidations_reader on cache_invalidations (horizon, position);
select platform.protect_platform_table('cache_invalidations');
revoke select, update, delete on cache_invalidations from brandos_app;
revoke update on cache_invalidations from brandos_platform;

-- Everything below it was deleted: who had not read that far has missed something.
create table cache_invalidations_deleted (
  singleton boolean primary key default true check (singleton),
  below bigint not null default 0
);
insert into cache_invalidations_deleted default values;
revoke all on cache_invalidations_deleted from brandos_app;
