import { statSync } from "node:fs";
import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type { PricedCart, PricedLine } from "../../modules/carts/contract.ts";
import type { JournalId } from "../../modules/ledger/contract.ts";
import type { NewReturn, OrderId, ReturnId } from "../../modules/orders/contract.ts";
import type { AgreedOrder, Basket } from "../checkout/contract.ts";
import { type RefusedRow, readRows, type SaleRow } from "./csv.ts";
import type { OnlineRetailDeps } from "./deps.ts";
import {
  createPlanner,
  deterministicId,
  isCharge,
  type Planned,
  type PlannedAdjustment,
  type PlannedOrder,
  type PlannedReturn,
} from "./plan.ts";

/** How to import. */
export interface OnlineRetailImport {
  readonly tenantId: TenantId;
  readonly file: string;
  /** ISO 4217; the data set is in GBP. */
  readonly currency?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

/** How far an import is. */
export interface ImportProgress {
  readonly stage: "reading" | "importing";
  readonly done: number;
  readonly total: number;
}

/** What an import did. */
export interface ImportReport {
  readonly rows: number;
  readonly invoices: number;
  readonly orders: number;
  readonly returns: number;
  readonly adjustments: number;
  /** Done by an earlier run of the same file. */
  readonly known: number;
  readonly salesMinor: number;
  readonly returnsMinor: number;
  readonly refusedRows: readonly RefusedRow[];
  /** Invoices that the commands refused, and why. */
  readonly refusedInvoices: readonly { readonly invoice: string; readonly reason: string }[];
}

/** Invoices that are worked on together; those of a window do not wait for each other. */
const windowSize = 200;
/** Returns that are under way at once. */
const parallelMax = 16;

/**
 * Replays a shop's history through the same commands as HTTP: products appear when first sold, stock
 * is received as needed, invoices become paid orders, cancellations become returns with refunds.
 *
 * Every id is computed from the invoice, so a run that was killed is simply started again: what is
 * there already is recognised and passed over.
 */
export async function importOnlineRetail(
  deps: OnlineRetailDeps,
  request: OnlineRetailImport,
): Promise<ImportReport> {
  const { invoices, refusedRows, rows } = await readInvoices(request);
  const titles = findTitles(invoices);
  const planner = createPlanner();
  const planned = invoices.flatMap((each) => planner.plan(each));
  const run: Run = {
    deps,
    request,
    currency: request.currency ?? "GBP",
    titles,
    variants: new Map(),
    customers: new Map(),
    known: 0,
    refused: [],
  };
  for (let from = 0; from < planned.length; from += windowSize) {
    request.signal?.throwIfAborted();
    await importWindow(run, planned.slice(from, from + windowSize));
    const done = Math.min(planned.length, from + windowSize);
    request.onProgress?.({ stage: "importing", done, total: planned.length });
  }
  return summarise(run, { planned, rows, invoices: invoices.length, refusedRows });
}

interface Run {
  readonly deps: OnlineRetailDeps;
  readonly request: OnlineRetailImport;
  readonly currency: string;
  readonly titles: ReadonlyMap<string, string>;
  readonly variants: Map<string, string>;
  readonly customers: Map<string, string>;
  known: number;
  readonly refused: { invoice: string; reason: string }[];
}

async function readInvoices(request: OnlineRetailImport): Promise<{
  readonly invoices: readonly (readonly SaleRow[])[];
  readonly refusedRows: readonly RefusedRow[];
  readonly rows: number;
}> {
  const total = statSync(request.file).size;
  const byNumber = new Map<string, SaleRow[]>();
  const refusedRows: RefusedRow[] = [];
  let rows = 0;
  for await (const row of readRows(request.file)) {
    rows++;
    if (rows % 20_000 === 0) {
      request.signal?.throwIfAborted();
      request.onProgress?.({ stage: "reading", done: Math.min(total, rows * 85), total });
    }
    if ("reason" in row) refusedRows.push(row);
    else byNumber.set(row.invoice, [...(byNumber.get(row.invoice) ?? []), row]);
  }
  const invoices = [...byNumber.values()].toSorted((a, b) => timeOf(a) - timeOf(b));
  return { invoices, refusedRows, rows };
}

function timeOf(rows: readonly SaleRow[]): number {
  return present(rows[0], "an invoice has rows").at.getTime();
}

/** The best title of each product: the first description that says something. */
function findTitles(invoices: readonly (readonly SaleRow[])[]): ReadonlyMap<string, string> {
  const titles = new Map<string, string>();
  for (const row of invoices.flat()) {
    const says = /[A-Za-z]{3}/.test(row.description) && row.amountMicro > 0;
    if (says && !titles.has(row.sku)) titles.set(row.sku, row.description);
  }
  return titles;
}

async function importWindow(run: Run, window: readonly Planned[]): Promise<void> {
  const ctx = contextOf(run, present(window[0], "a window has invoices").at);
  await makeProducts(run, ctx, window);
  await makeCustomers(run, ctx, window);
  const orders = window.filter((each) => each.kind === "order");
  const adjustments = window.filter((each) => each.kind === "adjustment");
  const returns = window.filter((each) => each.kind === "return");
  const known = await run.deps.findOrders(
    ctx,
    orders.map(({ id }) => id),
  );
  const fresh = orders.filter(({ id }) => !known.has(id));
  run.known += known.size;
  // Only for what is still to be placed: a second run receives nothing.
  await receiveStock(run, ctx, fresh);
  await Promise.all(fresh.map((order) => settle(run, order, placeOrder(run, order))));
  for (const each of adjustments) await settle(run, each, adjust(run, each));
  await inParallel(returns, (each) => settle(run, each, takeBack(run, each)));
}

function contextOf({ request }: Run, at: Date): Context {
  return {
    tenantId: request.tenantId,
    actor: { kind: "system", id: "import" },
    requestId: `import-${newId()}`,
    occurredAt: at,
  };
}

async function inParallel<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < items.length; from += parallelMax) {
    await Promise.all(items.slice(from, from + parallelMax).map(work));
  }
}

/** Refusals that mean: an earlier run did this. */
const knownCodes = new Set(["checkout.order_exists", "orders.duplicate_id"]);

async function settle(run: Run, planned: Planned, work: Promise<Result<unknown>>): Promise<void> {
  const result = await work;
  if (result.ok) return;
  if (knownCodes.has(result.failure.code)) run.known++;
  else run.refused.push({ invoice: planned.invoice, reason: JSON.stringify(result.failure) });
}

async function makeProducts(run: Run, ctx: Context, window: readonly Planned[]): Promise<void> {
  const prices = new Map<string, number>();
  for (const planned of window) {
    for (const { sku, ...line } of planned.lines) {
      if (isCharge(sku) || run.variants.has(sku)) continue;
      const price = "unitPriceMinor" in line ? line.unitPriceMinor : 0;
      if (!prices.get(sku)) prices.set(sku, price);
    }
  }
  if (prices.size === 0) return;
  const skus = [...prices.keys()];
  for (const [sku, id] of await run.deps.findVariants(ctx, skus)) run.variants.set(sku, id);
  const missing = skus.filter((sku) => !run.variants.has(sku));
  if (missing.length === 0) return;
  await run.deps.upsertProducts(
    ctx,
    missing.map((sku) => ({
      handle: handleOf(sku),
      title: run.titles.get(sku) ?? sku,
      status: "published",
      variants: [{ sku, prices: [{ currency: run.currency, amountMinor: prices.get(sku) ?? 0 }] }],
    })),
  );
  for (const [sku, id] of await run.deps.findVariants(ctx, missing)) run.variants.set(sku, id);
}

/** Handles are lower case, SKUs are told apart by case: `85123a` and `85123A` are two products. */
function handleOf(sku: string): string {
  const spelled = sku.replace(/[a-z]+/g, (letters) => `-${letters}`);
  return spelled
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

async function makeCustomers(run: Run, ctx: Context, window: readonly Planned[]): Promise<void> {
  const numbers = new Set(window.flatMap(({ customer }) => customer ?? []));
  const missing = [...numbers].filter((number) => !run.customers.has(number));
  if (missing.length === 0) return;
  const ids = await run.deps.upsertGuests(
    ctx,
    missing.map((number) => ({ email: emailOf(number), name: `Customer ${number}` })),
  );
  for (const [at, number] of missing.entries()) run.customers.set(number, present(ids[at], "id"));
}

/** The set has no addresses; `.invalid` can never receive mail (RFC 2606). */
function emailOf(customer: string): string {
  return `customer-${customer}@online-retail.invalid`;
}

async function receiveStock(
  run: Run,
  ctx: Context,
  takers: readonly Pick<PlannedOrder | PlannedAdjustment, "lines">[],
): Promise<void> {
  const needs = new Map<string, number>();
  for (const { lines } of takers) {
    for (const { sku, quantity } of lines) {
      const variantId = run.variants.get(sku);
      if (!variantId) continue;
      needs.set(variantId, (needs.get(variantId) ?? 0) + Math.abs(quantity));
    }
  }
  if (needs.size > 0) await run.deps.ensureStock(ctx, needs, `import:${ctx.requestId}`);
}

function placeOrder(run: Run, order: PlannedOrder): Promise<Result<unknown>> {
  const lines = order.lines.map((line): PricedLine => {
    const subtotal = line.unitPriceMinor * line.quantity;
    return {
      variantId: present(run.variants.get(line.sku), `variant of ${line.sku}`),
      productId: "",
      sku: line.sku,
      title: run.titles.get(line.sku) ?? line.title,
      quantity: line.quantity,
      unitPriceMinor: line.unitPriceMinor,
      compareAtMinor: null,
      // What rounding a price with three places gives or takes is told as a discount of the line.
      discountMinor: Math.max(0, subtotal - line.totalMinor),
      taxMinor: 0,
      netMinor: line.totalMinor,
      totalMinor: line.totalMinor,
    };
  });
  const subtotalMinor = sum(lines.map((line) => line.totalMinor + line.discountMinor));
  const discountMinor = sum(lines.map((line) => line.discountMinor));
  const prices: PricedCart = {
    currency: run.currency,
    lines,
    shipping: null,
    promotions: [],
    refusedCodes: [],
    priceIncludesTax: true,
    subtotalMinor,
    discountMinor,
    shippingMinor: 0,
    taxMinor: 0,
    totalMinor: subtotalMinor - discountMinor,
  };
  const agreed: AgreedOrder = {
    basket: basketOf(run, order),
    prices,
    charges: order.charges,
    placedAt: order.at,
    exactUnitPrices: order.lines.map((line) => line.unitPriceExact),
  };
  return run.deps.placeOrder(contextOf(run, order.at), {
    orderId: order.id as OrderId,
    from: { agreed },
    payment: { provider: "manual" },
    externalReference: order.invoice,
    metadata: { country: order.country },
  });
}

function basketOf(run: Run, order: PlannedOrder): Basket {
  return {
    currency: run.currency,
    lines: order.lines.map(({ sku, quantity }) => ({
      variantId: present(run.variants.get(sku), `variant of ${sku}`),
      quantity,
    })),
    email: order.customer && emailOf(order.customer),
    customerId: (order.customer && run.customers.get(order.customer)) ?? null,
    shippingAddress: null,
    billingAddress: null,
    shippingMethodId: null,
    couponCodes: [],
  };
}

/** Asked first and stocked only when refused: a repetition of an earlier run needs no stock. */
async function adjust(run: Run, planned: PlannedAdjustment): Promise<Result<unknown>> {
  const adjusted = await takeAway(run, planned);
  if (adjusted.ok || adjusted.failure.code !== "inventory.insufficient_stock") return adjusted;
  await receiveStock(run, contextOf(run, planned.at), [planned]);
  return takeAway(run, planned);
}

function takeAway(run: Run, planned: PlannedAdjustment): Promise<Result<unknown>> {
  const notes = planned.lines.map(({ note }) => note.toLowerCase()).join(" ");
  const lost = /lost|missing|stolen|not found/.test(notes);
  const damaged = /damag|broken|faulty|mould|thrown|crush|wet|smash|destroy/.test(notes);
  return run.deps.adjustStock(contextOf(run, planned.at), {
    id: planned.id,
    reason: damaged ? "damaged" : lost ? "lost" : "correction",
    reference: `invoice:${planned.invoice}`,
    lines: planned.lines.map(({ sku, quantity }) => ({
      variantId: present(run.variants.get(sku), `variant of ${sku}`),
      quantity,
    })),
  });
}

async function takeBack(run: Run, planned: PlannedReturn): Promise<Result<unknown>> {
  const ctx = contextOf(run, planned.at);
  const amountMinor = sum(planned.lines.map(({ refundMinor }) => refundMinor));
  const returned = await run.deps.returnGoods(ctx, returnOf(run, planned));
  const recorded = returned.ok || knownCodes.has(returned.failure.code);
  if (!recorded || amountMinor === 0 || planned.orderId !== null) return returned;
  // A run that was killed may have recorded the return and not yet paid it out: both repeat safely.
  const paid = await payInCash(run, ctx, planned, amountMinor);
  return paid.ok ? returned : paid;
}

function returnOf(run: Run, planned: PlannedReturn): NewReturn {
  const common = {
    id: planned.id as ReturnId,
    reason: "cancelled invoice",
    externalReference: planned.invoice,
    createdAt: planned.at,
  };
  if (planned.orderId !== null) {
    return {
      ...common,
      orderId: planned.orderId as OrderId,
      lines: planned.lines.map(({ lineNo, quantity, refundMinor, isProduct }) => ({
        lineNo: present(lineNo, "line of the order"),
        quantity,
        refundMinor,
        restock: isProduct,
      })),
    };
  }
  return {
    ...common,
    orderId: null,
    currency: run.currency,
    customerId: (planned.customer && run.customers.get(planned.customer)) ?? null,
    lines: planned.lines.map(({ sku, quantity, refundMinor, isProduct }) => ({
      variantId: isProduct ? (run.variants.get(sku) ?? null) : null,
      sku,
      quantity,
      refundMinor,
      restock: isProduct,
    })),
  };
}

/** An order's money goes back the way it came; without a receipt it is paid out in cash. */
function payInCash(
  run: Run,
  ctx: Context,
  planned: PlannedReturn,
  amountMinor: number,
): Promise<Result<unknown>> {
  const { currency } = run;
  return run.deps.postJournal(ctx, {
    id: deterministicId(planned.at, planned.invoice, planned.id, "refund") as JournalId,
    kind: "refund.paid_out",
    description: `Invoice ${planned.invoice}`,
    reference: `return:${planned.id}`,
    occurredAt: planned.at,
    entries: [
      { account: "refunds_payable", amountMinor, currency },
      { account: "cash", amountMinor: -amountMinor, currency },
    ],
  });
}

interface Totals {
  readonly planned: readonly Planned[];
  readonly rows: number;
  readonly invoices: number;
  readonly refusedRows: readonly RefusedRow[];
}

function summarise(run: Run, { planned, ...read }: Totals): ImportReport {
  const orders = planned.filter((each) => each.kind === "order");
  const returns = planned.filter((each) => each.kind === "return");
  const ordered = orders.flatMap(({ lines, charges }) => [...lines, ...charges]);
  return {
    ...read,
    orders: orders.length,
    returns: returns.length,
    adjustments: planned.length - orders.length - returns.length,
    known: run.known,
    salesMinor: sum(ordered.map(({ totalMinor }) => totalMinor)),
    returnsMinor: sum(returns.flatMap(({ lines }) => lines.map(({ refundMinor }) => refundMinor))),
    refusedInvoices: run.refused,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
