import type { Destination } from "../../kernel/area.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { UnitPrice, VariantQuote } from "../catalog/contract.ts";
import type { PromotionCart, PromotionOutcome, PromotionRule } from "../promotions/contract.ts";
import type { ShippingCart, ShippingQuote, ShippingTable } from "../shipping/contract.ts";
import type { TaxQuote, TaxRequest, TaxTable } from "../tax/contract.ts";
import type { CartAddress, CartFailure, CartLine, PricedCart, PricedLine } from "./contract.ts";

/** The pure rules of the modules that know prices; `app.ts` provides them. */
export interface PricingRules {
  readonly unitPriceOf: (quote: VariantQuote, quantity: number) => UnitPrice | undefined;
  readonly applyPromotions: (
    cart: PromotionCart,
    rules: readonly PromotionRule[],
  ) => PromotionOutcome;
  /** Offers for a destination, in order. */
  readonly quoteShipping: (
    cart: ShippingCart,
    destination: Destination,
    table: ShippingTable,
  ) => readonly ShippingQuote[];
  readonly quoteTax: (request: TaxRequest, table: TaxTable) => TaxQuote;
}

/** What prices depend on, as of one moment. */
export interface PricingTables {
  readonly quotes: ReadonlyMap<string, VariantQuote>;
  readonly promotions: readonly PromotionRule[];
  readonly shipping: ShippingTable;
  readonly tax: TaxTable;
}

/** The part of a cart that prices depend on. */
export interface PriceableCart {
  readonly currency: string;
  readonly lines: readonly CartLine[];
  readonly customerId: string | null;
  readonly shippingAddress: CartAddress | null;
  readonly shippingMethodId: string | null;
  readonly couponCodes: readonly string[];
}

interface QuotedLine extends CartLine {
  readonly quote: VariantQuote;
  readonly unitPriceMinor: number;
  readonly compareAtMinor: number | null;
}

/** Prices carts by the rules of catalog, promotions, shipping and tax. */
export interface Pricing {
  /** Prices a cart: lines, promotions, shipping, tax, totals; each step exact in minor units. */
  price(cart: PriceableCart, tables: PricingTables, now: Date): Result<PricedCart, CartFailure>;
  /** What shipping would cost, per method; empty without an address. */
  shippingOptions(
    cart: PriceableCart,
    tables: PricingTables,
    now: Date,
  ): Result<readonly ShippingQuote[], CartFailure>;
}

/** Puts the rules together. */
export function createPricing(rules: PricingRules): Pricing {
  return {
    price: (cart, tables, now) => priceCart(rules, cart, tables, now),
    shippingOptions(cart, tables, now) {
      const lines = quoteLines(rules, cart, tables);
      if (!lines.ok) return lines;
      const discounts = discountLines(rules, cart, lines.value, { tables, now, shippingMinor: 0 });
      return ok(offers(rules, cart, lines.value, { tables, discounts }));
    },
  };
}

function priceCart(
  rules: PricingRules,
  cart: PriceableCart,
  tables: PricingTables,
  now: Date,
): Result<PricedCart, CartFailure> {
  const quoted = quoteLines(rules, cart, tables);
  if (!quoted.ok) return quoted;
  const lines = quoted.value;
  // Line discounts do not depend on shipping, but the shipping rate depends on what is left after
  // them; hence once without and, when a method is chosen, once with the shipping price.
  const before = discountLines(rules, cart, lines, { tables, now, shippingMinor: 0 });
  const method = chosenMethod(rules, cart, lines, { tables, discounts: before });
  if (method === "unknown") {
    const shippingMethodId = cart.shippingMethodId ?? "";
    return fail({ code: "carts.unknown_shipping_method", shippingMethodId });
  }
  const shippingMinor = method?.amountMinor ?? 0;
  const discounts =
    shippingMinor > 0 ? discountLines(rules, cart, lines, { tables, now, shippingMinor }) : before;
  const taxes = rules.quoteTax(taxRequest(cart, lines, discounts, method), tables.tax);
  return ok(summarise(cart, lines, discounts, { method, taxes }));
}

function quoteLines(
  rules: PricingRules,
  cart: PriceableCart,
  tables: PricingTables,
): Result<readonly QuotedLine[], CartFailure> {
  const lines: QuotedLine[] = [];
  for (const line of cart.lines) {
    const { variantId, quantity } = line;
    const quote = tables.quotes.get(variantId);
    if (!quote?.isPublished) return fail({ code: "carts.unknown_variant", variantId });
    const unit = rules.unitPriceOf(quote, quantity);
    if (!unit) return fail({ code: "carts.no_price", variantId, currency: cart.currency });
    lines.push({
      variantId,
      quantity,
      quote,
      unitPriceMinor: unit.price.amountMinor,
      compareAtMinor: unit.compareAt?.amountMinor ?? null,
    });
  }
  return ok(lines);
}

interface Discounting {
  readonly tables: PricingTables;
  readonly now: Date;
  readonly shippingMinor: number;
}

function discountLines(
  rules: PricingRules,
  cart: PriceableCart,
  lines: readonly QuotedLine[],
  { tables, now, shippingMinor }: Discounting,
): PromotionOutcome {
  return rules.applyPromotions(
    {
      currency: cart.currency,
      lines: lines.map(({ quote, variantId, quantity, unitPriceMinor }) => ({
        variantId,
        productId: quote.productId,
        collectionIds: quote.collectionIds,
        quantity,
        unitPriceMinor,
      })),
      codes: cart.couponCodes,
      customerId: cart.customerId,
      countryCode: cart.shippingAddress?.countryCode ?? null,
      shippingMinor,
      now,
    },
    tables.promotions,
  );
}

interface Offering {
  readonly tables: PricingTables;
  readonly discounts: PromotionOutcome;
}

function offers(
  rules: PricingRules,
  cart: PriceableCart,
  lines: readonly QuotedLine[],
  { tables, discounts }: Offering,
): readonly ShippingQuote[] {
  if (!cart.shippingAddress) return [];
  const shippingCart: ShippingCart = {
    currency: cart.currency,
    subtotalMinor: sum(lines.map(lineSubtotal)) - sum(discounts.lineDiscountsMinor),
    weightGrams: sum(lines.map(({ quote, quantity }) => quote.weightGrams * quantity)),
  };
  return rules.quoteShipping(shippingCart, destinationOf(cart.shippingAddress), tables.shipping);
}

function chosenMethod(
  rules: PricingRules,
  cart: PriceableCart,
  lines: readonly QuotedLine[],
  offering: Offering,
): ShippingQuote | null | "unknown" {
  if (cart.shippingMethodId === null || !cart.shippingAddress) return null;
  const offered = offers(rules, cart, lines, offering);
  return offered.find(({ methodId }) => methodId === cart.shippingMethodId) ?? "unknown";
}

function taxRequest(
  cart: PriceableCart,
  lines: readonly QuotedLine[],
  discounts: PromotionOutcome,
  method: ShippingQuote | null,
): TaxRequest {
  return {
    currency: cart.currency,
    lines: lines.map((line, index) => ({
      amountMinor: lineSubtotal(line) - (discounts.lineDiscountsMinor[index] ?? 0),
      category: line.quote.taxCategory,
    })),
    shipping: method && {
      amountMinor: method.amountMinor - discounts.shippingDiscountMinor,
      category: method.taxCategory,
    },
    destination: cart.shippingAddress && destinationOf(cart.shippingAddress),
  };
}

interface Priced {
  readonly method: ShippingQuote | null;
  readonly taxes: TaxQuote;
}

function summarise(
  cart: PriceableCart,
  lines: readonly QuotedLine[],
  discounts: PromotionOutcome,
  { method, taxes }: Priced,
): PricedCart {
  const priced = lines.map((line, index) => priceLine(line, index, discounts, taxes));
  const discountMinor = sum(discounts.lineDiscountsMinor) + discounts.shippingDiscountMinor;
  return {
    currency: cart.currency,
    lines: priced,
    shipping: method && {
      methodId: method.methodId,
      name: method.name,
      priceMinor: method.amountMinor,
      netMinor: taxes.shipping?.netMinor ?? 0,
      taxMinor: taxes.shipping?.taxMinor ?? 0,
    },
    promotions: discounts.applied.map((applied) => ({
      promotionId: applied.promotionId,
      couponId: applied.couponId,
      code: applied.code,
      name: applied.name,
      discountMinor: applied.discountMinor,
    })),
    refusedCodes: discounts.refused.flatMap(({ code, reason }) => (code ? [{ code, reason }] : [])),
    priceIncludesTax: taxes.priceIncludesTax,
    subtotalMinor: sum(lines.map(lineSubtotal)),
    discountMinor,
    shippingMinor: method?.amountMinor ?? 0,
    taxMinor: taxes.taxMinor,
    totalMinor: sum(priced.map(({ totalMinor }) => totalMinor)) + (taxes.shipping?.grossMinor ?? 0),
  };
}

function priceLine(
  line: QuotedLine,
  index: number,
  discounts: PromotionOutcome,
  taxes: TaxQuote,
): PricedLine {
  const taxed = taxes.lines[index];
  const discountMinor = discounts.lineDiscountsMinor[index] ?? 0;
  const pricedMinor = lineSubtotal(line) - discountMinor;
  return {
    variantId: line.variantId,
    quantity: line.quantity,
    productId: line.quote.productId,
    sku: line.quote.sku,
    title: line.quote.title,
    unitPriceMinor: line.unitPriceMinor,
    compareAtMinor: line.compareAtMinor,
    discountMinor,
    taxMinor: taxed?.taxMinor ?? 0,
    netMinor: taxed?.netMinor ?? pricedMinor,
    totalMinor: taxed?.grossMinor ?? pricedMinor,
  };
}

function lineSubtotal(line: QuotedLine): number {
  return line.unitPriceMinor * line.quantity;
}

function destinationOf(address: CartAddress): Destination {
  return {
    countryCode: address.countryCode,
    region: address.region,
    postalCode: address.postalCode,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
