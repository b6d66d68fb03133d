const formats = new Map<string, Intl.NumberFormat>();

function formatOf(currency: string): Intl.NumberFormat {
  let format = formats.get(currency);
  if (!format) {
    format = new Intl.NumberFormat(undefined, { style: "currency", currency });
    formats.set(currency, format);
  }
  return format;
}

/** Decimal places of a currency, ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD. */
export function exponentOf(currency: string): number {
  return formatOf(currency).resolvedOptions().maximumFractionDigits ?? 2;
}

/** Writes an amount of minor units as people write it: 1999 EUR is "€19.99". */
export function formatMoney(amountMinor: number, currency: string): string {
  const exponent = exponentOf(currency);
  // Exact: a decimal literal, which Intl takes without a detour over binary fractions.
  return formatOf(currency).format(decimalOf(amountMinor, exponent) as Intl.StringNumericLiteral);
}

/** An amount as a plain decimal, for input fields: 1999 with exponent 2 is "19.99". */
export function decimalOf(amountMinor: number, exponent: number): string {
  const digits = String(Math.abs(amountMinor)).padStart(exponent + 1, "0");
  const sign = amountMinor < 0 ? "-" : "";
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * Reads what somebody typed: "19.99", "19,9", "20".
 *
 * @returns minor units, or undefined when it is no amount or has more places than the currency
 */
export function readMinor(text: string, currency: string): number | undefined {
  const match = /^\s*(-?)(\d{1,12})(?:[.,](\d*))?\s*$/.exec(text);
  const exponent = exponentOf(currency);
  if (!match || (match[3] ?? "").length > exponent) return undefined;
  const minor = Number(`${match[2]}${(match[3] ?? "").padEnd(exponent, "0")}`);
  return match[1] ? -minor : minor;
}
