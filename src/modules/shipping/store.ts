import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, sql } from "../../platform/db/sql.ts";
import type {
  ShippingMethod,
  ShippingMethodId,
  ShippingRate,
  ShippingTable,
  ShippingZone,
  ShippingZoneId,
} from "./contract.ts";

interface ZoneRow {
  readonly id: ShippingZoneId;
  readonly name: string;
  readonly areas: ShippingZone["areas"];
  readonly version: number;
}

interface MethodRow {
  readonly id: ShippingMethodId;
  readonly name: string;
  readonly description: string;
  readonly status: ShippingMethod["status"];
  readonly tax_category: string | null;
  readonly position: number;
  readonly delivery_days_min: number | null;
  readonly delivery_days_max: number | null;
  readonly rates: readonly ShippingRate[];
  readonly version: number;
}

const methodColumns = fragment`m.id, m.name, m.description, m.status, m.tax_category, m.position,
  m.delivery_days_min, m.delivery_days_max, m.version,
  (select coalesce(jsonb_agg(jsonb_build_object('zoneId', r.zone_id, 'currency', r.currency,
      'price', r.price, 'freeAboveMinor', r.free_above_minor) order by r.zone_id, r.currency), '[]')
    from shipping_rates r where r.tenant_id = m.tenant_id and r.method_id = m.id) as rates`;

/** Name of the version that every change of what quotes need raises. */
export const shippingVersion = "shipping";

/** Loads all that quotes need, in one flight. */
export async function loadShipping(tx: TenantTx): Promise<ShippingTable> {
  const [zones, methods] = await Promise.all([
    listZones(tx),
    tx.rows<MethodRow>(sql("shipping.load_methods")`
      select ${methodColumns} from shipping_methods m
      where m.tenant_id = ${tx.tenantId} and m.status = 'active' order by m.position, m.id`),
  ]);
  return { zones, methods: methods.map(toMethod) };
}

/** Lists a tenant's zones by id: at most shippingZonesMax. */
export async function listZones(tx: TenantTx): Promise<readonly ShippingZone[]> {
  return tx.rows<ZoneRow>(sql("shipping.list_zones")`
    select id, name, areas, version from shipping_zones
    where tenant_id = ${tx.tenantId} order by id`);
}

/** Lists a tenant's methods, disabled ones too, in order of offer: at most shippingMethodsMax. */
export async function listMethods(tx: TenantTx): Promise<readonly ShippingMethod[]> {
  const rows = await tx.rows<MethodRow>(sql("shipping.list_methods")`
    select ${methodColumns} from shipping_methods m
    where m.tenant_id = ${tx.tenantId} order by m.position, m.id`);
  return rows.map(toMethod);
}

/** Reads one zone; `lock` holds it until the transaction ends. */
export function findZone(
  tx: TenantTx,
  id: ShippingZoneId,
  lock = false,
): Promise<ShippingZone | undefined> {
  return tx.maybe<ZoneRow>(sql("shipping.find_zone")`
    select id, name, areas, version from shipping_zones
    where tenant_id = ${tx.tenantId} and id = ${id} ${lock ? fragment`for update` : fragment``}`);
}

/** Reads one method with its rates; `lock` holds it until the transaction ends. */
export async function findMethod(
  tx: TenantTx,
  id: ShippingMethodId,
  lock = false,
): Promise<ShippingMethod | undefined> {
  const row = await tx.maybe<MethodRow>(sql("shipping.find_method")`
    select ${methodColumns} from shipping_methods m
    where m.tenant_id = ${tx.tenantId} and m.id = ${id}
    ${lock ? fragment`for update of m` : fragment``}`);
  return row && toMethod(row);
}

/** Adds a zone unless its id is there. @returns whether it was added */
export async function insertZone(tx: TenantTx, zone: ShippingZone): Promise<boolean> {
  const count = await tx.run(sql("shipping.insert_zone")`
    insert into shipping_zones (tenant_id, id, name, areas, version)
    values (${tx.tenantId}, ${zone.id}, ${zone.name}, ${JSON.stringify(zone.areas)}::jsonb,
      ${zone.version})
    on conflict (tenant_id, id) do nothing`);
  return count === 1;
}

/** Writes a locked zone with the commit. */
export function updateZone(tx: TenantTx, zone: ShippingZone): void {
  tx.write(sql("shipping.update_zone")`
    update shipping_zones set name = ${zone.name}, areas = ${JSON.stringify(zone.areas)}::jsonb,
      version = ${zone.version}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${zone.id}`);
}

/** Deletes a zone with the commit; its rates must be gone. */
export function deleteZone(tx: TenantTx, id: ShippingZoneId): void {
  tx.write(sql("shipping.delete_zone")`
    delete from shipping_zones where tenant_id = ${tx.tenantId} and id = ${id}`);
}

/** Whether any method has a rate in a zone. */
export async function isZoneInUse(tx: TenantTx, id: ShippingZoneId): Promise<boolean> {
  const rows = await tx.rows(sql("shipping.zone_in_use")`
    select 1 from shipping_rates where tenant_id = ${tx.tenantId} and zone_id = ${id} limit 1`);
  return rows.length > 0;
}

/** Adds a method without its rates, unless its id is there. @returns whether it was added */
export async function insertMethod(tx: TenantTx, method: ShippingMethod): Promise<boolean> {
  const count = await tx.run(sql("shipping.insert_method")`
    insert into shipping_methods (tenant_id, id, name, description, status, tax_category, position,
      delivery_days_min, delivery_days_max, version)
    values (${tx.tenantId}, ${method.id}, ${method.name}, ${method.description}, ${method.status},
      ${method.taxCategory}, ${method.position}, ${method.deliveryDaysMin},
      ${method.deliveryDaysMax}, ${method.version})
    on conflict (tenant_id, id) do nothing`);
  return count === 1;
}

/** Writes a locked method without its rates, with the commit. */
export function updateMethod(tx: TenantTx, method: ShippingMethod): void {
  tx.write(sql("shipping.update_method")`
    update shipping_methods set name = ${method.name}, description = ${method.description},
      status = ${method.status}, tax_category = ${method.taxCategory},
      position = ${method.position}, delivery_days_min = ${method.deliveryDaysMin},
      delivery_days_max = ${method.deliveryDaysMax}, version = ${method.version}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${method.id}`);
}

/** Deletes a method and its rates with the commit. */
export function deleteMethod(tx: TenantTx, id: ShippingMethodId): void {
  tx.write(sql("shipping.delete_method")`
    delete from shipping_methods where tenant_id = ${tx.tenantId} and id = ${id}`);
}

/** Replaces the rates of a method with the commit. */
export function replaceRates(tx: TenantTx, { id, rates }: ShippingMethod): void {
  tx.write(sql("shipping.delete_rates")`
    delete from shipping_rates where tenant_id = ${tx.tenantId} and method_id = ${id}`);
  if (rates.length === 0) return;
  tx.write(sql("shipping.insert_rates")`
    insert into shipping_rates (tenant_id, method_id, zone_id, currency, price, free_above_minor)
    select ${tx.tenantId}, ${id}, zone_id, currency, price, free_above_minor
    from unnest(${rates.map(({ zoneId }) => zoneId)}::uuid[],
      ${rates.map(({ currency }) => currency)}::text[],
      ${rates.map(({ price }) => JSON.stringify(price))}::jsonb[],
      ${rates.map(({ freeAboveMinor }) => freeAboveMinor)}::bigint[])
      as r (zone_id, currency, price, free_above_minor)`);
}

function toMethod(row: MethodRow): ShippingMethod {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    status: row.status,
    taxCategory: row.tax_category,
    position: row.position,
    deliveryDaysMin: row.delivery_days_min,
    deliveryDaysMax: row.delivery_days_max,
    rates: row.rates,
    version: row.version,
  };
}
