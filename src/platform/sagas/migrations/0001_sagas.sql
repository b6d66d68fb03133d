-- Sagas: durable functions. One row a run; its steps are part of the row, so that a step's record,
-- the check of the fencing token and the end of the run are one write.
create table sagas (
  tenant_id uuid not null,
  id uuid not null,
  name text not null,
  version smallint not null check (version > 0),
  status text not null check (status in ('running', 'compensating', 'completed', 'compensated', 'stuck')),
  -- fencing token: grows with every change of holder
  token integer not null default 1,
  holder uuid,
  -- from when on any node may take the run: the end of the lease, or the time of the next try
  due_at timestamptz not null,
  -- when the run as a whole times out
  deadline_at timestamptz not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  input jsonb not null,
  -- step name -> record; see saga.ts
  steps jsonb not null default '{}',
  output jsonb,
  failure jsonb,
  -- request id, actor and trace context of whoever started it
  origin jsonb not null,
  primary key (tenant_id, id)
) partition by range (id);

create index sagas_due on sagas (due_at) where status in ('running', 'compensating');
create index sagas_stuck on sagas (tenant_id, id) where status = 'stuck';
select platform.protect_platform_table('sagas');

create table sagas_default partition of sagas default;
revoke all on sagas_default from brandos_app, brandos_platform;
alter table sagas_default enable row level security;
alter table sagas_default force row level security;
select platform.ensure_month_partition('sagas', current_date);
select platform.ensure_month_partition('sagas', (current_date + interval '1 month')::date);
select platform.ensure_month_partition('sagas', (current_date + interval '2 months')::date);
