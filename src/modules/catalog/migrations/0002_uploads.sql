-- Files that are kept here first and imported by a job. upload_id names the request that may add to
-- the file; the one before it is refused from then on.
alter table catalog_imports
  add column upload_id uuid,
  add column failure text,
  drop constraint catalog_imports_status_check,
  drop constraint catalog_imports_check1,
  add constraint catalog_imports_status_check
    check (status in ('receiving', 'running', 'finished', 'failed')),
  add constraint catalog_imports_end_check
    check ((status in ('finished', 'failed')) = (finished_at is not null)),
  add constraint catalog_imports_failure_check check ((status = 'failed') = (failure is not null));

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
