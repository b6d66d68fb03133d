import { money } from "../../kernel/money.ts";
import type { UnitPrice, VariantQuote } from "./contract.ts";

/**
 * The unit price of a quantity: the tier with the greatest minimum not above it.
 *
 * @returns undefined when the variant has no price in the quote's currency, or none for so few
 */
export function unitPriceOf(quote: VariantQuote, quantity: number): UnitPrice | undefined {
  const tier = quote.tiers.findLast(({ minQuantity }) => minQuantity <= quantity);
  if (!tier) return undefined;
  const compareAt =
    tier.compareAtMinor === null ? null : money(tier.compareAtMinor, quote.currency);
  return { price: money(tier.amountMinor, quote.currency), compareAt };
}
