-- What every other migration builds on. Runs once per database, in schema platform.

-- The tenant a transaction acts for; null outside one. After SET LOCAL ends the setting is '' and
-- not null, hence nullif. Policies call it in a sub-select: evaluated once per statement.
create function current_tenant() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('app.tenant', true), '')::uuid;

-- Confines a table to the tenant of the transaction, for its owner as well.
create function protect_tenant_table(target regclass) returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant on %s using (tenant_id = (select platform.current_tenant()))', target);
end $$;

-- A table of the platform: tenants see their own rows, the platform role sees all.
create function protect_platform_table(target regclass) returns void
  language plpgsql as $$
begin
  perform platform.protect_tenant_table(target);
  execute format(
    'create policy platform on %s to brandos_platform using (true) with check (true)', target);
end $$;

-- The smallest UUIDv7 of a moment.
create function lowest_id_at(moment timestamptz) returns uuid
  language sql immutable parallel safe
  return (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0')
    || '70008000000000000000')::uuid;

-- Makes the partition of one month of a table that is partitioned by range of a UUIDv7, if it is
-- missing. Partitions are reached through their parent only: nobody is granted anything on them.
create function ensure_month_partition(parent regclass, month date) returns boolean
  language plpgsql as $$
declare
  first date := date_trunc('month', month)::date;
  low timestamptz := first::timestamp at time zone 'UTC';
  high timestamptz := (first + interval '1 month')::timestamp at time zone 'UTC';
  home text := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.oid = parent);
  name text := (select c.relname from pg_class c where c.oid = parent) || to_char(first, '"_y"YYYY"m"MM');
begin
  if to_regclass(format('%I.%I', home, name)) is not null then return false; end if;
  execute format('create table %I.%I partition of %s for values from (%L) to (%L)',
    home, name, parent, platform.lowest_id_at(low), platform.lowest_id_at(high));
  execute format('revoke all on %I.%I from brandos_app, brandos_platform', home, name);
  execute format('alter table %I.%I enable row level security', home, name);
  execute format('alter table %I.%I force row level security', home, name);
  return true;
end $$;
