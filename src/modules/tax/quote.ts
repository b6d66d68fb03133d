import { closestByArea } from "../../kernel/area.ts";
import { allocate } from "../../kernel/money.ts";
import type {
  TaxedAmount,
  TaxProvider,
  TaxQuote,
  TaxRate,
  TaxRequest,
  TaxTable,
  TaxZone,
} from "./contract.ts";

/**
 * Computes the taxes of a request by a table. Pure.
 *
 * Each line is rounded once, half away from zero, on its total after discounts; the sum is the sum
 * of rounded lines, so that a receipt adds up. Where several taxes meet in one line, the line's tax
 * is rounded first and then split over them by largest remainder.
 */
export function quoteTax(request: TaxRequest, table: TaxTable): TaxQuote {
  const zone = request.destination && closestByArea(table.zones, request.destination);
  if (!zone) return untaxed(request);
  const rates = table.rates.filter((rate) => rate.zoneId === zone.id);
  const lines = request.lines.map(({ amountMinor, category }) =>
    taxAmount(amountMinor, ratesOf(rates, category), zone),
  );
  const { shipping } = request;
  const shippingRates = ratesOf(rates, shipping?.category ?? null).filter(
    (rate) => rate.appliesToShipping,
  );
  const taxedShipping = shipping && taxAmount(shipping.amountMinor, shippingRates, zone);
  const taxMinor = lines.reduce((sum, line) => sum + line.taxMinor, taxedShipping?.taxMinor ?? 0);
  return {
    zoneId: zone.id,
    priceIncludesTax: zone.priceIncludesTax,
    lines,
    shipping: taxedShipping,
    taxMinor,
  };
}

/** The built-in provider: a table held in memory, answered at once. */
export function createTableTaxProvider(table: TaxTable): TaxProvider {
  return { name: "table", quote: async (request) => quoteTax(request, table) };
}

/** The rates of a category in a zone: its own, or else those of no category. */
function ratesOf(rates: readonly TaxRate[], category: string | null): readonly TaxRate[] {
  const own = rates.filter((rate) => rate.category !== null && rate.category === category);
  return own.length > 0 ? own : rates.filter((rate) => rate.category === null);
}

/**
 * Splits an amount into net and tax, exactly.
 *
 * With simple rates s1… and compound rates c1…, gross = net × (1 + Σs) × Π(1 + c). All arithmetic is
 * on fractions of whole numbers; only the final tax is rounded.
 */
function taxAmount(amountMinor: number, rates: readonly TaxRate[], zone: TaxZone): TaxedAmount {
  const { numerator, denominator, shares } = factorOf(rates);
  const taxed = BigInt(amountMinor) * (numerator - denominator);
  const taxMinor = divideRounded(taxed, zone.priceIncludesTax ? numerator : denominator);
  const netMinor = zone.priceIncludesTax ? amountMinor - taxMinor : amountMinor;
  const taxes = rates.length === 0 ? [] : allocate(taxMinor, shares);
  return {
    netMinor,
    taxMinor,
    grossMinor: netMinor + taxMinor,
    components: rates.map(({ name, rateBps }, index) => ({
      name,
      rateBps,
      taxMinor: taxes[index] ?? 0,
    })),
  };
}

/** Gross over net as a fraction, and each rate's part in the tax as a weight. */
interface Factor {
  readonly numerator: bigint;
  readonly denominator: bigint;
  readonly shares: readonly number[];
}

const whole = 10_000n;

function factorOf(rates: readonly TaxRate[]): Factor {
  const simpleBps = rates.reduce((sum, rate) => sum + (rate.isCompound ? 0 : rate.rateBps), 0);
  const compound = rates.filter((rate) => rate.isCompound);
  let numerator = whole + BigInt(simpleBps);
  const portions = new Map<TaxRate, bigint>();
  for (const rate of compound) {
    portions.set(rate, numerator * BigInt(rate.rateBps));
    for (const [other, portion] of portions) {
      if (other !== rate) portions.set(other, portion * whole);
    }
    numerator *= whole + BigInt(rate.rateBps);
  }
  const scale = whole ** BigInt(compound.length);
  const shares = rates.map((rate) =>
    Number(rate.isCompound ? (portions.get(rate) ?? 0n) : BigInt(rate.rateBps) * scale),
  );
  return { numerator, denominator: whole * scale, shares };
}

function divideRounded(numerator: bigint, denominator: bigint): number {
  const sign = numerator < 0n ? -1n : 1n;
  const magnitude = numerator < 0n ? -numerator : numerator;
  return Number(sign * ((magnitude * 2n + denominator) / (denominator * 2n)));
}

function untaxed({ lines, shipping }: TaxRequest): TaxQuote {
  const plain = (amountMinor: number): TaxedAmount => ({
    netMinor: amountMinor,
    taxMinor: 0,
    grossMinor: amountMinor,
    components: [],
  });
  return {
    zoneId: null,
    priceIncludesTax: false,
    lines: lines.map((line) => plain(line.amountMinor)),
    shipping: shipping && plain(shipping.amountMinor),
    taxMinor: 0,
  };
}
