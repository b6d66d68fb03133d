import type { Context } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { Tx } from "../../platform/db/db.ts";
import { fragment, type Statement, sql } from "../../platform/db/sql.ts";
import type {
  ApiKey,
  ApiKeyId,
  CreateApiKey,
  CreateTenant,
  Tenant,
  TenantLogEntry,
  TenantStatus,
} from "./contract.ts";

const tenantColumns = fragment`
  t.id, t.slug, t.name, t.status, t.currencies, t.default_currency as "defaultCurrency",
  t.default_locale as "defaultLocale", t.prices_include_tax as "pricesIncludeTax", t.settings,
  p.style, t.version, t.created_at as "createdAt"`;

/** One tenant by its id. */
export function selectTenant(id: TenantId): Statement {
  return sql("tenants.select")`
    select ${tenantColumns} from tenants t join placements p on p.tenant_id = t.id
    where t.id = ${id}`;
}

/** One tenant by its slug. */
export function selectTenantBySlug(slug: string): Statement {
  return sql("tenants.select_by_slug")`
    select ${tenantColumns} from tenants t join placements p on p.tenant_id = t.id
    where t.slug = ${slug}`;
}

/** Tenants after a slug, by slug. */
export function selectTenants(afterSlug: string, limit: number): Statement {
  return sql("tenants.list")`
    select ${tenantColumns} from tenants t join placements p on p.tenant_id = t.id
    where t.slug > ${afterSlug} order by t.slug limit ${limit}`;
}

/** Reads one tenant and locks it until the transaction ends. */
export async function lockTenant(tx: Tx, id: TenantId): Promise<Tenant | undefined> {
  return tx.maybe<Tenant>(sql("tenants.lock")`
    select ${tenantColumns} from tenants t join placements p on p.tenant_id = t.id
    where t.id = ${id} for update of t`);
}

/** Adds a tenant. @returns false when its id or slug is taken */
export async function insertTenant(
  tx: Tx,
  command: CreateTenant,
  status: TenantStatus,
): Promise<boolean> {
  const inserted = await tx.run(sql("tenants.insert")`
    insert into tenants (id, slug, name, status, currencies, default_currency, default_locale,
                         prices_include_tax, settings)
    values (${command.id}, ${command.slug}, ${command.name}, ${status},
            ${[...command.currencies]}::text[], ${command.defaultCurrency},
            ${command.defaultLocale}, ${command.pricesIncludeTax},
            ${JSON.stringify(command.settings ?? {})}::jsonb)
    on conflict do nothing`);
  return inserted === 1;
}

/** Writes a tenant that `lockTenant` returned; its version grows by one. */
export function updateTenant(tx: Tx, tenant: Tenant): void {
  tx.write(sql("tenants.update")`
    update tenants set name = ${tenant.name}, status = ${tenant.status},
      currencies = ${[...tenant.currencies]}::text[], default_currency = ${tenant.defaultCurrency},
      default_locale = ${tenant.defaultLocale}, prices_include_tax = ${tenant.pricesIncludeTax},
      settings = ${JSON.stringify(tenant.settings)}::jsonb, version = version + 1,
      updated_at = clock_timestamp()
    where id = ${tenant.id}`);
}

/** Takes a tenant and its keys out of the directory. */
export function deleteTenant(tx: Tx, id: TenantId): void {
  tx.write(sql("tenants.delete")`delete from tenants where id = ${id}`);
}

/** Takes away all keys of a tenant. */
export function deleteApiKeys(tx: Tx, id: TenantId): void {
  tx.write(sql("tenants.delete_keys")`delete from api_keys where tenant_id = ${id}`);
}

/** Records who did what. */
export function logTenantAction(
  tx: Tx,
  ctx: Context,
  entry: { readonly tenantId: TenantId; readonly action: string; readonly details?: JsonObject },
): void {
  const actor = `${ctx.actor.kind}:${ctx.actor.id}`;
  tx.write(sql("tenants.log")`
    insert into tenant_log (id, tenant_id, actor, request_id, action, details)
    values (${newId()}, ${entry.tenantId}, ${actor}, ${ctx.requestId}, ${entry.action},
            ${JSON.stringify(entry.details ?? {})}::jsonb)`);
}

/** What was done to a tenant, newest first. */
export function selectTenantLog(id: TenantId, limit: number): Statement {
  return sql("tenants.select_log")`
    select at, actor, request_id as "requestId", action, details from tenant_log
    where tenant_id = ${id} order by id desc limit ${limit}`;
}

export type { TenantLogEntry };

/** A key as it is stored. */
export interface ApiKeyRow {
  readonly id: ApiKeyId;
  readonly tenantId: TenantId;
  readonly lineageId: ApiKeyId;
  readonly kind: ApiKey["kind"];
  readonly name: string;
  readonly hint: string;
  readonly permissions: readonly string[];
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

const keyColumns = fragment`
  k.id, k.tenant_id as "tenantId", k.lineage_id as "lineageId", k.kind, k.name, k.hint,
  k.permissions, k.created_at as "createdAt", k.last_used_at as "lastUsedAt",
  k.expires_at as "expiresAt", k.revoked_at as "revokedAt"`;

/** A key with the status of its tenant, for the door. */
export interface KnownKeyRow extends ApiKeyRow {
  readonly status: TenantStatus;
}

/** The key with a hash. */
export function selectKeyByHash(hash: Buffer): Statement {
  return sql("tenants.key_by_hash")`
    select ${keyColumns}, t.status from api_keys k join tenants t on t.id = k.tenant_id
    where k.hash = ${hash}`;
}

/** Keys of a tenant after an id, oldest first. */
export function selectKeys(tenantId: TenantId, afterId: string, limit: number): Statement {
  return sql("tenants.keys")`
    select ${keyColumns} from api_keys k
    where k.tenant_id = ${tenantId} and k.id > ${afterId} order by k.id limit ${limit}`;
}

/** Reads one key of a tenant and locks it. */
export async function lockKey(
  tx: Tx,
  tenantId: TenantId,
  id: ApiKeyId,
): Promise<ApiKeyRow | undefined> {
  return tx.maybe<ApiKeyRow>(sql("tenants.lock_key")`
    select ${keyColumns} from api_keys k
    where k.tenant_id = ${tenantId} and k.id = ${id} for update`);
}

/** A key to be stored. */
export interface NewKeyRow extends CreateApiKey {
  readonly tenantId: TenantId;
  readonly lineageId: ApiKeyId;
  readonly hash: Buffer;
  readonly hint: string;
}

/** Adds a key. @returns undefined when its id is taken */
export async function insertKey(tx: Tx, key: NewKeyRow): Promise<ApiKeyRow | undefined> {
  return tx.maybe<ApiKeyRow>(sql("tenants.insert_key")`
    insert into api_keys as k (id, tenant_id, lineage_id, kind, name, hash, hint, permissions,
                               expires_at)
    values (${key.id}, ${key.tenantId}, ${key.lineageId}, ${key.kind}, ${key.name}, ${key.hash},
            ${key.hint}, ${[...key.permissions]}::text[], ${key.expiresAt ?? null})
    on conflict do nothing returning ${keyColumns}`);
}

/** A key that was used. */
export interface KeyUse {
  readonly keyId: string;
  readonly at: Date;
}

/** Notes when keys were used; an earlier use than the one known changes nothing. */
export async function updateKeyUses(tx: Tx, uses: readonly KeyUse[]): Promise<void> {
  const sorted = uses.toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1));
  tx.write(sql("tenants.key_uses")`
    update api_keys k set last_used_at = used.at
    from unnest(${sorted.map(({ keyId }) => keyId)}::uuid[],
      ${sorted.map(({ at }) => at.toISOString())}::timestamptz[]) as used (key_id, at)
    where k.id = used.key_id and (k.last_used_at is null or k.last_used_at < used.at)`);
}

/** Ends a key after an overlap, at once with 0. An earlier end stays. */
export async function endKey(tx: Tx, id: ApiKeyId, overlapMs: number): Promise<ApiKeyRow> {
  return tx.one<ApiKeyRow>(sql("tenants.end_key")`
    update api_keys k set
      expires_at = least(k.expires_at,
        clock_timestamp() + make_interval(secs => ${overlapMs} / 1000.0)),
      revoked_at = case when ${overlapMs} = 0 then clock_timestamp() else k.revoked_at end
    where k.id = ${id} returning ${keyColumns}`);
}
