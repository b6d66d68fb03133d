import { basisPointsOf } from "../../kernel/money.ts";
import type { PromotionAction, PromotionLine } from "./contract.ts";
import { matchesLine } from "./eligibility.ts";

type BuyXGetY = Extract<PromotionAction, { readonly kind: "buy_x_get_y" }>;

/**
 * Prices "buy X, get Y": each time, X bought units pay for Y discounted ones.
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
  const free = lines.map((line) => line.quantity);
  const got = lines.map(() => 0);
  const unitMinor = lines.map((line, index) => (remainingMinor[index] ?? 0) / line.quantity);
  const canGet = lines.map((line) => matchesLine(action.getLines, line));
  const indexes = lines.map((_, index) => index);
  const byPrice = (a: number, b: number) => (unitMinor[a] ?? 0) - (unitMinor[b] ?? 0) || b - a;
  const getOrder = indexes.filter((index) => canGet[index]).toSorted(byPrice);
  const buyOrder = indexes
    .filter((index) => matchesLine(action.buyLines, lines[index] as PromotionLine))
    .toSorted((a, b) => Number(canGet[a]) - Number(canGet[b]) || byPrice(b, a));

  const units = free.reduce((sum, quantity) => sum + quantity, 0);
  const timesMax = Math.min(
    action.timesMax ?? Number.POSITIVE_INFINITY,
    Math.floor(units / (action.buyQuantity + action.getQuantity)),
  );
  for (let time = 0; time < timesMax; time++) {
    const bought = take(free, buyOrder, action.buyQuantity);
    const gained = bought && take(free, getOrder, action.getQuantity);
    if (!gained) break;
    for (const [index, quantity] of gained) got[index] = (got[index] ?? 0) + quantity;
  }
  return lines.map((line, index) => {
    const left = BigInt(remainingMinor[index] ?? 0);
    const share = Number((left * BigInt(got[index] ?? 0)) / BigInt(line.quantity));
    return basisPointsOf(share, action.offBps);
  });
}

/** Takes units from lines in an order. @returns line index and units; undefined if too few are left */
function take(
  free: number[],
  order: readonly number[],
  wanted: number,
): readonly (readonly [index: number, quantity: number])[] | undefined {
  const taken: (readonly [number, number])[] = [];
  let missing = wanted;
  for (const index of order) {
    if (missing === 0) break;
    const quantity = Math.min(missing, free[index] ?? 0);
    if (quantity === 0) continue;
    taken.push([index, quantity]);
    missing -= quantity;
  }
  if (missing > 0) return undefined;
  for (const [index, quantity] of taken) free[index] = (free[index] ?? 0) - quantity;
  return taken;
}
