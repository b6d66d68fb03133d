-- used_count is moved only under the row's lock; the checks hold the limits even against a bug.
create table promotions (
  tenant_id                uuid        not null,
  id                       uuid        not null,
  name                     text        not null check (length(name) between 1 and 200),
  status                   text        not null check (status in ('active', 'disabled')),
  trigger                  text        not null check (trigger in ('automatic', 'code')),
  priority                 integer     not null,
  stacking                 text        not null check (stacking in ('combinable', 'exclusive')),
  stacking_group           text,
  action                   jsonb       not null check (jsonb_typeof(action) = 'object'),
  conditions               jsonb       not null check (jsonb_typeof(conditions) = 'object'),
  starts_at                timestamptz,
  ends_at                  timestamptz,
  usage_limit              integer     check (usage_limit > 0),
  usage_limit_per_customer integer     check (usage_limit_per_customer > 0),
  used_count               integer     not null default 0 check (used_count >= 0),
  version                  integer     not null default 1 check (version > 0),
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),
  primary key (tenant_id, id),
  check (used_count <= usage_limit),
  check (starts_at < ends_at)
);
select platform.protect_tenant_table('promotions');
create index promotions_automatic on promotions (tenant_id, priority, id)
  where status = 'active' and trigger = 'automatic';

-- code is folded to upper case by the code.
create table coupons (
  tenant_id    uuid        not null,
  id           uuid        not null,
  promotion_id uuid        not null,
  code         text        not null check (code ~ '^[A-Z0-9][A-Z0-9_.-]{0,63}$'),
  status       text        not null check (status in ('active', 'disabled')),
  usage_limit  integer     check (usage_limit > 0),
  used_count   integer     not null default 0 check (used_count >= 0),
  version      integer     not null default 1 check (version > 0),
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, code),
  foreign key (tenant_id, promotion_id) references promotions (tenant_id, id),
  check (used_count <= usage_limit)
);
select platform.protect_tenant_table('coupons');
create index coupons_by_promotion on coupons (tenant_id, promotion_id, id);

-- One row per order and promotion; a cancelled order gives its use back by releasing the row.
create table promotion_redemptions (
  tenant_id    uuid        not null,
  order_id     uuid        not null,
  promotion_id uuid        not null,
  coupon_id    uuid,
  customer_id  uuid,
  redeemed_at  timestamptz not null default now(),
  released_at  timestamptz,
  primary key (tenant_id, order_id, promotion_id),
  foreign key (tenant_id, promotion_id) references promotions (tenant_id, id),
  foreign key (tenant_id, coupon_id) references coupons (tenant_id, id)
);
select platform.protect_tenant_table('promotion_redemptions');
create index promotion_redemptions_by_customer
  on promotion_redemptions (tenant_id, promotion_id, customer_id) where released_at is null;
create index promotion_redemptions_by_coupon
  on promotion_redemptions (tenant_id, coupon_id) where coupon_id is not null;
