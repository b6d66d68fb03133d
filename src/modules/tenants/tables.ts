import type pg from "pg";

/** A table that holds rows of tenants, in one database. */
export interface TenantTable {
  readonly schema: string;
  readonly name: string;
  /** Quoted, for statements. */
  readonly identifier: string;
  /** Whether the role that asks may read it. */
  readonly readable: boolean;
  /** Tables that must be emptied first, as identifiers: they refer to this one. */
  readonly referencedBy: readonly string[];
}

/**
 * Every table with a column `tenant_id` in the tenant's schema and in schema platform, partitions
 * left to their parents. Asked of the catalog, so that a new table cannot be forgotten.
 */
export const tenantTablesSql = `
  select n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as identifier,
    has_table_privilege(c.oid, 'select') as readable,
    coalesce((select array_agg(distinct format('%I.%I', rn.nspname, r.relname))
      from pg_constraint f
      join pg_class r on r.oid = f.conrelid join pg_namespace rn on rn.oid = r.relnamespace
      where f.contype = 'f' and f.confrelid = c.oid and f.conrelid <> c.oid
        and not r.relispartition), '{}') as "referencedBy"
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition
    and exists (select from pg_attribute a
      where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
  order by 1, 2`;

/** Lists the tables of a tenant's placement. */
export async function tenantTables(client: pg.Client, schema: string): Promise<TenantTable[]> {
  const { rows } = await client.query(tenantTablesSql, [[schema, "platform"]]);
  return rows;
}

/** Orders tables so that whoever refers comes before what it refers to; cycles stay together. */
export function inErasureOrder(tables: readonly TenantTable[]): TenantTable[] {
  const byName = new Map(tables.map((table) => [table.identifier, table]));
  const ordered = new Set<TenantTable>();
  const visiting = new Set<TenantTable>();
  const visit = (table: TenantTable): void => {
    if (ordered.has(table) || visiting.has(table)) return;
    visiting.add(table);
    for (const name of table.referencedBy) {
      const dependent = byName.get(name);
      if (dependent) visit(dependent);
    }
    ordered.add(table);
  };
  for (const table of tables) visit(table);
  return [...ordered];
}
