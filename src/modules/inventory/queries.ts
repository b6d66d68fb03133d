import type { Page } from "../../kernel/page.ts";
import { ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import { type BadCursor, readCursor, signCursor } from "../../platform/http/cursor.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { Availability, LocationId, Movement, StockLevel } from "./contract.ts";

const lowestId = "00000000-0000-0000-0000-000000000000";
const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/**
 * Stock of variants over all active locations.
 *
 * @returns one per variant, in order; a variant without stock has zeros
 */
export async function readAvailability(
  tx: TenantTx,
  variantIds: readonly VariantId[],
): Promise<Availability[]> {
  if (variantIds.length === 0) return [];
  const rows = await tx.rows<Availability>(sql("inventory.availability")`
    select s.variant_id as "variantId", sum(s.on_hand) as "onHand", sum(s.reserved) as reserved,
      sum(s.on_hand::bigint + s.backorder_limit - s.reserved)::bigint as available
    from stock s
    join stock_locations l on l.tenant_id = s.tenant_id and l.id = s.location_id and l.active
    where s.tenant_id = ${tx.tenantId} and s.variant_id = any(${variantIds}::uuid[])
    group by s.variant_id`);
  const found = new Map(rows.map((row) => [row.variantId, row]));
  return variantIds.map(
    (variantId) => found.get(variantId) ?? { variantId, onHand: 0, reserved: 0, available: 0 },
  );
}

/** Which stock to list. */
export interface StockRequest {
  readonly variantIds?: readonly VariantId[] | undefined;
  readonly locationId?: LocationId | undefined;
  /** Only cells at or below their `lowAt`. */
  readonly low?: boolean | undefined;
  /** 1 to 100. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface LevelRow extends Omit<StockLevel, "lowAt"> {
  readonly lowAt: number | null;
}

/** Stock cells in order of (variant, location). */
export async function listStock(
  tx: TenantTx,
  { variantIds, locationId, low, limit, cursor }: StockRequest,
): Promise<Result<Page<StockLevel>, BadCursor>> {
  const filter = { variantIds, locationId, low };
  const scope = { tenantId: tx.tenantId, list: "stock by variant and location", filter };
  const after = cursor === undefined ? ok([lowestId, lowestId]) : readCursor(scope, cursor);
  if (!after.ok) return after;
  const [variant, location] = after.value;
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    fragment`(variant_id, location_id) > (${variant}::uuid, ${location}::uuid)`,
    ...(variantIds ? [fragment`variant_id = any(${variantIds}::uuid[])`] : []),
    ...(locationId ? [fragment`location_id = ${locationId}`] : []),
    ...(low ? [fragment`on_hand::bigint + backorder_limit - reserved <= low_at`] : []),
  ];
  const rows = await tx.rows<LevelRow>(sql("inventory.list_stock")`
    select variant_id as "variantId", location_id as "locationId", on_hand as "onHand", reserved,
      on_hand::bigint + backorder_limit - reserved as available,
      backorder_limit as "backorderLimit", low_at as "lowAt", version
    from stock where ${joinFragments(conditions, " and ")}
    order by variant_id, location_id limit ${limit + 1}`);
  const items = rows
    .slice(0, limit)
    .map(({ lowAt, ...row }): StockLevel => ({ ...row, ...(lowAt === null ? {} : { lowAt }) }));
  const last = items.at(-1);
  if (rows.length <= limit || !last) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, [last.variantId, last.locationId]) });
}

/** Which movements to list. */
export interface MovementsRequest {
  readonly variantId?: VariantId | undefined;
  readonly locationId?: LocationId | undefined;
  /** 1 to 100. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface MovementRow extends Omit<Movement, "reference"> {
  readonly line: number;
  readonly reference: string | null;
}

/** Movements, the newest command first. */
export async function listMovements(
  tx: TenantTx,
  { variantId, locationId, limit, cursor }: MovementsRequest,
): Promise<Result<Page<Movement>, BadCursor>> {
  const filter = { variantId, locationId };
  const scope = { tenantId: tx.tenantId, list: "stock movements, newest first", filter };
  const place = cursor === undefined ? ok([highestId, 0]) : readCursor(scope, cursor);
  if (!place.ok) return place;
  const [id, line] = place.value;
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    fragment`(id, line) < (${id}::uuid, ${line}::smallint)`,
    fragment`id <= ${id}::uuid`,
    ...(variantId ? [fragment`variant_id = ${variantId}`] : []),
    ...(locationId ? [fragment`location_id = ${locationId}`] : []),
  ];
  const rows = await tx.rows<MovementRow>(sql("inventory.list_movements")`
    select id, line, variant_id as "variantId", location_id as "locationId", quantity, reason,
      reference, recorded_at as "recordedAt"
    from stock_movements where ${joinFragments(conditions, " and ")}
    order by id desc, line desc limit ${limit + 1}`);
  const shown = rows.slice(0, limit);
  const items = shown.map(
    ({ line: _, reference, ...row }): Movement => ({
      ...row,
      ...(reference === null ? {} : { reference }),
    }),
  );
  const last = shown.at(-1);
  if (rows.length <= limit || !last) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, [last.id, last.line]) });
}
