import { isCountryCode } from "../../kernel/country.ts";
import { isId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { findUnstorableText } from "../../kernel/text.ts";
import type {
  Coupon,
  LineFilter,
  NewCoupon,
  NewPromotion,
  Promotion,
  PromotionAction,
  PromotionConditions,
  PromotionFailure,
  PromotionId,
  PromotionPatch,
} from "./contract.ts";

type Invalid = Extract<PromotionFailure, { readonly code: "promotions.invalid" }>;

/** Largest amount of a rule, minor units. */
const amountMinorMax = 1_000_000_000_000;
const idsPerFilterMax = 1_000;

/** Makes a promotion. Pure. */
export function newPromotion(
  command: NewPromotion,
  id: PromotionId,
): Result<Promotion, PromotionFailure> {
  return checkPromotion({
    id,
    name: command.name,
    status: command.status ?? "active",
    trigger: command.trigger,
    priority: command.priority ?? 100,
    stacking: command.stacking ?? "combinable",
    stackingGroup: command.stackingGroup ?? null,
    action: command.action,
    conditions: command.conditions ?? {},
    startsAt: command.startsAt ?? null,
    endsAt: command.endsAt ?? null,
    usageLimit: command.usageLimit ?? null,
    usageLimitPerCustomer: command.usageLimitPerCustomer ?? null,
    usedCount: 0,
    version: 1,
  });
}

/** Merges a patch into a promotion. Pure. */
export function changePromotion(
  before: Promotion,
  patch: PromotionPatch,
): Result<Promotion, PromotionFailure> {
  const given = Object.fromEntries(
    Object.entries(patch).filter(([, value]) => value !== undefined),
  ) as Partial<Promotion>;
  return checkPromotion({ ...before, ...given, version: before.version + 1 });
}

/** Checks a coupon. @returns the first problem */
export function findCouponProblem(coupon: NewCoupon | Coupon): Invalid | undefined {
  if (!/^[A-Z0-9][A-Z0-9_.-]{0,63}$/.test(coupon.code.trim().toUpperCase())) {
    return invalid("code", "must be 1 to 64 letters, digits, _ . or -, a letter or digit first");
  }
  return findLimitProblem("usageLimit", coupon.usageLimit ?? null);
}

function checkPromotion(promotion: Promotion): Result<Promotion, PromotionFailure> {
  const { name, stackingGroup, startsAt, endsAt, usageLimit, usedCount, priority } = promotion;
  const bad = findUnstorableText({ ...promotion, startsAt: null, endsAt: null });
  if (bad) return fail(invalid(bad, "contains a NUL or half a surrogate pair"));
  if (name.trim() === "" || name.length > 200) {
    return fail(invalid("name", "must be a text of 1 to 200 characters"));
  }
  if (stackingGroup !== null && stackingGroup.length > 100) {
    return fail(invalid("stackingGroup", "has more than 100 characters"));
  }
  if (!Number.isSafeInteger(priority) || Math.abs(priority) > 1_000_000) {
    return fail(invalid("priority", "must be a whole number, at most 1,000,000"));
  }
  for (const [field, moment] of Object.entries({ startsAt, endsAt })) {
    if (moment && Number.isNaN(moment.getTime())) return fail(invalid(field, "must be a moment"));
  }
  if (startsAt && endsAt && startsAt >= endsAt) {
    return fail(invalid("endsAt", "must be after startsAt"));
  }
  if (usageLimit !== null && usageLimit < usedCount) {
    return fail(invalid("usageLimit", `has been used ${usedCount} times already`));
  }
  const problem =
    findLimitProblem("usageLimit", usageLimit) ??
    findLimitProblem("usageLimitPerCustomer", promotion.usageLimitPerCustomer) ??
    findActionProblem(promotion.action) ??
    findConditionProblem(promotion.conditions);
  return problem ? fail(problem) : ok(promotion);
}

function findActionProblem(action: PromotionAction): Invalid | undefined {
  switch (action.kind) {
    case "free_shipping":
      return undefined;
    case "percentage":
      return findBpsProblem(action.offBps) ?? findFilterProblem("action.lines", action.lines);
    case "fixed_amount":
      return (
        findAmountsProblem("action.amountsMinor", action.amountsMinor) ??
        findFilterProblem("action.lines", action.lines)
      );
    case "buy_x_get_y":
      return (
        findBpsProblem(action.offBps) ??
        findQuantityProblem("action.buyQuantity", action.buyQuantity) ??
        findQuantityProblem("action.getQuantity", action.getQuantity) ??
        findQuantityProblem("action.timesMax", action.timesMax) ??
        findFilterProblem("action.buyLines", action.buyLines) ??
        findFilterProblem("action.getLines", action.getLines)
      );
  }
}

function findConditionProblem(conditions: PromotionConditions): Invalid | undefined {
  const { minSubtotalMinor, minQuantity, lines, customerIds = [], countries = [] } = conditions;
  if (customerIds.length > idsPerFilterMax || !customerIds.every(isId)) {
    return invalid("conditions.customerIds", `must be at most ${idsPerFilterMax} ids`);
  }
  if (!countries.every(isCountryCode)) {
    return invalid("conditions.countries", "must be ISO 3166-1 alpha-2 codes");
  }
  return (
    findQuantityProblem("conditions.minQuantity", minQuantity) ??
    (minSubtotalMinor && findAmountsProblem("conditions.minSubtotalMinor", minSubtotalMinor)) ??
    findFilterProblem("conditions.lines", lines)
  );
}

function findFilterProblem(field: string, filter: LineFilter | undefined): Invalid | undefined {
  for (const ids of Object.values(filter ?? {}) as (readonly string[])[]) {
    if (ids.length > idsPerFilterMax || !ids.every(isId)) {
      return invalid(field, `must name at most ${idsPerFilterMax} ids of each kind`);
    }
  }
  return undefined;
}

function findAmountsProblem(
  field: string,
  amounts: Readonly<Record<string, number>>,
): Invalid | undefined {
  const entries = Object.entries(amounts);
  const isFine = entries.every(
    ([currency, amount]) =>
      /^[A-Z]{3}$/.test(currency) &&
      Number.isSafeInteger(amount) &&
      amount > 0 &&
      amount <= amountMinorMax,
  );
  if (isFine && entries.length > 0) return undefined;
  return invalid(field, "must give positive minor units by ISO 4217 code");
}

function findBpsProblem(bps: number): Invalid | undefined {
  if (Number.isInteger(bps) && bps >= 1 && bps <= 10_000) return undefined;
  return invalid("action.offBps", "must be 1 to 10,000 basis points");
}

function findQuantityProblem(field: string, quantity: number | undefined): Invalid | undefined {
  if (quantity === undefined) return undefined;
  if (Number.isInteger(quantity) && quantity >= 1 && quantity <= 10_000) return undefined;
  return invalid(field, "must be a whole number, 1 to 10,000");
}

function findLimitProblem(field: string, limit: number | null): Invalid | undefined {
  if (limit === null) return undefined;
  if (Number.isInteger(limit) && limit >= 1 && limit <= 2_000_000_000) return undefined;
  return invalid(field, "must be a whole number, 1 or more");
}

function invalid(field: string, reason: string): Invalid {
  return { code: "promotions.invalid", field, reason };
}
