import { assert } from "./assert.ts";

/** An amount in the currency's minor unit (cents for EUR, yen for JPY; ISO 4217). */
export interface Money {
  /** Signed integer count of minor units, at most 2^53 - 1 in magnitude. */
  readonly amountMinor: number;
  /** ISO 4217 alphabetic code, upper case. */
  readonly currency: string;
}

/** Decimal places where they differ from 2. @see https://www.six-group.com/en/products-services/financial-information/data-standards.html ISO 4217 list one */
const exponents: Readonly<Record<string, number>> = {
  BHD: 3,
  IQD: 3,
  JOD: 3,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  TND: 3,
  BIF: 0,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  ISK: 0,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  PYG: 0,
  RWF: 0,
  UGX: 0,
  UYI: 0,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
  CLF: 4,
  UYW: 4,
};

/** Number of decimal places of a currency, 0 to 4. */
export function currencyExponent(currency: string): number {
  return exponents[currency] ?? 2;
}

/** Makes an amount. @throws AssertionError when it is not a safe whole number */
export function money(amountMinor: number, currency: string): Money {
  assert(Number.isSafeInteger(amountMinor), "money: safe whole number of minor units");
  return { amountMinor, currency };
}

/** Adds two amounts. Mixing currencies is a programmer error. */
export function addMoney(a: Money, b: Money): Money {
  assert(a.currency === b.currency, "addMoney: one currency");
  return money(a.amountMinor + b.amountMinor, a.currency);
}

/** Multiplies an amount by a whole number; both stay exact. */
export function multiplyMoney(amount: Money, quantity: number): Money {
  assert(Number.isSafeInteger(quantity), "multiplyMoney: whole quantity");
  return money(amount.amountMinor * quantity, amount.currency);
}

/**
 * Splits a whole amount in proportion to weights; the parts always sum to the whole.
 *
 * Uses the largest-remainder method; ties go to the earlier part. All arithmetic is exact
 * (BigInt inside). With all weights 0 the first part takes everything.
 * @param amountMinor amount to split, may be negative
 * @param weights whole numbers, 0 or more, at least one
 */
export function allocate(amountMinor: number, weights: readonly number[]): number[] {
  assert(weights.length > 0, "allocate: at least one part");
  const total = weights.reduce((sum, weight) => sum + BigInt(weight), 0n);
  if (total === 0n) return weights.map((_, index) => (index === 0 ? amountMinor : 0));
  const sign = amountMinor < 0 ? -1 : 1;
  const whole = BigInt(Math.abs(amountMinor));
  const parts = weights.map((weight, index) => {
    const scaled = whole * BigInt(weight);
    return { index, share: Number(scaled / total), remainder: scaled % total };
  });
  const missing = Math.abs(amountMinor) - parts.reduce((sum, part) => sum + part.share, 0);
  const byRemainder = parts.toSorted((a, b) =>
    a.remainder === b.remainder ? a.index - b.index : a.remainder < b.remainder ? 1 : -1,
  );
  const extra = new Set(byRemainder.slice(0, missing).map((part) => part.index));
  return parts.map((part) => sign * (part.share + (extra.has(part.index) ? 1 : 0)) || 0);
}

/**
 * Takes a rate in basis points of an amount, rounding half away from zero.
 *
 * @param rateBps basis points: 2000 is 20 %
 */
export function basisPointsOf(amountMinor: number, rateBps: number): number {
  return divideRounded(BigInt(amountMinor) * BigInt(rateBps), 10_000n);
}

/**
 * The part of a gross amount that is included tax: gross - gross / (1 + rate), half away from zero.
 *
 * @param rateBps basis points: 2000 is 20 %
 */
export function includedTaxOf(grossMinor: number, rateBps: number): number {
  return divideRounded(BigInt(grossMinor) * BigInt(rateBps), 10_000n + BigInt(rateBps));
}

function divideRounded(numerator: bigint, denominator: bigint): number {
  const sign = numerator < 0n ? -1n : 1n;
  const magnitude = numerator < 0n ? -numerator : numerator;
  return Number(sign * ((magnitude * 2n + denominator) / (denominator * 2n)));
}

/** Writes an amount as a decimal with the currency's places, `19.99 EUR`. */
export function formatMoney({ amountMinor, currency }: Money): string {
  return `${formatMinor(amountMinor, currency)} ${currency}`;
}

/** Writes minor units as a plain decimal, `-0.05`. */
export function formatMinor(amountMinor: number, currency: string): string {
  const places = currencyExponent(currency);
  const digits = Math.abs(amountMinor)
    .toString()
    .padStart(places + 1, "0");
  const sign = amountMinor < 0 ? "-" : "";
  if (places === 0) return sign + digits;
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/**
 * Reads a plain decimal into minor units, exactly.
 *
 * @returns undefined when the text is not a decimal, has more places than the currency
 *   (trailing zeros aside), or is too large
 */
export function parseMinor(text: string, currency: string): number | undefined {
  const match = /^(-?)(\d{1,16})(?:\.(\d+))?$/.exec(text.trim());
  if (!match) return undefined;
  const places = currencyExponent(currency);
  const fraction = (match[3] ?? "").replace(/0+$/, "");
  if (fraction.length > places) return undefined;
  const amount = Number(`${match[1]}${match[2]}${fraction.padEnd(places, "0")}`);
  return Number.isSafeInteger(amount) ? amount || 0 : undefined;
}
