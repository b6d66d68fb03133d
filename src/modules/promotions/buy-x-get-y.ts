import { basisPointsOf } from "../../kernel/money.ts";
import type { PromotionAction, PromotionLine } from "./contract.ts";
import { matchesLine } from "./eligibility.ts";

type BuyXGetY = Extract<PromotionAction, { readonly kind: "buy_x_get_y" }>;

/**
 * Prices "buy X, get Y": it holds as often as X bought units pay for Y discounted ones.
 *
 * Units to be bought are taken where they cannot be got themselves, then from the dearest; units
 * to be got from the cheapest: the discount goes to the cheaper unit, as shops mean it. No unit
 * counts twice.
 *
 * @param remainingMinor what earlier discounts left of each line
 * @returns discount per line, 0 to what is left of it
 */
export function buyXGetY(
  lines: readonly PromotionLine[],
  remainingMinor: readonly number[],
  action: BuyXGetY,
): readonly number[] {
  const unitMinor = lines.map((line, index) => (remainingMinor[index] ?? 0) / line.quantity);
  const canGet = lines.map((line) => matchesLine(action.getLines, line));
  const canBuy = lines.map((line) => matchesLine(action.buyLines, line));
  const indexes = lines.map((_, index) => index);
  const byPrice = (a: number, b: number) => (unitMinor[a] ?? 0) - (unitMinor[b] ?? 0) || b - a;
  const getOrder = indexes.filter((index) => canGet[index]).toSorted(byPrice);
  const buyOrder = indexes
    .filter((index) => canBuy[index])
    .toSorted((a, b) => Number(canGet[a]) - Number(canGet[b]) || byPrice(b, a));
  const quantities = lines.map((line) => line.quantity);
  const gainedBy = (times: number): readonly number[] | undefined => {
    const left = take(quantities, buyOrder, times * action.buyQuantity);
    const after = left && take(left, getOrder, times * action.getQuantity);
    return after && left.map((quantity, index) => quantity - (after[index] ?? 0));
  };
  const got = gainedBy(timesOf(quantities, action, gainedBy)) ?? quantities.map(() => 0);
  return lines.map((line, index) => {
    const left = BigInt(remainingMinor[index] ?? 0);
    const share = Number((left * BigInt(got[index] ?? 0)) / BigInt(line.quantity));
    return basisPointsOf(share, action.offBps);
  });
}

/** How often it holds: found by halving, because whatever suffices n times suffices n - 1 times. */
function timesOf(
  quantities: readonly number[],
  { buyQuantity, getQuantity, timesMax = Number.MAX_SAFE_INTEGER }: BuyXGetY,
  gainedBy: (times: number) => unknown,
): number {
  const units = quantities.reduce((sum, quantity) => sum + quantity, 0);
  let low = 0;
  let high = Math.min(timesMax, Math.floor(units / (buyQuantity + getQuantity)));
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (gainedBy(middle) === undefined) high = middle - 1;
    else low = middle;
  }
  return low;
}

/** Takes units from lines in an order. @returns what is left of each; undefined if it is too little */
function take(
  quantities: readonly number[],
  order: readonly number[],
  wanted: number,
): readonly number[] | undefined {
  const left = [...quantities];
  let missing = wanted;
  for (const index of order) {
    const taken = Math.min(missing, left[index] ?? 0);
    left[index] = (left[index] ?? 0) - taken;
    missing -= taken;
  }
  return missing === 0 ? left : undefined;
}
