import { createHash } from "node:crypto";
import { present } from "../../kernel/assert.ts";
import type { SaleRow } from "./csv.ts";

/** A line of goods or a charge, with an amount in whole minor units. */
export interface PlannedLine {
  readonly sku: string;
  readonly title: string;
  /** 1 or more. */
  readonly quantity: number;
  readonly totalMinor: number;
  readonly unitPriceMinor: number;
  /** Given where the price has more places than the currency. */
  readonly unitPriceExact?: string;
}

/** What an invoice becomes. */
export type Planned = PlannedOrder | PlannedReturn | PlannedAdjustment;

interface PlannedBase {
  /** Deterministic UUIDv7 of the moment of the invoice: a second run finds the first one's work. */
  readonly id: string;
  readonly invoice: string;
  readonly at: Date;
  readonly customer: string | null;
  readonly country: string;
}

/** A sale. */
export interface PlannedOrder extends PlannedBase {
  readonly kind: "order";
  readonly lines: readonly PlannedLine[];
  readonly charges: readonly PlannedLine[];
}

/** A cancellation invoice, or the part of it that concerns one earlier order. */
export interface PlannedReturn extends PlannedBase {
  readonly kind: "return";
  /** Order the goods were bought with; null without a receipt. */
  readonly orderId: string | null;
  readonly lines: readonly PlannedReturnLine[];
}

/** One line of a return. */
export interface PlannedReturnLine {
  /** Line of the order; null without a receipt. */
  readonly lineNo: number | null;
  readonly sku: string;
  readonly title: string;
  readonly quantity: number;
  readonly refundMinor: number;
  /** Whether it is a product that goes back on the shelf. */
  readonly isProduct: boolean;
}

/** Stock that went without a sale. */
export interface PlannedAdjustment extends PlannedBase {
  readonly kind: "adjustment";
  readonly lines: readonly {
    readonly sku: string;
    readonly quantity: number;
    readonly note: string;
  }[];
}

/** Codes of the data set that are no products: postage, fees, discounts, corrections. */
const chargeCodes = new Set([
  "POST",
  "DOT",
  "M",
  "C2",
  "S",
  "D",
  "B",
  "CRUK",
  "AMAZONFEE",
  "BANK CHARGES",
]);

/** Whether a stock code stands for an amount and not for goods. */
export function isCharge(sku: string): boolean {
  return chargeCodes.has(sku.toUpperCase());
}

/** An id that depends on nothing but the invoice: same file, same ids. */
export function deterministicId(at: Date, ...parts: readonly string[]): string {
  const hash = createHash("sha256").update(parts.join("\u001f")).digest("hex");
  const time = at.getTime().toString(16).padStart(12, "0");
  const variant = ((Number.parseInt(hash[3] ?? "0", 16) & 3) | 8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}

interface BoughtLine {
  readonly orderId: string;
  readonly lineNo: number;
  readonly unitPrice: string;
  remaining: number;
}

/**
 * Turns invoices into orders, returns and adjustments, one after the other in the order of time.
 *
 * It remembers what every customer bought, so that a cancellation finds the order it belongs to: the
 * latest earlier line of the same customer, product and unit price that still has units.
 */
export interface Planner {
  /** @param rows rows of one invoice, 1 or more */
  plan(rows: readonly SaleRow[]): readonly Planned[];
}

/** Makes a planner for one file. */
export function createPlanner(): Planner {
  const bought = new Map<string, BoughtLine[]>();
  const round = createRounding();
  return {
    plan(rows) {
      const sold = rows.filter((row) => row.quantity > 0 && row.amountMicro >= 0);
      const back = rows.filter((row) => isReturned(row));
      const adjusted = rows.filter((row) => row.quantity < 0 && !isReturned(row));
      return [
        ...(sold.length > 0 ? [planOrder(sold, round, bought)] : []),
        ...(adjusted.length > 0 ? [planAdjustment(adjusted)] : []),
        ...(back.length > 0 ? planReturns(back, round, bought) : []),
      ];
    },
  };
}

/** A cancellation, or an amount given back: both give money back. Other negative rows move stock only. */
function isReturned(row: SaleRow): boolean {
  if (row.amountMicro < 0) return true;
  return row.quantity < 0 && row.invoice.startsWith("C");
}

/**
 * Rounds amounts to minor units and carries the fraction to the next one: prices with three places
 * never lose a penny of the sum. One carry per sign, so that sales and returns stay exact apart.
 */
function createRounding(): (amountMicro: number) => number {
  const carry = { positive: 0, negative: 0 };
  return (amountMicro) => {
    const side = amountMicro < 0 ? "negative" : "positive";
    const exact = Math.abs(amountMicro) + carry[side];
    const minor = Math.floor((exact + 5_000) / 10_000);
    carry[side] = exact - minor * 10_000;
    return minor;
  };
}

function baseOf(rows: readonly SaleRow[], ...parts: readonly string[]): PlannedBase {
  const first = present(rows[0], "an invoice has rows");
  const at = new Date(Math.min(...rows.map((row) => row.at.getTime())));
  return {
    id: deterministicId(at, first.invoice, ...parts),
    invoice: first.invoice,
    at,
    customer: first.customer,
    country: first.country,
  };
}

function planOrder(
  rows: readonly SaleRow[],
  round: (amountMicro: number) => number,
  bought: Map<string, BoughtLine[]>,
): PlannedOrder {
  const base = baseOf(rows, "order");
  const goods = rows.filter((row) => !isCharge(row.sku));
  const lines = goods.map((row) => planLine(row, round));
  for (const [index, row] of goods.entries()) {
    const key = boughtKey(row);
    if (!key) continue;
    const history = bought.get(key) ?? [];
    history.push({
      orderId: base.id,
      lineNo: index + 1,
      unitPrice: row.unitPrice,
      remaining: row.quantity,
    });
    bought.set(key, history);
  }
  const charges = rows.filter((row) => isCharge(row.sku)).map((row) => planLine(row, round));
  return { ...base, kind: "order", lines, charges };
}

function planLine(row: SaleRow, round: (amountMicro: number) => number): PlannedLine {
  const places = row.unitPrice.split(".")[1]?.length ?? 0;
  return {
    sku: row.sku,
    title: row.description || row.sku,
    quantity: row.quantity,
    totalMinor: round(row.amountMicro),
    unitPriceMinor: Math.round(Math.abs(row.amountMicro) / row.quantity / 10_000),
    ...(places > 2 ? { unitPriceExact: row.unitPrice } : {}),
  };
}

/** Guests have no history: nobody knows which guest comes back. */
function boughtKey(row: SaleRow): string | undefined {
  return row.customer && !isCharge(row.sku) ? `${row.customer}\u001f${row.sku}` : undefined;
}

function planAdjustment(rows: readonly SaleRow[]): PlannedAdjustment {
  return {
    ...baseOf(rows, "adjustment"),
    kind: "adjustment",
    lines: rows.map(({ sku, quantity, description }) => ({ sku, quantity, note: description })),
  };
}

function planReturns(
  rows: readonly SaleRow[],
  round: (amountMicro: number) => number,
  bought: Map<string, BoughtLine[]>,
): readonly PlannedReturn[] {
  const byOrder = new Map<string | null, PlannedReturnLine[]>();
  for (const row of rows) {
    for (const { orderId, ...line } of matchRow(row, round(row.amountMicro), bought)) {
      byOrder.set(orderId, [...(byOrder.get(orderId) ?? []), line]);
    }
  }
  return [...byOrder].map(([orderId, lines]) => ({
    ...baseOf(rows, "return", orderId ?? "no receipt"),
    kind: "return",
    orderId,
    lines,
  }));
}

type MatchedLine = PlannedReturnLine & { readonly orderId: string | null };

/** Spreads the units of a returned row over what the customer bought, latest first. */
function matchRow(
  row: SaleRow,
  refundMinor: number,
  bought: ReadonlyMap<string, BoughtLine[]>,
): readonly MatchedLine[] {
  const key = boughtKey(row);
  const history = (key ? bought.get(key) : undefined) ?? [];
  const isProduct = !isCharge(row.sku) && row.quantity < 0;
  const matched: MatchedLine[] = [];
  const common = { sku: row.sku, title: row.description || row.sku, isProduct };
  let units = Math.abs(row.quantity);
  let left = refundMinor;
  // Prices with more places than the currency are not split: their parts would not be whole.
  const splits = (row.unitPrice.split(".")[1]?.length ?? 0) <= 2;
  for (const line of splits ? history.toReversed() : []) {
    if (units === 0) break;
    if (line.remaining === 0 || line.unitPrice !== row.unitPrice) continue;
    const quantity = Math.min(units, line.remaining);
    const refund = Math.round((refundMinor * quantity) / Math.abs(row.quantity));
    line.remaining -= quantity;
    units -= quantity;
    left -= refund;
    const { orderId, lineNo } = line;
    matched.push({ ...common, orderId, lineNo, quantity, refundMinor: refund });
  }
  if (units > 0)
    matched.push({ ...common, orderId: null, lineNo: null, quantity: units, refundMinor: left });
  return matched;
}
