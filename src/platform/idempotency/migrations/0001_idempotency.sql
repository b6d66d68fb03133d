-- Outcomes of requests that carried an Idempotency-Key, written in the transaction of the effect.
-- Unpartitioned: the primary key is what makes a key unique.
create table idempotency_keys (
  tenant_id uuid not null,
  -- Who sent it: the API key's lineage, so that a rotated key continues its predecessor's.
  principal text not null check (length(principal) between 1 and 200),
  -- Operation and step: 'POST /v1/orders#orders.place'.
  route text not null check (length(route) between 1 and 300),
  key text not null check (length(key) between 1 and 255),
  -- SHA-256 of what was asked.
  fingerprint bytea not null,
  -- The ok value as text, so that the order of its fields survives; see codec.ts.
  outcome text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, principal, route, key)
);

select platform.protect_platform_table('idempotency_keys');

-- For the purge. BRIN: rows arrive in order of time, and an insert pays next to nothing for it.
create index idempotency_keys_age on idempotency_keys using brin (created_at) with (pages_per_range = 16);

-- Called when a key was taken between its claim and its outcome: the unit of work runs again and
-- finds the other's outcome.
create function idempotency_conflict() returns text
  language plpgsql volatile as $$
begin
  raise exception 'idempotency key taken meanwhile' using errcode = '40001';
end $$;
