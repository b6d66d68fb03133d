import type { Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import {
  type AttributedEvent,
  appendEvents,
  type EventOrigin,
  writeEvents,
} from "../../platform/events/events.ts";
import type { CouponId, PromotionId, Redemption, RedemptionFailure } from "./contract.ts";
import {
  customerKey,
  type DecidedUse,
  decideRedemptions,
  orderKey,
  type RedemptionState,
} from "./redemption.ts";
import {
  type CouponRow,
  type PromotionRow,
  promotionColumns,
  toCoupon,
  toPromotion,
} from "./store.ts";

/** A redemption and who asked for it. */
export interface RedemptionRequest extends Redemption {
  readonly origin: EventOrigin;
}

/**
 * Counts the promotions of orders as used, in the caller's transaction: a fixed number of
 * statements in two flights, for any number of orders. Limits hold under every race: promotions and
 * then coupons are locked in the order of their ids before anything is decided.
 *
 * Redeeming again for the same order changes nothing.
 * @returns one result per request, in order; a refused one leaves no trace
 */
export async function redeemCoupons(
  tx: TenantTx,
  requests: readonly RedemptionRequest[],
): Promise<readonly Result<void, RedemptionFailure>[]> {
  const state = await lockState(tx, requests);
  const { results, uses } = decideRedemptions(state, requests);
  const written = uses.flat();
  if (written.length === 0) return results;
  insertUses(tx, written);
  moveCounts(tx, written, 1);
  const events: AttributedEvent[] = requests.flatMap(({ origin }, index) =>
    (uses[index] ?? []).map((use) => ({ origin, event: redemptionEvent("redeemed", use) })),
  );
  writeEvents(tx, events);
  return results;
}

/**
 * Gives the uses of cancelled orders back; orders without any are passed over, and so is what was
 * given back before.
 *
 * @returns how many uses were given back
 */
export async function releaseRedemptions(
  tx: TenantTx,
  origin: EventOrigin,
  orderIds: readonly string[],
): Promise<number> {
  if (orderIds.length === 0) return 0;
  const orders = orderIds;
  tx.write(sql("promotions.lock_for_release")`
    select 1 from promotions where tenant_id = ${tx.tenantId} and id in (
      select promotion_id from promotion_redemptions
      where tenant_id = ${tx.tenantId} and order_id = any(${orders}::uuid[])
        and released_at is null)
    order by id for update`);
  tx.write(sql("promotions.lock_coupons_for_release")`
    select 1 from coupons where tenant_id = ${tx.tenantId} and id in (
      select coupon_id from promotion_redemptions
      where tenant_id = ${tx.tenantId} and order_id = any(${orders}::uuid[])
        and released_at is null)
    order by id for update`);
  const rows = await tx.rows<UseRow>(sql("promotions.release")`
    update promotion_redemptions set released_at = now()
    where tenant_id = ${tx.tenantId} and order_id = any(${orders}::uuid[]) and released_at is null
    returning order_id, customer_id, promotion_id, coupon_id`);
  if (rows.length === 0) return 0;
  const uses = rows.map(toUse);
  moveCounts(tx, uses, -1);
  appendEvents(
    tx,
    origin,
    uses.map((use) => redemptionEvent("released", use)),
  );
  return uses.length;
}

interface UseRow {
  readonly order_id: string;
  readonly customer_id: string | null;
  readonly promotion_id: PromotionId;
  readonly coupon_id: CouponId | null;
}

async function lockState(tx: TenantTx, requests: readonly Redemption[]): Promise<RedemptionState> {
  const uses = requests.flatMap((request) =>
    request.uses.map((use) => ({ ...use, customerId: request.customerId })),
  );
  if (uses.length === 0) {
    return {
      promotions: new Map(),
      coupons: new Map(),
      customerUses: new Map(),
      inForce: new Set(),
    };
  }
  const coupons = uses.flatMap(({ couponId }) => (couponId === null ? [] : [couponId]));
  const pairs = uses.filter(({ customerId }) => customerId !== null);
  // One flight: the counts are read on a snapshot taken after the locks were granted.
  const [promotionRows, couponRows, customerRows, orderRows] = await Promise.all([
    tx.rows<PromotionRow>(sql("promotions.lock_many")`
      select ${promotionColumns} from promotions p
      where p.tenant_id = ${tx.tenantId}
        and p.id = any(${uses.map(({ promotionId }) => promotionId)}::uuid[])
      order by p.id for update`),
    tx.rows<CouponRow>(sql("promotions.lock_coupons")`
      select id, promotion_id, code, status, usage_limit, used_count, version from coupons
      where tenant_id = ${tx.tenantId} and id = any(${coupons}::uuid[])
      order by id for update`),
    tx.rows<{ promotion_id: string; customer_id: string; uses: number }>(
      sql("promotions.count_customer_uses")`
        select r.promotion_id, r.customer_id, count(*)::int as uses
        from (select distinct * from unnest(
            ${pairs.map(({ promotionId }) => promotionId)}::uuid[],
            ${pairs.map(({ customerId }) => customerId ?? "")}::uuid[])
          ) as asked (promotion_id, customer_id)
        join promotion_redemptions r on r.tenant_id = ${tx.tenantId}
          and r.promotion_id = asked.promotion_id and r.customer_id = asked.customer_id
          and r.released_at is null
        group by r.promotion_id, r.customer_id`,
    ),
    tx.rows<{ order_id: string; promotion_id: string }>(sql("promotions.uses_in_force")`
      select order_id, promotion_id from promotion_redemptions
      where tenant_id = ${tx.tenantId} and released_at is null
        and order_id = any(${requests.map(({ orderId }) => orderId)}::uuid[])`),
  ]);
  return {
    promotions: new Map(promotionRows.map((row) => [row.id, toPromotion(row)])),
    coupons: new Map(couponRows.map((row) => [row.id, toCoupon(row)])),
    customerUses: new Map(
      customerRows.map((row) => [customerKey(row.promotion_id, row.customer_id), row.uses]),
    ),
    inForce: new Set(orderRows.map((row) => orderKey(row.order_id, row.promotion_id))),
  };
}

function insertUses(tx: TenantTx, uses: readonly DecidedUse[]): void {
  tx.write(sql("promotions.insert_redemptions")`
    insert into promotion_redemptions (tenant_id, order_id, promotion_id, coupon_id, customer_id)
    select ${tx.tenantId}, order_id, promotion_id, coupon_id, customer_id
    from unnest(${uses.map(({ orderId }) => orderId)}::uuid[],
      ${uses.map(({ promotionId }) => promotionId)}::uuid[],
      ${uses.map(({ couponId }) => couponId)}::uuid[],
      ${uses.map(({ customerId }) => customerId)}::uuid[])
      as u (order_id, promotion_id, coupon_id, customer_id)
    on conflict (tenant_id, order_id, promotion_id) do update set coupon_id = excluded.coupon_id,
      customer_id = excluded.customer_id, redeemed_at = now(), released_at = null`);
}

/** Moves the use counts of locked promotions and coupons. */
function moveCounts(tx: TenantTx, uses: readonly DecidedUse[], direction: 1 | -1): void {
  const promotions = countBy(uses.map(({ promotionId }) => promotionId));
  tx.write(sql("promotions.move_counts")`
    update promotions p set used_count = p.used_count + u.moved
    from unnest(${[...promotions.keys()]}::uuid[],
      ${[...promotions.values()].map((count) => count * direction)}::int[])
      as u (id, moved)
    where p.tenant_id = ${tx.tenantId} and p.id = u.id`);
  const coupons = countBy(uses.flatMap(({ couponId }) => (couponId === null ? [] : [couponId])));
  if (coupons.size === 0) return;
  tx.write(sql("promotions.move_coupon_counts")`
    update coupons c set used_count = c.used_count + u.moved
    from unnest(${[...coupons.keys()]}::uuid[],
      ${[...coupons.values()].map((count) => count * direction)}::int[])
      as u (id, moved)
    where c.tenant_id = ${tx.tenantId} and c.id = u.id`);
}

function countBy(ids: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function redemptionEvent(what: "redeemed" | "released", use: DecidedUse) {
  return {
    type: `promotions.${what}`,
    version: 1,
    stream: `promotion:${use.promotionId}`,
    data: { promotionId: use.promotionId, couponId: use.couponId, orderId: use.orderId },
  };
}

function toUse(row: UseRow): DecidedUse {
  return {
    orderId: row.order_id,
    customerId: row.customer_id,
    promotionId: row.promotion_id,
    couponId: row.coupon_id,
  };
}
