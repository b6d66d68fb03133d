import { formatMinor } from "../../kernel/money.ts";
import type { Order, OrderLine } from "../orders/contract.ts";

/** Writes an order as a receipt: a small HTML page without scripts or outside references. */
export function renderReceipt(order: Order, brand: string): string {
  const { currency, totals } = order;
  const amount = (minor: number) => `${formatMinor(minor, currency)} ${currency}`;
  const sum = (label: string, minor: number) =>
    `<tr><th colspan="3" scope="row">${escapeHtml(label)}</th><td>${amount(minor)}</td></tr>`;
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><title>Receipt ${order.number}</title>`,
    "<style>body{font:16px/1.5 system-ui;max-width:42rem;margin:2rem auto;padding:0 1rem}",
    "table{width:100%;border-collapse:collapse}td,th{padding:.4rem;border-bottom:1px solid #ddd;",
    "text-align:right}td:first-child,th{text-align:left}</style></head><body>",
    `<h1>${escapeHtml(brand)}</h1>`,
    `<p>Receipt for order <strong>${order.number}</strong>, ${order.placedAt.toISOString().slice(0, 10)}</p>`,
    "<table><thead><tr><th>Item</th><th>Quantity</th><th>Each</th><th>Total</th></tr></thead><tbody>",
    ...order.lines.map((line) => row(line, amount)),
    "</tbody><tfoot>",
    sum("Subtotal", totals.subtotalMinor),
    ...(totals.discountMinor > 0 ? [sum("Discount", -totals.discountMinor)] : []),
    ...(order.shippingMethod ? [sum(order.shippingMethod.name, totals.shippingMinor)] : []),
    sum(order.priceIncludesTax ? "Included tax" : "Tax", totals.taxMinor),
    sum("Total", totals.totalMinor),
    "</tfoot></table></body></html>",
  ].join("");
}

function row(line: OrderLine, amount: (minor: number) => string): string {
  const unit = line.unitPriceExact ?? amount(line.unitPriceMinor);
  return (
    `<tr><td>${escapeHtml(line.title)}<br><small>${escapeHtml(line.sku)}</small></td>` +
    `<td>${line.quantity}</td><td>${unit}</td><td>${amount(line.totalMinor)}</td></tr>`
  );
}

function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
