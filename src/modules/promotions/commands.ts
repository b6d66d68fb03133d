import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type {
  Coupon,
  CouponId,
  NewCoupon,
  NewPromotion,
  Promotion,
  PromotionEvents,
  PromotionFailure,
  PromotionId,
  PromotionPatch,
} from "./contract.ts";
import { foldCode } from "./eligibility.ts";
import { changePromotion, findCouponProblem, newPromotion } from "./promotion.ts";
import {
  existingPromotions,
  findCoupons,
  insertCoupons,
  insertPromotion,
  lockCoupon,
  lockPromotion,
  updateCoupon as updateCouponRow,
  updatePromotion as updatePromotionRow,
} from "./store.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly work: UnitOfWork;
}

/** What a command answers. */
export type Outcome<Value> = Promise<Result<Value, PromotionFailure | IdempotencyFailure>>;

/** What is changed, and the version the change is meant for. */
export interface Target<Id> {
  readonly id: Id;
  readonly expectedVersion?: number | undefined;
}

/** Makes a promotion. */
export function createPromotion(
  { work }: CommandDeps,
  ctx: Context,
  command: NewPromotion,
): Outcome<Promotion> {
  const decision = newPromotion(command, command.id ?? newId<"promotion">());
  if (!decision.ok) return Promise.resolve(decision);
  const promotion = decision.value;
  return work.transact<Promotion, PromotionFailure>(
    ctx,
    async (tx) => {
      const isNew = await insertPromotion(tx, promotion);
      if (!isNew) return fail({ code: "promotions.id_taken", id: promotion.id });
      append(tx, ctx, "promotions.promotion_created", promotionData(promotion));
      return ok(promotion);
    },
    { name: "promotions.create" },
  );
}

/** Changes a promotion; carts are priced by the new rules from then on. */
export function updatePromotion(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<PromotionId>,
  patch: PromotionPatch,
): Outcome<Promotion> {
  return work.transact<Promotion, PromotionFailure>(
    ctx,
    async (tx) => {
      const before = await lockPromotion(tx, id);
      if (!before) return fail({ code: "promotions.not_found", promotionId: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "promotions.stale", version: before.version });
      }
      const decision = changePromotion(before, patch);
      if (!decision.ok) return decision;
      updatePromotionRow(tx, decision.value);
      append(tx, ctx, "promotions.promotion_updated", promotionData(decision.value));
      return decision;
    },
    { name: "promotions.update" },
  );
}

/** Makes coupons, all of them or none. */
export function createCoupons(
  { work }: CommandDeps,
  ctx: Context,
  commands: readonly NewCoupon[],
): Outcome<readonly Coupon[]> {
  const problem = commands.map(findCouponProblem).find((each) => each !== undefined);
  if (problem) return Promise.resolve(fail(problem));
  const coupons = commands.map(toCoupon);
  return work.transact<readonly Coupon[], PromotionFailure>(
    ctx,
    async (tx) => {
      const ids = [...new Set(coupons.map(({ promotionId }) => promotionId))];
      const known = await existingPromotions(tx, ids);
      const unknown = ids.find((id) => !known.has(id));
      if (unknown) return fail({ code: "promotions.not_found", promotionId: unknown });
      const automatic = ids.find((id) => known.get(id) === "automatic");
      if (automatic) {
        const reason = "holds without a code: make one with the trigger code";
        return fail({ code: "promotions.invalid", field: "promotionId", reason });
      }
      const added = await insertCoupons(tx, coupons);
      const refused = coupons.find(({ id }) => !added.has(id));
      if (refused) return fail(await whyTaken(tx, refused));
      for (const coupon of coupons)
        append(tx, ctx, "promotions.coupon_created", couponData(coupon));
      return ok(coupons);
    },
    { name: "promotions.create_coupons" },
  );
}

/** What may be set on a coupon; absent leaves it. */
export interface CouponPatch {
  readonly status?: Coupon["status"];
  readonly usageLimit?: number | null;
}

/** Changes a coupon. */
export function updateCoupon(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<CouponId>,
  patch: CouponPatch,
): Outcome<Coupon> {
  return work.transact<Coupon, PromotionFailure>(
    ctx,
    async (tx) => {
      const before = await lockCoupon(tx, id);
      if (!before) return fail({ code: "promotions.coupon_not_found", coupon: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "promotions.stale", version: before.version });
      }
      const after: Coupon = {
        ...before,
        status: patch.status ?? before.status,
        usageLimit: patch.usageLimit === undefined ? before.usageLimit : patch.usageLimit,
        version: before.version + 1,
      };
      const problem = findCouponProblem(after);
      if (problem) return fail(problem);
      if (after.usageLimit !== null && after.usageLimit < after.usedCount) {
        const reason = `has been used ${after.usedCount} times already`;
        return fail({ code: "promotions.invalid", field: "usageLimit", reason });
      }
      updateCouponRow(tx, after);
      append(tx, ctx, "promotions.coupon_updated", couponData(after));
      return ok(after);
    },
    { name: "promotions.update_coupon" },
  );
}

function toCoupon({ id, promotionId, code, status, usageLimit }: NewCoupon): Coupon {
  return {
    id: id ?? newId<"coupon">(),
    promotionId,
    code: foldCode(code),
    status: status ?? "active",
    usageLimit: usageLimit ?? null,
    usedCount: 0,
    version: 1,
  };
}

async function whyTaken(tx: TenantTx, { id, code }: Coupon): Promise<PromotionFailure> {
  const holders = await findCoupons(tx, { ids: [id], codes: [code] });
  if (holders.some((holder) => holder.id === id)) return { code: "promotions.id_taken", id };
  return { code: "promotions.code_taken", couponCode: code };
}

function promotionData({ id, name, version }: Promotion) {
  return { promotionId: id, name, version };
}

function couponData({ id, promotionId, code }: Coupon) {
  return { couponId: id, promotionId, couponCode: code };
}

type CrudEvents = Omit<PromotionEvents, "promotions.redeemed" | "promotions.released">;

function append<Type extends keyof CrudEvents>(
  tx: TenantTx,
  ctx: Context,
  type: Type,
  data: CrudEvents[Type],
): void {
  const stream = "couponId" in data ? `coupon:${data.couponId}` : `promotion:${data.promotionId}`;
  appendEvents(tx, ctx, [{ type, version: 1, stream, data }]);
}
