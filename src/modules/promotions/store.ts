import type { TenantTx } from "../../platform/db/db.ts";
import { type Fragment, fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import type { Coupon, CouponId, Promotion, PromotionId } from "./contract.ts";

/** Columns of a promotion, `p`. */
export const promotionColumns: Fragment = fragment`p.id, p.name, p.status, p.trigger, p.priority,
  p.stacking, p.stacking_group, p.action, p.conditions, p.starts_at, p.ends_at, p.usage_limit,
  p.usage_limit_per_customer, p.used_count, p.version`;

/** A row of {@link promotionColumns}. */
export interface PromotionRow {
  readonly id: PromotionId;
  readonly name: string;
  readonly status: Promotion["status"];
  readonly trigger: Promotion["trigger"];
  readonly priority: number;
  readonly stacking: Promotion["stacking"];
  readonly stacking_group: string | null;
  readonly action: Promotion["action"];
  readonly conditions: Promotion["conditions"];
  readonly starts_at: Date | null;
  readonly ends_at: Date | null;
  readonly usage_limit: number | null;
  readonly usage_limit_per_customer: number | null;
  readonly used_count: number;
  readonly version: number;
}

/** A row of coupons. */
export interface CouponRow {
  readonly id: CouponId;
  readonly promotion_id: PromotionId;
  readonly code: string;
  readonly status: Coupon["status"];
  readonly usage_limit: number | null;
  readonly used_count: number;
  readonly version: number;
}

/** Reads and locks one promotion. */
export async function lockPromotion(tx: TenantTx, id: PromotionId): Promise<Promotion | undefined> {
  const row = await tx.maybe<PromotionRow>(sql("promotions.lock")`
    select ${promotionColumns} from promotions p
    where p.tenant_id = ${tx.tenantId} and p.id = ${id} for update`);
  return row && toPromotion(row);
}

/** Adds a promotion unless its id is there already. @returns whether it was added */
export async function insertPromotion(tx: TenantTx, promotion: Promotion): Promise<boolean> {
  const inserted = await tx.run(sql("promotions.insert")`
    insert into promotions (tenant_id, id, name, status, trigger, priority, stacking,
      stacking_group, action, conditions, starts_at, ends_at, usage_limit,
      usage_limit_per_customer, version)
    values (${tx.tenantId}, ${promotion.id}, ${promotion.name}, ${promotion.status},
      ${promotion.trigger}, ${promotion.priority}, ${promotion.stacking},
      ${promotion.stackingGroup}, ${JSON.stringify(promotion.action)}::jsonb,
      ${JSON.stringify(promotion.conditions)}::jsonb, ${promotion.startsAt}, ${promotion.endsAt},
      ${promotion.usageLimit}, ${promotion.usageLimitPerCustomer}, ${promotion.version})
    on conflict (tenant_id, id) do nothing`);
  return inserted === 1;
}

/** Writes a locked promotion, its use count aside, with the commit. */
export function updatePromotion(tx: TenantTx, promotion: Promotion): void {
  tx.write(sql("promotions.update")`
    update promotions set name = ${promotion.name}, status = ${promotion.status},
      priority = ${promotion.priority}, stacking = ${promotion.stacking},
      stacking_group = ${promotion.stackingGroup},
      action = ${JSON.stringify(promotion.action)}::jsonb,
      conditions = ${JSON.stringify(promotion.conditions)}::jsonb,
      starts_at = ${promotion.startsAt}, ends_at = ${promotion.endsAt},
      usage_limit = ${promotion.usageLimit},
      usage_limit_per_customer = ${promotion.usageLimitPerCustomer},
      version = ${promotion.version}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${promotion.id}`);
}

/** Adds coupons, in one statement; those whose id or code is taken are left out. @returns the added ones' ids */
export async function insertCoupons(
  tx: TenantTx,
  coupons: readonly Coupon[],
): Promise<ReadonlySet<CouponId>> {
  const rows = await tx.rows<{ id: CouponId }>(sql("promotions.insert_coupons")`
    insert into coupons (tenant_id, id, promotion_id, code, status, usage_limit)
    select ${tx.tenantId}, c.id, c.promotion_id, c.code, c.status, c.usage_limit
    from unnest(${coupons.map(({ id }) => id)}::uuid[],
      ${coupons.map(({ promotionId }) => promotionId)}::uuid[],
      ${coupons.map(({ code }) => code)}::text[], ${coupons.map(({ status }) => status)}::text[],
      ${coupons.map(({ usageLimit }) => usageLimit)}::int[])
      as c (id, promotion_id, code, status, usage_limit)
    order by c.code
    on conflict do nothing
    returning id`);
  return new Set(rows.map(({ id }) => id));
}

/** Reads and locks one coupon. */
export async function lockCoupon(tx: TenantTx, id: CouponId): Promise<Coupon | undefined> {
  const row = await tx.maybe<CouponRow>(sql("promotions.lock_coupon")`
    select id, promotion_id, code, status, usage_limit, used_count, version from coupons
    where tenant_id = ${tx.tenantId} and id = ${id} for update`);
  return row && toCoupon(row);
}

/** Writes a locked coupon, its use count aside, with the commit. */
export function updateCoupon(tx: TenantTx, coupon: Coupon): void {
  tx.write(sql("promotions.update_coupon")`
    update coupons set status = ${coupon.status}, usage_limit = ${coupon.usageLimit},
      version = ${coupon.version}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${coupon.id}`);
}

/** Which promotions to list. */
export interface PromotionListing {
  readonly status?: Promotion["status"] | undefined;
  readonly trigger?: Promotion["trigger"] | undefined;
  /** Id of the last one of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Lists promotions, newest first. */
export async function listPromotions(
  tx: TenantTx,
  { status, trigger, after, limit }: PromotionListing,
): Promise<readonly Promotion[]> {
  const conditions = [
    fragment`p.tenant_id = ${tx.tenantId}`,
    ...(status ? [fragment`p.status = ${status}`] : []),
    ...(trigger ? [fragment`p.trigger = ${trigger}`] : []),
    ...(after ? [fragment`p.id < ${after}`] : []),
  ];
  const rows = await tx.rows<PromotionRow>(sql("promotions.list")`
    select ${promotionColumns} from promotions p
    where ${joinFragments(conditions, " and ")} order by p.id desc limit ${limit}`);
  return rows.map(toPromotion);
}

/** Reads one promotion. */
export async function findPromotion(tx: TenantTx, id: PromotionId): Promise<Promotion | undefined> {
  const row = await tx.maybe<PromotionRow>(sql("promotions.find")`
    select ${promotionColumns} from promotions p
    where p.tenant_id = ${tx.tenantId} and p.id = ${id}`);
  return row && toPromotion(row);
}

/** Which coupons to list. */
export interface CouponListing {
  readonly promotionId?: string | undefined;
  readonly code?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Lists coupons, newest first. */
export async function listCoupons(
  tx: TenantTx,
  { promotionId, code, after, limit }: CouponListing,
): Promise<readonly Coupon[]> {
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    ...(promotionId ? [fragment`promotion_id = ${promotionId}`] : []),
    ...(code ? [fragment`code = ${code}`] : []),
    ...(after ? [fragment`id < ${after}`] : []),
  ];
  const rows = await tx.rows<CouponRow>(sql("promotions.list_coupons")`
    select id, promotion_id, code, status, usage_limit, used_count, version from coupons
    where ${joinFragments(conditions, " and ")} order by id desc limit ${limit}`);
  return rows.map(toCoupon);
}

/** Finds coupons by id or code. */
export async function findCoupons(
  tx: TenantTx,
  { ids, codes }: { readonly ids: readonly CouponId[]; readonly codes: readonly string[] },
): Promise<readonly Coupon[]> {
  const rows = await tx.rows<CouponRow>(sql("promotions.find_coupons")`
    select id, promotion_id, code, status, usage_limit, used_count, version from coupons
    where tenant_id = ${tx.tenantId}
      and (id = any(${ids}::uuid[]) or code = any(${codes}::text[]))`);
  return rows.map(toCoupon);
}

/** Which of some promotions exist. */
export async function existingPromotions(
  tx: TenantTx,
  ids: readonly PromotionId[],
): Promise<ReadonlyMap<PromotionId, Promotion["trigger"]>> {
  const rows = await tx.rows<{ id: PromotionId; trigger: Promotion["trigger"] }>(
    sql("promotions.existing")`
      select id, trigger from promotions
      where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])`,
  );
  return new Map(rows.map(({ id, trigger }) => [id, trigger]));
}

/** Turns a row into a promotion. */
export function toPromotion(row: PromotionRow): Promotion {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    trigger: row.trigger,
    priority: row.priority,
    stacking: row.stacking,
    stackingGroup: row.stacking_group,
    action: row.action,
    conditions: row.conditions,
    startsAt: row.starts_at,
    endsAt: row.ends_at,
    usageLimit: row.usage_limit,
    usageLimitPerCustomer: row.usage_limit_per_customer,
    usedCount: row.used_count,
    version: row.version,
  };
}

/** Turns a row into a coupon. */
export function toCoupon(row: CouponRow): Coupon {
  return {
    id: row.id,
    promotionId: row.promotion_id,
    code: row.code,
    status: row.status,
    usageLimit: row.usage_limit,
    usedCount: row.used_count,
    version: row.version,
  };
}
