import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { applyPromotions } from "./apply.ts";
import {
  type CommandDeps,
  type CouponPatch,
  createCoupons,
  createPromotion,
  type Outcome,
  type Target,
  updateCoupon,
  updatePromotion,
} from "./commands.ts";
import type {
  Coupon,
  CouponId,
  NewCoupon,
  NewPromotion,
  Promotion,
  PromotionCart,
  PromotionId,
  PromotionOutcome,
  PromotionPatch,
  PromotionRule,
  RedemptionFailure,
} from "./contract.ts";
import { type RedemptionRequest, redeemCoupons, releaseRedemptions } from "./redeem.ts";
import { loadPromotions } from "./rules.ts";
import {
  type CouponListing,
  findCoupons,
  findPromotion,
  listCoupons,
  listPromotions,
  type PromotionListing,
} from "./store.ts";

export type { CouponPatch, Target } from "./commands.ts";
export { promotionInvariants } from "./invariants.ts";
export type { RedemptionRequest } from "./redeem.ts";
export { promotionRoutes } from "./routes.ts";
export type { CouponListing, PromotionListing } from "./store.ts";

/** What promotions need from outside; `app.ts` provides it. */
export interface PromotionsDeps {
  readonly db: Db;
}

/** What the rest of the system may ask of promotions. */
export interface Promotions {
  create(ctx: Context, command: NewPromotion): Outcome<Promotion>;
  update(ctx: Context, target: Target<PromotionId>, patch: PromotionPatch): Outcome<Promotion>;
  find(tenantId: TenantId, id: PromotionId): Promise<Promotion | undefined>;
  list(tenantId: TenantId, listing: PromotionListing): Promise<readonly Promotion[]>;
  createCoupons(ctx: Context, commands: readonly NewCoupon[]): Outcome<readonly Coupon[]>;
  updateCoupon(ctx: Context, target: Target<CouponId>, patch: CouponPatch): Outcome<Coupon>;
  findCoupon(tenantId: TenantId, id: CouponId): Promise<Coupon | undefined>;
  listCoupons(tenantId: TenantId, listing: CouponListing): Promise<readonly Coupon[]>;
  /** Decides what promotions make of a cart; pure. */
  applyPromotions(cart: PromotionCart, rules: readonly PromotionRule[]): PromotionOutcome;
  /** Loads the rules for some codes, in the caller's transaction. */
  loadPromotions(tx: TenantTx, codes: readonly string[]): Promise<readonly PromotionRule[]>;
  /** Counts promotions of orders as used, in the caller's transaction. */
  redeemCoupons(
    tx: TenantTx,
    requests: readonly RedemptionRequest[],
  ): Promise<readonly Result<void, RedemptionFailure>[]>;
  /** Gives uses of orders back, in the caller's transaction. @returns how many */
  releaseRedemptions(
    tx: TenantTx,
    origin: EventOrigin,
    orderIds: readonly string[],
  ): Promise<number>;
}

/** Builds the module. */
export function createPromotions({ db }: PromotionsDeps): Promotions {
  const deps: CommandDeps = { work: createUnitOfWork(db) };
  const name = "promotions.read";
  return {
    create: (ctx, command) => createPromotion(deps, ctx, command),
    update: (ctx, target, patch) => updatePromotion(deps, ctx, target, patch),
    find: (tenantId, id) => db.read(tenantId, (tx) => findPromotion(tx, id), { name }),
    list: (tenantId, listing) => db.read(tenantId, (tx) => listPromotions(tx, listing), { name }),
    createCoupons: (ctx, commands) => createCoupons(deps, ctx, commands),
    updateCoupon: (ctx, target, patch) => updateCoupon(deps, ctx, target, patch),
    async findCoupon(tenantId, id) {
      const [coupon] = await db.read(tenantId, (tx) => findCoupons(tx, { ids: [id], codes: [] }), {
        name,
      });
      return coupon;
    },
    listCoupons: (tenantId, listing) =>
      db.read(tenantId, (tx) => listCoupons(tx, listing), { name }),
    applyPromotions,
    loadPromotions,
    redeemCoupons,
    releaseRedemptions,
  };
}
