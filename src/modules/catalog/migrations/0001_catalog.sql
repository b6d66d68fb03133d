-- One row per tenant. Every catalog write bumps it first and so holds its lock: a tenant has one
-- catalog writer at a time, and whoever caches quotes can ask whether they still hold.
create table catalog_versions (
  tenant_id uuid   primary key,
  version   bigint not null check (version > 0)
);
select platform.protect_tenant_table('catalog_versions');

create table collections (
  tenant_id   uuid        not null,
  id          uuid        not null,
  handle      text        not null check (handle ~ '^[^\s/]{1,200}$'),
  title       text        not null check (length(title) between 1 and 500),
  description text        not null default '',
  version     integer     not null check (version > 0),
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, handle)
);
select platform.protect_tenant_table('collections');

-- title_key is a column and not an index expression: lower() is not leakproof, so under row-level
-- security the planner would not look for it in an index. Collation C makes a prefix a range.
create table products (
  tenant_id    uuid        not null,
  id           uuid        not null,
  handle       text        not null check (handle ~ '^[^\s/]{1,200}$'),
  title        text        not null check (length(title) between 1 and 500),
  title_key    text collate "C" not null generated always as (lower(title)) stored,
  description  text        not null,
  status       text        not null check (status in ('draft', 'published', 'archived')),
  category     text,
  tax_category text        not null,
  options      jsonb       not null check (jsonb_typeof(options) = 'array'),
  media        jsonb       not null check (jsonb_typeof(media) = 'array'),
  metadata     jsonb       not null check (jsonb_typeof(metadata) = 'object'),
  version      integer     not null check (version > 0),
  published_at timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, handle),
  check (status <> 'published' or published_at is not null)
);
select platform.protect_tenant_table('products');
create index products_by_status on products (tenant_id, status, id);
create index products_by_title on products (tenant_id, title_key, id);

create table product_collections (
  tenant_id     uuid not null,
  product_id    uuid not null,
  collection_id uuid not null,
  primary key (tenant_id, product_id, collection_id),
  foreign key (tenant_id, product_id) references products (tenant_id, id) on delete cascade,
  foreign key (tenant_id, collection_id) references collections (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('product_collections');
create index product_collections_by_collection
  on product_collections (tenant_id, collection_id, product_id);

create table variants (
  tenant_id     uuid        not null,
  id            uuid        not null,
  product_id    uuid        not null,
  sku           text collate "C" not null check (length(sku) between 1 and 200),
  sku_key       text collate "C" not null generated always as (lower(sku)) stored,
  title         text        not null,
  option_values jsonb       not null check (jsonb_typeof(option_values) = 'object'),
  weight_grams  integer     not null check (weight_grams >= 0),
  backorder     boolean     not null,
  status        text        not null check (status in ('active', 'archived')),
  position      integer     not null check (position >= 0),
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, sku),
  foreign key (tenant_id, product_id) references products (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('variants');
create index variants_by_product on variants (tenant_id, product_id, position);
create index variants_by_sku_key on variants (tenant_id, sku_key);

-- Tier prices: the one with the greatest min_quantity not above the line's quantity counts.
create table variant_prices (
  tenant_id        uuid    not null,
  variant_id       uuid    not null,
  currency         text    not null check (currency ~ '^[A-Z]{3}$'),
  min_quantity     integer not null check (min_quantity > 0),
  amount_minor     bigint  not null check (amount_minor >= 0),
  compare_at_minor bigint  check (compare_at_minor >= 0),
  primary key (tenant_id, variant_id, currency, min_quantity),
  foreign key (tenant_id, variant_id) references variants (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('variant_prices');

-- The checkpoint of an import: written in the transaction of the rows it counts, so that a file
-- that is sent again goes on behind them. prefix_sha256 covers the raw rows up to the checkpoint.
create table catalog_imports (
  tenant_id     uuid        not null,
  id            uuid        not null,
  format        text        not null check (format in ('csv', 'jsonl')),
  status        text        not null check (status in ('receiving', 'running', 'finished', 'failed')),
  rows_done     bigint      not null default 0 check (rows_done >= 0),
  created       bigint      not null default 0 check (created >= 0),
  updated       bigint      not null default 0 check (updated >= 0),
  unchanged     bigint      not null default 0 check (unchanged >= 0),
  refused       bigint      not null default 0 check (refused >= 0),
  bytes_done    bigint      not null default 0 check (bytes_done >= 0),
  bytes_total   bigint      check (bytes_total >= 0),
  prefix_sha256 text        not null default '',
  started_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  finished_at   timestamptz,
  -- Names the request that may add to a file that is kept here; the one before it is refused.
  upload_id     uuid,
  failure       text,
  primary key (tenant_id, id),
  check (created + updated + unchanged + refused = rows_done),
  check ((status in ('finished', 'failed')) = (finished_at is not null)),
  check ((status = 'failed') = (failure is not null))
);
select platform.protect_tenant_table('catalog_imports');

create table catalog_import_refusals (
  tenant_id uuid   not null,
  import_id uuid   not null,
  row       bigint not null check (row > 0),
  line      bigint not null check (line > 0),
  field     text   not null,
  reason    text   not null,
  raw       text   not null,
  primary key (tenant_id, import_id, row),
  foreign key (tenant_id, import_id) references catalog_imports (tenant_id, id) on delete cascade
);
select platform.protect_tenant_table('catalog_import_refusals');
revoke update on catalog_import_refusals from brandos_app;

-- Files that are kept here first and imported by a job.
create table catalog_import_chunks (
  tenant_id uuid    not null,
  import_id uuid    not null,
  chunk     integer not null check (chunk >= 0),
  bytes     bytea   not null,
  primary key (tenant_id, import_id, chunk),
  foreign key (tenant_id, import_id) references catalog_imports (tenant_id, id) on delete cascade
);
-- A file is bytes already: compressing each chunk again costs more than it saves.
alter table catalog_import_chunks alter column bytes set storage external;
select platform.protect_tenant_table('catalog_import_chunks');
