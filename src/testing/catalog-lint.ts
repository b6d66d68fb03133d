import { roleNames } from "../platform/db/roles.ts";

/** Runs a query as the owner. @returns the rows */
export type Look = <Row>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

interface CatalogRule {
  /** What is wrong with what the query finds. */
  readonly offence: string;
  /** Finds `object` names that break the rule; `$1` are the schemas, `$2` app role, `$3` platform role. */
  readonly query: string;
}

/** Tables with a tenant column that the application role may touch; partitions go by their parent. */
const tenantTables = `
  select c.oid, c.oid::regclass::text as object, c.relrowsecurity, c.relforcerowsecurity
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
  where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition
    and has_any_column_privilege($2::name, c.oid, 'select, insert, update, references')`;

const rules: readonly CatalogRule[] = [
  {
    offence: "a tenant table without forced row-level security",
    query: `select object from (${tenantTables}) t
      where not (relrowsecurity and relforcerowsecurity)`,
  },
  {
    offence: "a tenant table without a policy that binds it to the current tenant",
    query: `select object from (${tenantTables}) t where not exists (
      select 1 from pg_policy p where p.polrelid = t.oid and p.polpermissive and p.polcmd = '*'
        and p.polroles = '{0}' and pg_get_expr(p.polqual, p.polrelid) like '%tenant_id = %current_tenant()%')`,
  },
  {
    offence: "a policy that lets others than the platform role see every tenant",
    query: `select t.object || ': ' || p.polname as object from (${tenantTables}) t
      join pg_policy p on p.polrelid = t.oid
      where p.polpermissive and p.polroles <> array[(select oid from pg_roles where rolname = $3)]
        and (pg_get_expr(p.polqual, p.polrelid) not like '%current_tenant()%'
          or pg_get_expr(p.polwithcheck, p.polrelid) not like '%current_tenant()%')`,
  },
  {
    offence: "a key that does not begin with tenant_id: keys ignore row-level security",
    query: `select i.indexrelid::regclass::text as object from (${tenantTables}) t
      join pg_index i on i.indrelid = t.oid and (i.indisunique or i.indisexclusion)
      where (select attname from pg_attribute where attrelid = t.oid and attnum = i.indkey[0])
        is distinct from 'tenant_id'`,
  },
  {
    offence: "a foreign key that does not begin with tenant_id on both sides",
    query: `select t.object || ': ' || k.conname as object from (${tenantTables}) t
      join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
      where (select attname from pg_attribute where attrelid = k.conrelid and attnum = k.conkey[1])
          is distinct from 'tenant_id'
        or (select attname from pg_attribute where attrelid = k.confrelid and attnum = k.confkey[1])
          is distinct from 'tenant_id'`,
  },
  {
    offence: "a tenant column that may be null",
    query: `select t.object from (${tenantTables}) t join pg_attribute a on a.attrelid = t.oid
      where a.attname = 'tenant_id' and not a.attnotnull`,
  },
  {
    offence: "a business table without a tenant column",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any($1) and n.nspname not in ('platform', 'control')
        and c.relkind in ('r', 'p') and not exists (
          select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')`,
  },
  {
    offence: "a partition that can be reached past its parent's policies",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace, unnest(array[$2, $3]::name[]) role
      where n.nspname = any($1) and c.relispartition and c.relkind in ('r', 'p')
        and has_any_column_privilege(role, c.oid, 'select, insert, update, references')`,
  },
  {
    offence: "a function that runs with its owner's rights",
    query: `select p.oid::regprocedure::text as object from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1) and p.prosecdef`,
  },
  {
    offence: "a materialised view: it shows every tenant",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace where n.nspname = any($1) and c.relkind = 'm'`,
  },
  {
    offence: "a view without security_invoker: it reads as its owner",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any($1) and c.relkind = 'v'
        and not coalesce('security_invoker=true' = any(c.reloptions)
          or 'security_invoker=on' = any(c.reloptions), false)`,
  },
  {
    offence: "a working role that row-level security does not bind, or that may make roles",
    query: `select rolname::text as object from pg_roles where rolname in ($2, $3)
      and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)`,
  },
  {
    offence: "a working role that is a member of another role",
    query: `select r.rolname || ' in ' || m.roleid::regrole as object from pg_auth_members m
      join pg_roles r on r.oid = m.member
      where r.rolname in ($2, $3)`,
  },
  {
    offence: "a working role that owns something",
    query: `select o.object from (
        select relowner as owner, oid::regclass::text as object from pg_class
        union all select proowner, oid::regprocedure::text from pg_proc
        union all select nspowner, nspname::text from pg_namespace
        union all select datdba, datname::text from pg_database) o
      join pg_roles r on r.oid = o.owner
      where r.rolname in ($2, $3)`,
  },
  {
    offence:
      "a working role that may truncate, trigger or reference: none obeys row-level security",
    query: `select role || ' on ' || c.oid::regclass as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace, unnest(array[$2, $3]::name[]) role
      where n.nspname = any($1) and c.relkind in ('r', 'p', 'v')
        and has_table_privilege(role, c.oid, 'truncate, trigger, references')`,
  },
  {
    offence: "a working role that may create in a schema",
    query: `select role || ' in ' || n.nspname as object from pg_namespace n,
        unnest(array[$2, $3]::name[]) role
      where n.nspname = any($1 || '{public}'::text[]) and has_schema_privilege(role, n.oid, 'create')`,
  },
  {
    offence: "the platform role may touch a business table",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any($1) and n.nspname not in ('platform', 'control')
        and c.relkind in ('r', 'p', 'v')
        and has_any_column_privilege($3::name, c.oid, 'select, insert, update, references')`,
  },
  {
    offence: "the application role may touch the control schema",
    query: `select c.oid::regclass::text as object from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'control' and n.nspname = any($1) and c.relkind in ('r', 'p', 'v')
        and has_schema_privilege($2::name, n.oid, 'usage')
        and has_any_column_privilege($2::name, c.oid, 'select, insert, update, references')`,
  },
];

/**
 * Looks in the catalog for anything by which a tenant could reach another's rows.
 *
 * @param schemas those to look at: `platform`, `control` and the tenants' schemas
 * @returns one line per offence, sorted; empty when all is well
 * @see https://www.postgresql.org/docs/current/ddl-rowsecurity.html for what RLS does not cover
 */
export async function lintCatalog(look: Look, schemas: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const { offence, query } of rules) {
    const values = [schemas, roleNames.app, roleNames.platform];
    const rows = await look<{ readonly object: string }>(withEveryParameter(query), values);
    found.push(...rows.map(({ object }) => `${object}: ${offence}`));
  }
  return [...new Set(found)].sort();
}

/** A rule need not use all three; the protocol wants them all used. */
function withEveryParameter(query: string): string {
  return `select found.object from (${query}) found
    where num_nonnulls($1::text[], $2::name, $3::name) = 3`;
}
