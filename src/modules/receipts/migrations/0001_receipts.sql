-- What the customer was told when the money was there; written once, never changed.
create table receipts (
  tenant_id  uuid        not null,
  order_id   uuid        not null,
  document   text        not null,
  issued_at  timestamptz not null default now(),
  primary key (tenant_id, order_id)
);
select platform.protect_tenant_table('receipts');
revoke update on receipts from brandos_app;
