-- A number for each thing of a tenant that is kept in memory: its writers raise it in their
-- transaction, its readers read it in theirs.
create table data_versions (
  tenant_id uuid   not null,
  name      text   not null check (length(name) between 1 and 100),
  version   bigint not null check (version >= 0),
  primary key (tenant_id, name)
);
select platform.protect_tenant_table('data_versions');
