-- The double-entry ledger. Amounts are signed minor units: a debit is positive, a credit negative.
-- Journals and entries are only ever added; nothing here is updated by a posting, so postings never
-- wait for each other. The exception is an account with a floor (a wallet): decided under its lock.

create table ledger_accounts (
  tenant_id uuid not null,
  code text not null check (code ~ '^[a-z][a-z0-9_.:-]{0,119}$'),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  kind text not null check (kind in ('asset', 'liability', 'equity', 'income', 'expense')),
  -- Lowest balance in the account's normal sense (debit for assets and expenses, credit for the
  -- rest), holds deducted; null: no limit, and no lock either.
  floor_minor bigint,
  -- Counts the decisions taken under the row's lock, so that REPEATABLE READ notices a rival.
  version bigint not null default 0,
  created_at timestamptz not null default now(),
  primary key (tenant_id, code, currency)
);
select platform.protect_tenant_table('ledger_accounts');
revoke delete on ledger_accounts from brandos_app;

create table ledger_journals (
  tenant_id uuid not null,
  id uuid not null,
  -- First 128 bits of the SHA-256 of what was posted: tells a repeat from another content.
  content uuid not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  kind text not null,
  reference text,
  description text not null,
  -- Which request posted it; leads to the actor in the event log.
  request_id text not null,
  primary key (tenant_id, id)
) partition by range (id);
create index ledger_journals_reference on ledger_journals (tenant_id, reference, id);
select platform.protect_tenant_table('ledger_journals');

create table ledger_entries (
  tenant_id uuid not null,
  journal_id uuid not null,
  amount_minor bigint not null constraint ledger_entries_amount check (amount_minor <> 0),
  -- Epoch and transaction order, as in the event log: what sorts below the log's watermark is
  -- complete for ever.
  horizon bigint not null default platform.event_horizon(),
  line smallint not null,
  account text not null,
  currency text not null,
  primary key (tenant_id, journal_id, line)
) partition by range (journal_id);
-- Statements of an account.
create index ledger_entries_account
  on ledger_entries (tenant_id, account, currency, journal_id, line);
-- Closings, seals, and the entries after the last closing.
create index ledger_entries_horizon on ledger_entries (tenant_id, horizon);
select platform.protect_tenant_table('ledger_entries');

-- Part of a floored account's balance that is promised to somebody.
create table ledger_holds (
  tenant_id uuid not null,
  id uuid not null,
  account text not null,
  currency text not null,
  amount_minor bigint not null check (amount_minor > 0),
  -- What journals have taken out of it so far.
  posted_minor bigint not null default 0,
  state text not null default 'active' check (state in ('active', 'posted', 'released')),
  reference text,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, account, currency) references ledger_accounts,
  constraint ledger_holds_posted check (posted_minor between 0 and amount_minor)
);
create index ledger_holds_active on ledger_holds (tenant_id, account, currency)
  where state = 'active';
select platform.protect_tenant_table('ledger_holds');
revoke delete on ledger_holds from brandos_app;

-- Up to where a tenant's balances are summed up: every transaction below the horizon is over, so
-- no entry can appear below it any more. Derived: deleting it costs time, never correctness.
create table ledger_closings (
  tenant_id uuid not null primary key,
  horizon bigint not null,
  closed_at timestamptz not null default now()
);
select platform.protect_tenant_table('ledger_closings');

create table ledger_balances (
  tenant_id uuid not null,
  account text not null,
  currency text not null,
  balance_minor bigint not null,
  debit_minor bigint not null,
  credit_minor bigint not null,
  entries bigint not null,
  primary key (tenant_id, account, currency)
);
select platform.protect_tenant_table('ledger_balances');

-- Hash chain over entries and their journals, in order of (horizon, journal, line).
create table ledger_seals (
  tenant_id uuid not null,
  number bigint not null,
  -- Seals the entries low <= horizon < high.
  low bigint not null,
  high bigint not null,
  entries bigint not null,
  previous bytea not null,
  hash bytea not null,
  sealed_at timestamptz not null default now(),
  primary key (tenant_id, number),
  check (low < high)
);
select platform.protect_tenant_table('ledger_seals');

-- Balance of one account: what was closed, and what came since. The upper bound says nothing new; it
-- tells the planner that the range is a short one, whatever the horizon will be. (A coalesce around the
-- sub-select would keep the condition out of the index: row-level security takes it for leaky.)
create function ledger_balance(tenant uuid, code text, unit text) returns bigint
  language sql stable
begin atomic
  select (
    coalesce((select b.balance_minor from ledger_balances b
              where b.tenant_id = tenant and b.account = code and b.currency = unit), 0)
    + coalesce((select sum(e.amount_minor) from ledger_entries e
                where e.tenant_id = tenant and e.account = code and e.currency = unit
                  and e.horizon >= (select coalesce(max(horizon), 0) from ledger_closings
                                    where tenant_id = tenant)
                  and e.horizon <= (select 9223372036854775807)), 0)
  )::bigint;
end;

-- Link of the hash chain over the entries low <= horizon < high and their journals.
create function ledger_link(tenant uuid, low bigint, high bigint, previous bytea,
    out entries bigint, out hash bytea)
  language sql stable
begin atomic
  select count(*), sha256(previous || convert_to(coalesce(string_agg(
      jsonb_build_array(e.horizon, e.journal_id, e.line, e.account, e.currency, e.amount_minor,
        j.kind, j.reference, j.description, (extract(epoch from j.occurred_at) * 1000000)::bigint,
        j.request_id)::text, E'\n' order by e.horizon, e.journal_id, e.line), ''), 'UTF8'))
  from ledger_entries e
  left join ledger_journals j on j.tenant_id = e.tenant_id and j.id = e.journal_id
  where e.tenant_id = tenant and e.horizon >= low and e.horizon < high;
end;

-- Decides under the account's lock whether it keeps above its floor, active holds deducted.
create function ledger_guard_floor(tenant uuid, code text, unit text) returns void
  language plpgsql set search_path from current as $$
declare
  guarded ledger_accounts;
  held bigint;
  normal bigint;
begin
  update ledger_accounts a set version = a.version + 1
    where a.tenant_id = tenant and a.code = ledger_guard_floor.code and a.currency = unit
      and a.floor_minor is not null
    returning * into guarded;
  if not found then return; end if;
  normal := ledger_balance(tenant, code, unit)
    * case when guarded.kind in ('asset', 'expense') then 1 else -1 end;
  select coalesce(sum(h.amount_minor - h.posted_minor), 0) into held from ledger_holds h
    where h.tenant_id = tenant and h.account = code and h.currency = unit and h.state = 'active';
  if normal - held < guarded.floor_minor then
    raise exception 'account % would fall to % %, below its floor of %',
        code, normal - held, unit, guarded.floor_minor
      using errcode = 'check_violation', constraint = 'ledger_accounts_floor';
  end if;
end $$;

-- Every statement's entries sum to zero per journal and currency, so every journal does, always.
-- Set-based: one pass over the added rows, not one call per row. It also stands for the foreign
-- key to the accounts, which would lock the account's row for every entry.
create function ledger_check_entries() returns trigger
  language plpgsql set search_path from current as $$
declare
  wrong record;
  touched record;
begin
  select journal_id, currency, sum(amount_minor) as difference into wrong from added
    group by tenant_id, journal_id, currency having sum(amount_minor) <> 0 limit 1;
  if found then
    raise exception 'journal % is off by % %', wrong.journal_id, wrong.difference, wrong.currency
      using errcode = 'check_violation', constraint = 'ledger_entries_balanced';
  end if;
  for touched in
    select s.tenant_id, s.account, s.currency, a.code, a.floor_minor
    from (select tenant_id, account, currency from added group by 1, 2, 3) s
    left join lateral (
      select k.code, k.floor_minor from ledger_accounts k
      where k.tenant_id = s.tenant_id and k.code = s.account and k.currency = s.currency limit 1
    ) a on true
    where a.code is null or a.floor_minor is not null
    order by s.account, s.currency
  loop
    if touched.code is null then
      raise exception 'there is no account % in %', touched.account, touched.currency
        using errcode = 'foreign_key_violation', constraint = 'ledger_entries_account_known';
    end if;
    perform ledger_guard_floor(touched.tenant_id, touched.account, touched.currency);
  end loop;
  return null;
end $$;

-- Refuses ids that are taken by another content; a repeat of the same content passes.
create function ledger_check_repeats(tenant uuid, ids uuid[], contents uuid[]) returns boolean
  language plpgsql volatile set search_path from current as $$
declare
  other uuid;
begin
  select g.id into other from unnest(ids, contents) g(id, content)
    where not exists (select 1 from ledger_journals j
      where j.tenant_id = tenant and j.id = g.id and j.content = g.content)
    limit 1;
  if found then
    raise exception 'journal % exists with another content', other
      using errcode = 'unique_violation', constraint = 'ledger_journals_content';
  end if;
  return true;
end $$;

create function ledger_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: post a reversing journal instead', tg_table_name
    using errcode = 'restrict_violation', constraint = 'ledger_append_only';
end $$;

-- Row triggers are inherited by every partition. Statement triggers are not, so each partition gets
-- its own (a later month from platform.ensure_month_partition): neither the owner nor a direct write
-- goes past them.
create function ledger_guard_table(target regclass) returns void
  language plpgsql set search_path from current as $$
begin
  execute format('create trigger no_truncate before truncate on %s
    for each statement execute function ledger_refuse_change()', target);
  if (select relname from pg_class where oid = target) like 'ledger\_entries%' then
    execute format('create trigger balanced after insert on %s referencing new table as added
      for each statement execute function ledger_check_entries()', target);
  end if;
end $$;

create trigger no_change before update or delete on ledger_journals
  for each row execute function ledger_refuse_change();
create trigger no_change before update or delete on ledger_entries
  for each row execute function ledger_refuse_change();
create trigger no_change before update or delete on ledger_seals
  for each row execute function ledger_refuse_change();
revoke update, delete on ledger_journals, ledger_entries, ledger_seals from brandos_app;

create table ledger_journals_default partition of ledger_journals default;
create table ledger_entries_default partition of ledger_entries default;
revoke all on ledger_journals_default, ledger_entries_default from brandos_app, brandos_platform;
alter table ledger_journals_default enable row level security;
alter table ledger_journals_default force row level security;
alter table ledger_entries_default enable row level security;
alter table ledger_entries_default force row level security;
select platform.ensure_month_partition('ledger_journals', (now() + make_interval(months => m))::date),
       platform.ensure_month_partition('ledger_entries', (now() + make_interval(months => m))::date)
  from generate_series(0, 2) m;

select ledger_guard_table('ledger_journals'), ledger_guard_table('ledger_entries'),
       ledger_guard_table('ledger_seals');
select ledger_guard_table(inhrelid::regclass) from pg_inherits
  where inhparent in ('ledger_journals'::regclass, 'ledger_entries'::regclass);
