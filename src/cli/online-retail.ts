import { existsSync } from "node:fs";
import type { App } from "../app.ts";
import type { Context } from "../kernel/context.ts";
import { newId, type TenantId } from "../kernel/ids.ts";
import { formatMinor } from "../kernel/money.ts";
import { fail, ok, type Result } from "../kernel/result.ts";
import type { VariantId } from "../modules/catalog/contract.ts";
import { findVariantIds } from "../modules/catalog/index.ts";
import type { LocationId, StockAdjustment } from "../modules/inventory/contract.ts";
import type { OrderId } from "../modules/orders/contract.ts";
import { findOrderIds } from "../modules/orders/index.ts";
import { ensurePartitions } from "../processes/housekeeping/housekeeping.ts";
import type { OnlineRetailDeps } from "../processes/online-retail/deps.ts";
import { type ImportReport, importOnlineRetail } from "../processes/online-retail/import.ts";
import {
  findTenant,
  inSession,
  type Output,
  operatorContext,
  type Session,
  UsageError,
} from "./program.ts";
import { createProgress } from "./progress.ts";

/** First month of the data set; partitions are made from here to today. */
const firstMonth = new Date("2009-12-01T00:00:00Z");

/** `brandos import online-retail FILE --tenant T` */
export async function importOnlineRetailCommand(
  output: Output,
  file: string,
  options: { readonly tenant: string; readonly currency?: string },
): Promise<void> {
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}`);
  const report = await inSession(output, async (session) => {
    const tenant = await findTenant(session, options.tenant);
    const { app } = session;
    const months = (new Date().getUTCFullYear() - firstMonth.getUTCFullYear() + 1) * 12;
    for (const { ownerUrl, schemas } of await app.placements.targets()) {
      await ensurePartitions(ownerUrl, schemas, { from: firstMonth, months });
    }
    app.sagas.start();
    const progress = createProgress(output);
    try {
      return await importOnlineRetail(await depsOf(app, operatorContext(tenant.id)), {
        tenantId: tenant.id,
        file,
        currency: options.currency ?? "GBP",
        onProgress: ({ stage, done, total }) => progress.update(done, total, stage),
      });
    } finally {
      progress.stop();
      await drained(session, tenant.id);
    }
  });
  output.answer(report, () => tell(report, options.currency ?? "GBP"));
}

/**
 * Refunds are paid out by sagas: the import is over when they are, also those that a run which was
 * killed left behind; they are taken over when its leases end.
 */
async function drained({ app }: Session, tenantId: TenantId): Promise<void> {
  const deadline = performance.now() + 60_000;
  const isOpen = async () => {
    if (app.sagas.running() > 0) return true;
    const filter = { status: "running", name: "refunds.pay_back", limit: 1 } as const;
    return (await app.sagas.list(tenantId, filter)).items.length > 0;
  };
  while ((await isOpen()) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function depsOf({ commerce, db }: App, ctx: Context): Promise<OnlineRetailDeps> {
  const { inventory, catalog, customers, checkout, orders, ledger } = commerce;
  const locationId = await ensureLocation({ inventory }, ctx);
  return {
    async upsertProducts(asked, products) {
      const results = await catalog.upsertProducts(asked, products);
      const refused = results.find((result) => !result.ok);
      if (refused) throw new Error(`a product was refused: ${JSON.stringify(refused)}`);
    },
    findVariants: (asked, skus) => db.read(asked.tenantId, (tx) => findVariantIds(tx, skus)),
    upsertGuests: (asked, guests) =>
      db.commit(asked.tenantId, (tx) => customers.upsertGuests(tx, asked, guests)),
    async ensureStock(asked, needs, reference) {
      const found = await inventory.availability(asked.tenantId, [...needs.keys()] as VariantId[]);
      const available = new Map(found.map((each) => [each.variantId as string, each.available]));
      const lines = [...needs]
        .map(([variantId, quantity]) => ({
          variantId,
          quantity: quantity - (available.get(variantId) ?? 0),
        }))
        .filter(({ quantity }) => quantity > 0);
      for (let from = 0; from < lines.length; from += 400) {
        const some = lines.slice(from, from + 400);
        const received = await inventory.adjust(asked, receipt(some, locationId, reference));
        if (!received.ok) throw new Error(`stock was refused: ${JSON.stringify(received)}`);
      }
    },
    adjustStock: (asked, { lines, ...rest }) =>
      inventory.adjust(asked, {
        ...rest,
        lines: lines.map((line) => ({ ...line, locationId })),
      } as unknown as StockAdjustment),
    findOrders: async (asked, ids) =>
      new Set<string>(
        await db.read(asked.tenantId, (tx) => findOrderIds(tx, ids as readonly OrderId[])),
      ),
    placeOrder: (asked, command) => checkout.place(asked, command),
    returnGoods: (asked, wanted) => orders.returnGoods(asked, wanted),
    postJournal: async (asked, journal): Promise<Result<unknown>> => {
      const posted = await ledger.post(asked, journal);
      return posted.ok ? ok(posted.value) : fail(posted.failure);
    },
  };
}

function receipt(
  lines: readonly { readonly variantId: string; readonly quantity: number }[],
  locationId: LocationId,
  reference: string,
): StockAdjustment {
  return {
    id: newId<"stock command">(),
    reason: "received",
    reference,
    lines: lines.map(({ variantId, quantity }) => ({
      variantId: variantId as VariantId,
      locationId,
      quantity,
    })),
  };
}

async function ensureLocation(
  { inventory }: Pick<App["commerce"], "inventory">,
  ctx: Context,
): Promise<LocationId> {
  const [known] = await inventory.listLocations(ctx.tenantId);
  if (known) return known.id;
  const id = newId<"stock location">();
  const made = await inventory.createLocation(ctx, {
    id,
    code: "main",
    name: "Main warehouse",
    priority: 1,
    active: true,
  });
  if (!made.ok) throw new Error(`the warehouse could not be made: ${made.failure.code}`);
  return id;
}

function tell(report: ImportReport, currency: string): string {
  const money = (minor: number) => `${formatMinor(minor, currency)} ${currency}`;
  return [
    `rows          ${report.rows}`,
    `invoices      ${report.invoices}`,
    `orders        ${report.orders}   ${money(report.salesMinor)}`,
    `returns       ${report.returns}   -${money(report.returnsMinor)}`,
    `adjustments   ${report.adjustments}`,
    `net           ${money(report.salesMinor - report.returnsMinor)}`,
    `known already ${report.known}`,
    `refused rows  ${report.refusedRows.length}`,
    ...report.refusedRows.slice(0, 20).map(({ line, reason }) => `  line ${line}: ${reason}`),
    `refused invoices ${report.refusedInvoices.length}`,
    ...report.refusedInvoices.slice(0, 20).map(({ invoice, reason }) => `  ${invoice}: ${reason}`),
  ].join("\n");
}
