import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, sql } from "../../platform/db/sql.ts";
import type { TaxCategory, TaxRate, TaxRateId, TaxTable, TaxZone, TaxZoneId } from "./contract.ts";

interface ZoneRow {
  readonly id: TaxZoneId;
  readonly name: string;
  readonly areas: TaxZone["areas"];
  readonly price_includes_tax: boolean;
  readonly version: number;
}

interface RateRow {
  readonly id: TaxRateId;
  readonly zone_id: TaxZoneId;
  readonly category: string | null;
  readonly name: string;
  readonly rate_bps: number;
  readonly is_compound: boolean;
  readonly applies_to_shipping: boolean;
  readonly priority: number;
  readonly version: number;
}

/** Name of the version that every change of what quotes need raises. */
export const taxVersion = "tax";

/** Loads all that quotes need, in one flight. */
export async function loadTax(tx: TenantTx): Promise<TaxTable> {
  const [zones, rates] = await Promise.all([listZones(tx), listRates(tx)]);
  return { zones, rates };
}

/** Lists a tenant's zones by id: at most taxZonesMax. */
export async function listZones(tx: TenantTx): Promise<readonly TaxZone[]> {
  const rows = await tx.rows<ZoneRow>(sql("tax.list_zones")`
    select id, name, areas, price_includes_tax, version from tax_zones
    where tenant_id = ${tx.tenantId} order by id`);
  return rows.map(toZone);
}

/** Lists a tenant's rates, of one zone or of all, in order of application. */
export async function listRates(
  tx: TenantTx,
  zoneId: TaxZoneId | null = null,
): Promise<readonly TaxRate[]> {
  const ofZone = zoneId === null ? fragment`` : fragment`and zone_id = ${zoneId}`;
  const rows = await tx.rows<RateRow>(sql("tax.list_rates")`
    select id, zone_id, category, name, rate_bps, is_compound, applies_to_shipping, priority,
      version
    from tax_rates where tenant_id = ${tx.tenantId} ${ofZone} order by zone_id, priority, id`);
  return rows.map(toRate);
}

/** Reads one zone; `lock` holds it until the transaction ends. */
export async function findZone(
  tx: TenantTx,
  id: TaxZoneId,
  lock = false,
): Promise<TaxZone | undefined> {
  const row = await tx.maybe<ZoneRow>(sql("tax.find_zone")`
    select id, name, areas, price_includes_tax, version from tax_zones
    where tenant_id = ${tx.tenantId} and id = ${id} ${lock ? fragment`for update` : fragment``}`);
  return row && toZone(row);
}

/** Reads one rate. */
export async function findRate(tx: TenantTx, id: TaxRateId): Promise<TaxRate | undefined> {
  const row = await tx.maybe<RateRow>(sql("tax.find_rate")`
    select id, zone_id, category, name, rate_bps, is_compound, applies_to_shipping, priority,
      version
    from tax_rates where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toRate(row);
}

/** Adds a zone unless its id is there. @returns whether it was added */
export async function insertZone(tx: TenantTx, zone: TaxZone): Promise<boolean> {
  const count = await tx.run(sql("tax.insert_zone")`
    insert into tax_zones (tenant_id, id, name, areas, price_includes_tax, version)
    values (${tx.tenantId}, ${zone.id}, ${zone.name}, ${JSON.stringify(zone.areas)}::jsonb,
      ${zone.priceIncludesTax}, ${zone.version})
    on conflict (tenant_id, id) do nothing`);
  return count === 1;
}

/** Writes a locked zone with the commit. */
export function updateZone(tx: TenantTx, zone: TaxZone): void {
  tx.write(sql("tax.update_zone")`
    update tax_zones set name = ${zone.name}, areas = ${JSON.stringify(zone.areas)}::jsonb,
      price_includes_tax = ${zone.priceIncludesTax}, version = ${zone.version}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${zone.id}`);
}

/** Deletes a zone and its rates with the commit. */
export function deleteZone(tx: TenantTx, id: TaxZoneId): void {
  tx.write(sql("tax.delete_zone")`
    delete from tax_zones where tenant_id = ${tx.tenantId} and id = ${id}`);
}

/** Adds a rate or writes it anew, with the commit; its zone is locked. */
export function saveRate(tx: TenantTx, rate: TaxRate): void {
  tx.write(sql("tax.save_rate")`
    insert into tax_rates (tenant_id, id, zone_id, category, name, rate_bps, is_compound,
      applies_to_shipping, priority, version)
    values (${tx.tenantId}, ${rate.id}, ${rate.zoneId}, ${rate.category}, ${rate.name},
      ${rate.rateBps}, ${rate.isCompound}, ${rate.appliesToShipping}, ${rate.priority},
      ${rate.version})
    on conflict (tenant_id, id) do update set category = excluded.category, name = excluded.name,
      rate_bps = excluded.rate_bps, is_compound = excluded.is_compound,
      applies_to_shipping = excluded.applies_to_shipping, priority = excluded.priority,
      version = excluded.version, updated_at = now()`);
}

/** Deletes a rate with the commit. */
export function deleteRate(tx: TenantTx, id: TaxRateId): void {
  tx.write(sql("tax.delete_rate")`
    delete from tax_rates where tenant_id = ${tx.tenantId} and id = ${id}`);
}

/** Lists a tenant's categories by code. */
export function listCategories(tx: TenantTx): Promise<readonly TaxCategory[]> {
  return tx.rows<TaxCategory>(sql("tax.list_categories")`
    select code, name from tax_categories where tenant_id = ${tx.tenantId} order by code`);
}

/** Reads one category; the lock keeps it from being deleted until the transaction ends. */
export function lockCategory(tx: TenantTx, code: string): Promise<TaxCategory | undefined> {
  return tx.maybe<TaxCategory>(sql("tax.lock_category")`
    select code, name from tax_categories
    where tenant_id = ${tx.tenantId} and code = ${code} for update`);
}

/** Adds a category or renames it, with the commit. */
export function saveCategory(tx: TenantTx, category: TaxCategory): void {
  tx.write(sql("tax.save_category")`
    insert into tax_categories (tenant_id, code, name)
    values (${tx.tenantId}, ${category.code}, ${category.name})
    on conflict (tenant_id, code) do update set name = excluded.name`);
}

/** Deletes a category with the commit; no rate may name it. */
export function deleteCategory(tx: TenantTx, code: string): void {
  tx.write(sql("tax.delete_category")`
    delete from tax_categories where tenant_id = ${tx.tenantId} and code = ${code}`);
}

/** Whether any rate names a category. */
export async function isCategoryInUse(tx: TenantTx, code: string): Promise<boolean> {
  const rows = await tx.rows(sql("tax.category_in_use")`
    select 1 from tax_rates where tenant_id = ${tx.tenantId} and category = ${code} limit 1`);
  return rows.length > 0;
}

function toZone(row: ZoneRow): TaxZone {
  const { id, name, areas, version } = row;
  return { id, name, areas, priceIncludesTax: row.price_includes_tax, version };
}

function toRate(row: RateRow): TaxRate {
  return {
    id: row.id,
    zoneId: row.zone_id,
    category: row.category,
    name: row.name,
    rateBps: row.rate_bps,
    isCompound: row.is_compound,
    appliesToShipping: row.applies_to_shipping,
    priority: row.priority,
    version: row.version,
  };
}
