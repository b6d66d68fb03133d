import { createReadStream } from "node:fs";
import { parse } from "csv-parse";

/** One row of the file that could be read. */
export interface SaleRow {
  readonly invoice: string;
  readonly sku: string;
  readonly description: string;
  /** Signed units; never 0. */
  readonly quantity: number;
  readonly at: Date;
  /** Unit price as written, without trailing zeros: `0.425`. */
  readonly unitPrice: string;
  /** Quantity times unit price, millionths of the currency's major unit; exact. */
  readonly amountMicro: number;
  /** Null for a guest. */
  readonly customer: string | null;
  readonly country: string;
  /** Line of the file, from 1, the header being line 1. */
  readonly line: number;
}

/** A row that could not be used, and why. */
export interface RefusedRow {
  readonly line: number;
  readonly reason: string;
  readonly raw: string;
}

/** Columns of the UCI "Online Retail" data set. @see https://archive.ics.uci.edu/dataset/352/online+retail */
export const columns = [
  "InvoiceNo",
  "StockCode",
  "Description",
  "Quantity",
  "InvoiceDate",
  "UnitPrice",
  "CustomerID",
  "Country",
] as const;

type RawRow = Readonly<Record<(typeof columns)[number], string>>;

/** The file does not have the columns of the data set. */
export class HeaderError extends Error {
  override readonly name = "HeaderError";
}

/**
 * Reads the rows of a file, good and bad, in order; one row in memory at a time.
 *
 * @throws HeaderError when a column is missing
 */
export async function* readRows(file: string): AsyncGenerator<SaleRow | RefusedRow> {
  const parser = createReadStream(file).pipe(
    parse({
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
      info: true,
      columns: checkHeader,
    }),
  );
  for await (const record of parser) {
    const { record: raw, info } = record as { record: RawRow; info: { lines: number } };
    const row = readRow(raw, info.lines);
    yield typeof row === "string"
      ? { line: info.lines, reason: row, raw: Object.values(raw).join(",").slice(0, 500) }
      : row;
  }
}

function checkHeader(header: readonly string[]): string[] {
  const missing = columns.filter((column) => !header.includes(column));
  if (missing.length === 0) return [...header];
  throw new HeaderError(
    `the file lacks the columns ${missing.join(", ")}; expected ${columns.join(",")}`,
  );
}

/** @returns the row, or why it cannot be used */
function readRow(raw: RawRow, line: number): SaleRow | string {
  const invoice = raw.InvoiceNo?.trim() ?? "";
  const sku = raw.StockCode?.trim() ?? "";
  const quantity = Number(raw.Quantity);
  const at = readTime(raw.InvoiceDate ?? "");
  const micro = readMicro(raw.UnitPrice ?? "");
  if (!/^[A-Z]?\d{1,12}$/.test(invoice)) return `InvoiceNo "${invoice}" is not a number`;
  if (sku === "" || sku.length > 60) return "StockCode is empty or too long";
  if (!Number.isInteger(quantity) || quantity === 0)
    return `Quantity "${raw.Quantity}" is no whole number`;
  if (!at) return `InvoiceDate "${raw.InvoiceDate}" is not a date and time`;
  if (micro === undefined) return `UnitPrice "${raw.UnitPrice}" is not a price`;
  const amountMicro = quantity * micro;
  if (!Number.isSafeInteger(amountMicro)) return "Quantity times UnitPrice is too large";
  return {
    invoice,
    sku,
    description: (raw.Description ?? "").replace(/\s+/g, " ").trim(),
    quantity,
    at,
    unitPrice: plainDecimal(micro),
    amountMicro,
    customer: (raw.CustomerID ?? "").trim().replace(/\.0$/, "") || null,
    country: (raw.Country ?? "").trim(),
    line,
  };
}

/** `2010-12-01 08:26:00` or ISO 8601; times without a zone are taken as UTC. */
function readTime(text: string): Date | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})(:\d{2})?/.exec(text.trim());
  if (!match) return undefined;
  const at = new Date(`${match[1]}T${match[2]}${match[3] ?? ":00"}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

function readMicro(text: string): number | undefined {
  const match = /^(-?)(\d{1,9})(?:\.(\d{1,6}))?$/.exec(text.trim());
  if (!match) return undefined;
  return Number(`${match[1]}${match[2]}${(match[3] ?? "").padEnd(6, "0")}`);
}

function plainDecimal(micro: number): string {
  const digits = Math.abs(micro).toString().padStart(7, "0");
  const fraction = digits.slice(-6).replace(/0+$/, "");
  return `${micro < 0 ? "-" : ""}${digits.slice(0, -6)}${fraction ? `.${fraction}` : ""}`;
}
