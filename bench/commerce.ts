import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type App, createApp, type SimulatorAddress } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import type { Context } from "../src/kernel/context.ts";
import { newId, type TenantId } from "../src/kernel/ids.ts";
import type { VariantId } from "../src/modules/catalog/contract.ts";
import { startBenchServer } from "./harness.ts";

/** A whole BrandOS on a durable server of its own. */
export interface BenchShop {
  readonly app: App;
  readonly ctx: Context;
  /** Owner URL of its database. */
  readonly url: string;
  readonly variantIds: readonly VariantId[];
  readonly shippingMethodId: string;
  /** Secret and publishable key of the brand. */
  readonly keys: { readonly secret: string; readonly publishable: string };
  stop(): Promise<void>;
}

/** What the shop is to have. */
export interface ShopSize {
  readonly products: number;
  /** Units of each. */
  readonly units: number;
  /** What the process does; none by default: no API, no workers. */
  readonly roles?: "none" | "all";
  readonly env?: Readonly<Record<string, string>>;
  /** A payment provider beside the manual one. */
  readonly simulator?: SimulatorAddress;
}

/** Starts a BrandOS with one brand. */
export async function startShop(size: ShopSize): Promise<BenchShop> {
  const server = await startBenchServer();
  const home = mkdtempSync(path.join(tmpdir(), "brandos-bench-home-"));
  const read = readConfig({
    PORT: "0",
    BRANDOS_HOME: home,
    BRANDOS_RATE_PER_MINUTE: "0",
    BRANDOS_TENANT_RATE_PER_MINUTE: "0",
    BRANDOS_SHOPPER_RATE_PER_MINUTE: "0",
    BRANDOS_ANONYMOUS_RATE_PER_MINUTE: "0",
    BRANDOS_SLOW_STATEMENT_MS: "0",
    NODE_ENV: "production",
    ...size.env,
  });
  const config = { ...read, roles: size.roles === "all" ? read.roles : [] };
  const app = await createApp({
    config,
    homeUrl: server.url,
    operatorKey: "bench-operator-key-of-forty-characters-0",
    secret: "bench-secret-of-at-least-thirty-two-chars",
    ...(size.simulator ? { simulator: size.simulator } : {}),
    log: { info() {}, warn() {}, error: (fields, message) => console.error(message, fields) },
  });
  const ctx: Context = {
    tenantId: newId<"tenant">() as TenantId,
    actor: { kind: "system", id: "bench" },
    requestId: "bench",
  };
  const shop = await openBrand(app, ctx, size);
  return {
    app,
    ctx,
    url: server.url,
    ...shop,
    async stop() {
      await app.stop();
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function openBrand(app: App, ctx: Context, size: ShopSize) {
  const { tenants, commerce } = app;
  const { tenantId } = ctx;
  await tenants.create(ctx, {
    id: tenantId,
    slug: "bench",
    name: "Bench",
    currencies: ["EUR"],
    defaultCurrency: "EUR",
    defaultLocale: "en",
    pricesIncludeTax: true,
    style: "pool",
  });
  const key = async (kind: "secret" | "publishable") => {
    const permissions = kind === "secret" ? ["*"] : [];
    const command = { id: newId<"api_key">(), kind, name: kind, permissions } as const;
    const made = await tenants.createKey(ctx, { permissions: ["*"] }, command);
    if (!made.ok) throw new Error(made.failure.code);
    return made.value.key;
  };
  const variantIds = await addProducts(app, ctx, size);
  const shippingMethodId = await addTerms(app, ctx);
  const keys = { secret: await key("secret"), publishable: await key("publishable") };
  await analyse(commerce.db, tenantId);
  return { variantIds, shippingMethodId, keys };
}

async function analyse(db: App["db"], tenantId: TenantId): Promise<void> {
  // The application role may not ANALYZE; autovacuum will. A read warms the caches instead.
  await db.read(tenantId, (tx) =>
    tx.rows({ name: "", text: "select count(*) from stock", values: [] }),
  );
}

async function addProducts(
  { commerce }: App,
  ctx: Context,
  { products, units }: ShopSize,
): Promise<readonly VariantId[]> {
  const ids: VariantId[] = [];
  for (let from = 0; from < products; from += 500) {
    const count = Math.min(500, products - from);
    const made = await commerce.catalog.upsertProducts(
      ctx,
      Array.from({ length: count }, (_, at) => ({
        handle: `product-${from + at}`,
        title: `Product ${from + at}`,
        status: "published" as const,
        variants: [
          {
            sku: `SKU-${from + at}`,
            weightGrams: 200,
            prices: [{ currency: "EUR", amountMinor: 1_000 + ((from + at) % 500) * 10 }],
          },
        ],
      })),
    );
    for (const result of made) {
      const variant = result.ok ? result.value.product.variants[0] : undefined;
      if (!variant) throw new Error(`a product was refused: ${JSON.stringify(result)}`);
      ids.push(variant.id);
    }
  }
  const locationId = newId<"stock location">();
  const location = { id: locationId, code: "main", name: "Main", priority: 1, active: true };
  await commerce.inventory.createLocation(ctx, location);
  for (let from = 0; from < ids.length; from += 500) {
    const some = ids.slice(from, from + 500);
    const settings = some.map((variantId) => ({ variantId, locationId, onHand: units }));
    const set = await commerce.inventory.setStock(ctx, settings);
    if (!set.ok) throw new Error(set.failure.code);
  }
  return ids;
}

async function addTerms({ commerce }: App, ctx: Context): Promise<string> {
  const zone = await commerce.shipping.createZone(ctx, { name: "EU", areas: [{ country: "AT" }] });
  if (!zone.ok) throw new Error(zone.failure.code);
  const rate = {
    zoneId: zone.value.id,
    currency: "EUR",
    price: { kind: "flat", amountMinor: 500 },
    freeAboveMinor: null,
  } as const;
  const method = await commerce.shipping.createMethod(ctx, { name: "Standard", rates: [rate] });
  if (!method.ok) throw new Error(method.failure.code);
  const taxZone = await commerce.tax.createZone(ctx, {
    name: "AT",
    areas: [{ country: "AT" }],
    priceIncludesTax: true,
  });
  if (!taxZone.ok) throw new Error(taxZone.failure.code);
  await commerce.tax.createRate(ctx, { zoneId: taxZone.value.id, name: "VAT", rateBps: 2_000 });
  return method.value.id;
}
