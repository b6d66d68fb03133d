import type { TenantId } from "../../kernel/ids.ts";
import type { TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";

/** How often something of a tenant was written, as one transaction sees it; 0 before the first time. */
export type Versions = (name: string) => number;

/** Reads all versions of the tenant, in one statement; send it with the first ones of the transaction. */
export async function readVersions(tx: TenantTx): Promise<Versions> {
  const rows = await tx.rows<{ name: string; version: number }>(sql("versions.read")`
    select name, version from data_versions where tenant_id = ${tx.tenantId}`);
  return (name) => rows.find((row) => row.name === name)?.version ?? 0;
}

/** Raises a version with the commit. Every transaction that changes what `name` stands for does. */
export function raiseVersion(tx: TenantTx, name: string): void {
  tx.write(sql("versions.raise")`
    insert into data_versions as v (tenant_id, name, version) values (${tx.tenantId}, ${name}, 1)
    on conflict (tenant_id, name) do update set version = v.version + 1`);
}

/**
 * Locks a version until the transaction ends: one writer at a time, so that what is read next stays
 * true while it is decided upon.
 *
 * @returns the version there will be once {@link raiseVersion} is committed
 */
export async function lockVersion(tx: TenantTx, name: string): Promise<number> {
  tx.write(sql("versions.begin")`
    insert into data_versions (tenant_id, name, version) values (${tx.tenantId}, ${name}, 0)
    on conflict (tenant_id, name) do nothing`);
  const { version } = await tx.one<{ version: number }>(sql("versions.lock")`
    select version from data_versions
    where tenant_id = ${tx.tenantId} and name = ${name} for update`);
  return version + 1;
}

/** What is kept in memory, and how. */
export interface KeptConfig<Value> {
  /** The version that its writers raise. */
  readonly name: string;
  /** Loads it in the caller's transaction. */
  readonly load: (tx: TenantTx) => Promise<Value>;
  /** Tenants it is kept of, the ones used last; 1,000 when left out. */
  readonly tenantsMax?: number;
}

/** Gives what is kept in memory, loaded first when the transaction's version is another. */
export type Kept<Value> = (tx: TenantTx, versions: Versions) => Promise<Value>;

/**
 * Keeps one value per tenant in memory for as long as its version stands. Nobody sees a value older
 * than a write the transaction can see: the version is read in the caller's transaction, and before
 * the value it vouches for. Not for a transaction that has itself written the value: what it sees may
 * never be committed.
 */
export function keepByVersion<Value>({
  name,
  load,
  tenantsMax = 1_000,
}: KeptConfig<Value>): Kept<Value> {
  const kept = new Map<TenantId, { readonly version: number; readonly value: Value }>();
  return async (tx, versions) => {
    const version = versions(name);
    const known = kept.get(tx.tenantId);
    if (known?.version === version) return known.value;
    const value = await load(tx);
    // A transaction that began before the last write must not bring back what it still sees.
    if ((kept.get(tx.tenantId)?.version ?? -1) > version) return value;
    kept.delete(tx.tenantId);
    kept.set(tx.tenantId, { version, value });
    const [oldest] = kept.keys();
    if (kept.size > tenantsMax && oldest !== undefined) kept.delete(oldest);
    return value;
  };
}
