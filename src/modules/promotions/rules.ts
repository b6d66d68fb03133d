import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { CouponId, PromotionRule } from "./contract.ts";
import { foldCode } from "./eligibility.ts";
import {
  type CouponRow,
  type PromotionRow,
  promotionColumns,
  toCoupon,
  toPromotion,
} from "./store.ts";

type CouponColumns = { readonly [Column in keyof CouponRow as `c_${Column}`]: CouponRow[Column] };

interface RuleRow extends PromotionRow, Omit<CouponColumns, "c_id"> {
  readonly c_id: CouponId | null;
}

/**
 * Loads what may hold for some carts, in one statement: every active automatic promotion, and those
 * whose coupons have one of the codes, whatever their state, so that a refusal can say why.
 *
 * @param codes as typed, of any number of carts
 */
export async function loadPromotions(
  tx: TenantTx,
  codes: readonly string[],
): Promise<readonly PromotionRule[]> {
  const rows = await tx.rows<RuleRow>(sql("promotions.load_rules")`
    select ${promotionColumns}, null::uuid as c_id, null::uuid as c_promotion_id,
      null as c_code, null as c_status, null::int as c_usage_limit, null::int as c_used_count,
      null::int as c_version
    from promotions p
    where p.tenant_id = ${tx.tenantId} and p.status = 'active' and p.trigger = 'automatic'
    union all
    select ${promotionColumns}, c.id, c.promotion_id, c.code, c.status, c.usage_limit,
      c.used_count, c.version
    from coupons c
    join promotions p on p.tenant_id = c.tenant_id and p.id = c.promotion_id
    where c.tenant_id = ${tx.tenantId} and c.code = any(${codes.map(foldCode)}::text[])`);
  return rows.map((row) => ({
    promotion: toPromotion(row),
    coupon:
      row.c_id === null
        ? null
        : toCoupon({
            id: row.c_id,
            promotion_id: row.c_promotion_id,
            code: row.c_code,
            status: row.c_status,
            usage_limit: row.c_usage_limit,
            used_count: row.c_used_count,
            version: row.c_version,
          }),
  }));
}
