-- The event log: outbox, audit trail and event store in one. Runs once per database.

-- Which life of the log this is. Transaction ids belong to one server: after a restore into another
-- server they start again, lower, and readers would take new events for old ones.
create table event_log (
  singleton boolean primary key default true check (singleton),
  epoch integer not null default 1 check (epoch between 1 and 511),
  -- pg_control_system().system_identifier of the server this epoch belongs to
  system_identifier bigint not null
);
insert into event_log (system_identifier) select system_identifier from pg_control_system();
revoke insert, update, delete on event_log from brandos_app;
revoke insert, delete on event_log from brandos_platform;

-- Order of an append: epoch in the upper 9 bits, below it a transaction id that is
--   not below the writer's own: while it runs, readers stop before it (they read below the oldest
--     running transaction), so that nothing committed late is ever skipped;
--   not below any transaction that had ended before the append: whoever waited for an aggregate's
--     row and appends after its previous writer also sorts after it, although its own
--     transaction id may be the older one.
-- Volatile on purpose: evaluated with the newest snapshot there is.
create function event_horizon() returns bigint
  language sql volatile parallel unsafe
begin atomic
  select (epoch::bigint << 44) + greatest(
    pg_current_xact_id()::text::bigint,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)
  from platform.event_log;
end;

-- Begins a new epoch if the database was moved to another server (restored from a dump there).
-- @returns the epoch
create function enter_event_epoch() returns integer
  language sql volatile
begin atomic
  update platform.event_log l set epoch = l.epoch + 1, system_identifier = s.system_identifier
    from pg_control_system() s where l.system_identifier <> s.system_identifier;
  select epoch from platform.event_log;
end;

-- Readers may read what sorts below this. Stable on purpose: it must not be newer than the snapshot
-- the rows are read with.
create function event_watermark() returns bigint
  language sql stable parallel unsafe
begin atomic
  select (epoch::bigint << 44) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint
  from platform.event_log;
end;

-- No cache: within one aggregate positions must ascend in the order of the appends.
create sequence events_position;

create table events (
  tenant_id uuid not null,
  -- UUIDv7 minted at append
  id uuid not null,
  horizon bigint not null default platform.event_horizon(),
  position bigint not null default nextval('platform.events_position'),
  -- logical partition: the unit of ordering and of parallel reading
  partition smallint not null generated always as ((hashtextextended(stream, 0) & 7)::smallint) stored,
  version smallint not null check (version > 0),
  stream_version integer,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  stream text not null check (length(stream) between 1 and 200),
  type text not null check (length(type) between 1 and 100),
  request_id text not null,
  data jsonb not null,
  -- actor, traceparent, causation
  metadata jsonb not null,
  primary key (tenant_id, id)
) partition by range (id);

create index events_reader on events (partition, horizon, position);
create index events_stream on events (tenant_id, stream, position);
create index events_request on events (tenant_id, request_id);

select platform.protect_platform_table('events');
revoke update, delete, truncate on events from brandos_app, brandos_platform;

create table events_default partition of events default;
revoke all on events_default from brandos_app, brandos_platform;
alter table events_default enable row level security;
alter table events_default force row level security;
select platform.ensure_month_partition('events', current_date);
select platform.ensure_month_partition('events', (current_date + interval '1 month')::date);
select platform.ensure_month_partition('events', (current_date + interval '2 months')::date);

create function refuse_event_change() returns trigger language plpgsql as $$
begin
  raise exception 'the event log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on events
  for each row execute function platform.refuse_event_change();
create trigger append_only_truncate before truncate on events
  for each statement execute function platform.refuse_event_change();

-- Current version of streams that are appended to with an expected version.
create table streams (
  tenant_id uuid not null,
  stream text not null,
  version integer not null check (version > 0),
  primary key (tenant_id, stream)
);
select platform.protect_platform_table('streams');

-- One row per subscription of this database.
create table subscriptions (
  name text primary key,
  paused boolean not null default false,
  created_at timestamptz not null default clock_timestamp()
);
revoke insert, update, delete on subscriptions from brandos_app;

-- How far a subscription has come in a logical partition, and which node reads it.
create table event_cursors (
  subscription text not null references subscriptions (name),
  partition smallint not null check (partition between 0 and 7),
  -- everything up to and including this place has taken effect
  horizon bigint not null,
  position bigint not null,
  holder uuid,
  -- fencing token: grows with every change of holder
  token bigint not null default 0,
  -- the lease, by the database's clock
  expires_at timestamptz not null default '-infinity',
  moved_at timestamptz not null default clock_timestamp(),
  primary key (subscription, partition)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
revoke insert, delete on event_cursors from brandos_app;

-- Moves cursors of partitions that are still held with their tokens; raises otherwise. Sent together
-- with the effects, it makes them and the checkpoint one.
create function advance_cursors(
  name text, node uuid, partitions smallint[], tokens bigint[], horizons bigint[], positions bigint[])
  returns void language plpgsql as $$
declare
  moved integer;
begin
  update platform.event_cursors c
    set horizon = n.horizon, position = n.position, moved_at = clock_timestamp()
    from unnest(partitions, tokens, horizons, positions) as n (partition, token, horizon, position)
    where c.subscription = name and c.partition = n.partition
      and c.holder = node and c.token = n.token
      and (n.horizon, n.position) >= (c.horizon, c.position);
  get diagnostics moved = row_count;
  if moved <> cardinality(partitions) then
    raise exception 'subscription % no longer holds its lease', name using errcode = 'BE001';
  end if;
end $$;

-- Nodes that run subscriptions: tells each its fair share of the partitions.
create table event_readers (
  node uuid primary key,
  subscriptions text[] not null,
  expires_at timestamptz not null
);
revoke all on event_readers from brandos_app;

-- Events a subscription could not handle, and those of the same stream that wait behind them.
create table event_dead_letters (
  tenant_id uuid not null,
  subscription text not null,
  event_id uuid not null,
  partition smallint not null,
  horizon bigint not null,
  position bigint not null,
  stream text not null,
  type text not null,
  state text not null check (state in ('dead', 'waiting', 'released', 'discarded')),
  attempts integer not null default 0,
  error text,
  parked_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, subscription, event_id)
);
create index event_dead_letters_order on event_dead_letters (subscription, partition, horizon, position);
create index event_dead_letters_released on event_dead_letters (subscription)
  where state in ('released', 'discarded');
select platform.protect_platform_table('event_dead_letters');
