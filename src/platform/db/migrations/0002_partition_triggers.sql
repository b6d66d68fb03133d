-- A new partition also gets the statement triggers of its parent. PostgreSQL clones row triggers by
-- itself, but a TRUNCATE or INSERT that names the partition directly would go past the others.
create or replace function ensure_month_partition(parent regclass, month date) returns boolean
  language plpgsql as $$
declare
  first date := date_trunc('month', month)::date;
  low timestamptz := first::timestamp at time zone 'UTC';
  high timestamptz := (first + interval '1 month')::timestamp at time zone 'UTC';
  home text := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.oid = parent);
  whole text := (select c.relname from pg_class c where c.oid = parent);
  name text := whole || to_char(first, '"_y"YYYY"m"MM');
  definition text;
begin
  if to_regclass(format('%I.%I', home, name)) is not null then return false; end if;
  execute format('create table %I.%I partition of %s for values from (%L) to (%L)',
    home, name, parent, platform.lowest_id_at(low), platform.lowest_id_at(high));
  execute format('revoke all on %I.%I from brandos_app, brandos_platform', home, name);
  execute format('alter table %I.%I enable row level security', home, name);
  execute format('alter table %I.%I force row level security', home, name);
  for definition in
    select pg_get_triggerdef(t.oid) from pg_trigger t
    where t.tgrelid = parent and not t.tgisinternal and (t.tgtype & 1) = 0
  loop
    execute replace(definition,
      format(' ON %I.%I ', home, whole), format(' ON %I.%I ', home, name));
  end loop;
  return true;
end $$;
