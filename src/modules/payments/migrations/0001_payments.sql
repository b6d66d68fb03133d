-- One row per intent to take money for an order. Its id is made by the caller and is the idempotency
-- key at the provider; the row is committed before the provider is called, so it records the intent.
create table payments (
  tenant_id          uuid        not null,
  id                 uuid        not null,
  order_id           uuid        not null,
  attempt            smallint    not null default 1 check (attempt between 1 and 100),
  provider           text        not null check (provider ~ '^[a-z][a-z0-9_]{0,31}$'),
  capture_mode       text        not null check (capture_mode in ('automatic', 'manual')),
  status             text        not null check (status in (
    'created', 'requires_action', 'failed', 'authorised', 'voided',
    'partially_captured', 'captured', 'partially_refunded', 'refunded')),
  currency           char(3)     not null check (currency ~ '^[A-Z]{3}$'),
  amount_minor       bigint      not null check (amount_minor > 0),
  authorised_minor   bigint      not null default 0 check (authorised_minor >= 0),
  captured_minor     bigint      not null default 0 check (captured_minor >= 0),
  refunded_minor     bigint      not null default 0 check (refunded_minor >= 0),
  is_voided          boolean     not null default false,
  instrument_token   text        check (length(instrument_token) <= 200),
  instrument_brand   text        check (length(instrument_brand) <= 32),
  instrument_last4   text        check (instrument_last4 ~ '^[0-9]{4}$'),
  provider_reference text        check (length(provider_reference) <= 200),
  failure_code       text        check (length(failure_code) <= 100),
  next_action_url    text        check (length(next_action_url) <= 2000),
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  checked_at         timestamptz,
  version            integer     not null default 1,
  primary key (tenant_id, id),
  -- Two racing intents for one try of an order collide here.
  constraint payments_order_attempt unique (tenant_id, order_id, attempt),
  constraint payments_amounts check (
    refunded_minor <= captured_minor and captured_minor <= authorised_minor
    and authorised_minor <= amount_minor),
  constraint payments_unpaid_status check (
    (status in ('created', 'requires_action', 'failed')) = (authorised_minor = 0 and not is_voided)),
  constraint payments_paid_status check (
    (status in ('partially_captured', 'captured', 'partially_refunded', 'refunded'))
    = (captured_minor > 0)),
  constraint payments_refunded_status check (
    (status = 'refunded') = (captured_minor > 0 and refunded_minor = captured_minor)
    and (status = 'partially_refunded') = (refunded_minor > 0 and refunded_minor < captured_minor))
);
select platform.protect_tenant_table('payments');

-- What the sweeper asks the provider about: payments that wait for an outcome.
create index payments_waiting on payments (tenant_id, id)
  where status in ('created', 'requires_action')
    or (status = 'authorised' and capture_mode = 'automatic');

-- Captures, voids and refunds: the intent is committed before the provider is called, and its id is
-- the idempotency key there.
create table payment_operations (
  tenant_id          uuid        not null,
  id                 uuid        not null,
  payment_id         uuid        not null,
  kind               text        not null check (kind in ('capture', 'void', 'refund')),
  amount_minor       bigint      not null check (amount_minor >= 0 and (kind = 'void') = (amount_minor = 0)),
  status             text        not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
  basis              text        check (basis in ('return', 'cancellation', 'goodwill')),
  reason             text        check (length(reason) <= 500),
  provider_reference text        check (length(provider_reference) <= 200),
  failure_code       text        check (length(failure_code) <= 100),
  requested_at       timestamptz not null default now(),
  checked_at         timestamptz,
  settled_at         timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id),
  check ((kind = 'refund') = (basis is not null)),
  check ((status = 'pending') = (settled_at is null))
);
select platform.protect_tenant_table('payment_operations');
create index payment_operations_payment on payment_operations (tenant_id, payment_id);
create index payment_operations_pending on payment_operations (tenant_id, id) where status = 'pending';

-- What other modules may read about refunds.
create view refunds_view with (security_invoker = true) as
  select o.tenant_id, o.id, o.payment_id, p.order_id, o.amount_minor, p.currency, o.status, o.basis,
    o.reason, o.failure_code, o.requested_at, o.settled_at
  from payment_operations o
  join payments p on p.tenant_id = o.tenant_id and p.id = o.payment_id
  where o.kind = 'refund';

-- Every notice of a provider that was accepted, once. The body is not kept: its hash tells whether
-- the provider used one event id for two notices.
create table provider_events (
  tenant_id    uuid        not null,
  provider     text        not null,
  event_id     text        not null check (length(event_id) between 1 and 200),
  type         text        not null check (length(type) <= 100),
  payment_id   uuid        not null,
  body_sha256  text        not null check (length(body_sha256) = 64),
  processed_at timestamptz not null default now(),
  primary key (tenant_id, provider, event_id)
);
select platform.protect_tenant_table('provider_events');

-- What the machine cannot settle and a person has to look at.
create table payment_dead_letters (
  tenant_id   uuid        not null,
  id          uuid        not null,
  payment_id  uuid        not null,
  kind        text        not null check (kind in (
    'unknown_payment', 'contradiction', 'event_mismatch', 'unresolved', 'misconfigured')),
  detail      jsonb       not null,
  raised_at   timestamptz not null default now(),
  retries     integer     not null default 0,
  resolved_at timestamptz,
  resolution  text        check (length(resolution) <= 500),
  primary key (tenant_id, id),
  check ((resolved_at is null) = (resolution is null))
);
select platform.protect_tenant_table('payment_dead_letters');
-- One open letter per payment and trouble, however often it shows.
create unique index payment_dead_letters_open on payment_dead_letters (tenant_id, payment_id, kind)
  where resolved_at is null;
