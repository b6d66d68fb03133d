import type { App } from "../app.ts";
import type { Context } from "../kernel/context.ts";
import { newId, newIdAt, type TenantId } from "../kernel/ids.ts";
import type { Random } from "../kernel/random.ts";
import type { Result } from "../kernel/result.ts";
import type { Product } from "../modules/catalog/contract.ts";
import type { OrderId } from "../modules/orders/contract.ts";
import type { Basket } from "../processes/checkout/contract.ts";
import { type DemoBrand, perEuro } from "./brands.ts";
import { productsOf, slugOf } from "./products.ts";

/** The keys of one demo brand: the only copy of them. */
export interface DemoKeys {
  readonly slug: string;
  readonly name: string;
  readonly secretKey: string;
  readonly publishableKey: string;
}

/** Past orders of each brand. */
const ordersPerBrand = 40;

/** Makes one brand with products, stock, customers and some past orders, by the same commands as HTTP. */
export async function seedBrand(app: App, brand: DemoBrand, random: Random): Promise<DemoKeys> {
  const { slug, name } = brand;
  const tenantId = newId<"tenant">();
  const ctx: Context = {
    tenantId,
    actor: { kind: "system", id: "demo" },
    requestId: `demo-${slug}`,
  };
  const made = await makeTenant(app, ctx, brand);
  const products = await makeCatalog(app, ctx, brand, random);
  await makeStock(app, ctx, products, random);
  const methodId = await makeTerms(app, ctx, brand);
  await makePromotions(app, ctx);
  await makeOrders(app, ctx, { brand, products, methodId, random });
  return { slug, name, ...made };
}

async function makeTenant(
  app: App,
  ctx: Context,
  brand: DemoBrand,
): Promise<Pick<DemoKeys, "secretKey" | "publishableKey">> {
  const { slug, name, currencies } = brand;
  const defaultCurrency = currencies[0] ?? "EUR";
  const command = {
    id: ctx.tenantId as TenantId,
    slug,
    name,
    currencies,
    defaultCurrency,
    defaultLocale: "en",
    pricesIncludeTax: brand.taxInclusive,
    style: "pool",
  } as const;
  must(await app.tenants.create(ctx, command));
  const issuer = { permissions: ["*"] };
  const secret = must(
    await app.tenants.createKey(ctx, issuer, {
      id: newId<"api_key">(),
      kind: "secret",
      name: "Demo console",
      permissions: ["*"],
    }),
  );
  const publishable = must(
    await app.tenants.createKey(ctx, issuer, {
      id: newId<"api_key">(),
      kind: "publishable",
      name: "Demo shop",
      permissions: [],
    }),
  );
  must(
    await app.tenants.configure(ctx, {
      tenantId: ctx.tenantId,
      to: { settings: { shopKey: publishable.key } },
    }),
  );
  return { secretKey: secret.key, publishableKey: publishable.key };
}

async function makeCatalog(
  { commerce }: App,
  ctx: Context,
  brand: DemoBrand,
  random: Random,
): Promise<readonly Product[]> {
  const collections = new Set(brand.ranges.map(({ collection }) => collection));
  for (const title of collections) {
    must(await commerce.catalog.createCollection(ctx, { handle: slugOf(title), title }));
  }
  const inputs = productsOf(brand, random);
  const products: Product[] = [];
  for (let from = 0; from < inputs.length; from += 100) {
    const results = await commerce.catalog.upsertProducts(ctx, inputs.slice(from, from + 100));
    products.push(...results.map((result) => must(result).product));
  }
  return products;
}

async function makeStock(
  { commerce }: App,
  ctx: Context,
  products: readonly Product[],
  random: Random,
): Promise<void> {
  const locationId = newId<"stock location">();
  must(
    await commerce.inventory.createLocation(ctx, {
      id: locationId,
      code: "main",
      name: "Main warehouse",
      priority: 1,
      active: true,
    }),
  );
  const settings = products.flatMap(({ variants }) =>
    variants.map(({ id }) => ({
      variantId: id,
      locationId,
      onHand: random() < 0.04 ? Math.floor(random() * 3) : 20 + Math.floor(random() * 180),
      lowAt: 10,
    })),
  );
  for (let from = 0; from < settings.length; from += 400) {
    must(await commerce.inventory.setStock(ctx, settings.slice(from, from + 400)));
  }
}

/** Shipping and taxes. @returns the standard shipping method */
async function makeTerms({ commerce }: App, ctx: Context, brand: DemoBrand): Promise<string> {
  const { shipping, tax } = commerce;
  const home = { country: brand.countryCode };
  const homeZone = must(await shipping.createZone(ctx, { name: "Home", areas: [home] }));
  const worldZone = must(
    await shipping.createZone(ctx, { name: "World", areas: [{ country: "*" }] }),
  );
  const rate = (zoneId: typeof homeZone.id, euros: number, freeAbove: number | null) =>
    brand.currencies.map((currency) => ({
      zoneId,
      currency,
      price: { kind: "flat", amountMinor: inMinor(euros, currency) } as const,
      freeAboveMinor: freeAbove === null ? null : inMinor(freeAbove, currency),
    }));
  const standard = must(
    await shipping.createMethod(ctx, {
      name: "Standard",
      description: "3 to 5 days",
      position: 1,
      deliveryDaysMin: 3,
      deliveryDaysMax: 5,
      rates: [...rate(homeZone.id, 4.9, 80), ...rate(worldZone.id, 14.9, 200)],
    }),
  );
  must(
    await shipping.createMethod(ctx, {
      name: "Express",
      description: "Next working day",
      position: 2,
      deliveryDaysMin: 1,
      deliveryDaysMax: 2,
      rates: [...rate(homeZone.id, 12.9, null), ...rate(worldZone.id, 34.9, null)],
    }),
  );
  const zone = must(
    await tax.createZone(ctx, {
      name: brand.countryCode,
      areas: [home],
      priceIncludesTax: brand.taxInclusive,
    }),
  );
  const rateBps: Readonly<Record<string, number>> = { DE: 1_900, US: 825, JP: 1_000 };
  must(
    await tax.createRate(ctx, {
      zoneId: zone.id,
      name: brand.countryCode === "US" ? "Sales tax" : "VAT",
      rateBps: rateBps[brand.countryCode] ?? 2_000,
      appliesToShipping: brand.taxInclusive,
    }),
  );
  return standard.id;
}

function inMinor(euros: number, currency: string): number {
  const amount = euros * (perEuro[currency] ?? 1);
  return currency === "JPY" ? Math.round(amount / 10) * 10 : Math.round(amount * 10) * 10;
}

async function makePromotions({ commerce }: App, ctx: Context): Promise<void> {
  const promotion = must(
    await commerce.promotions.create(ctx, {
      name: "Ten per cent for trying",
      trigger: "code",
      action: { kind: "percentage", offBps: 1_000 },
    }),
  );
  must(
    await commerce.promotions.createCoupons(ctx, [{ promotionId: promotion.id, code: "HELLO10" }]),
  );
}

interface Ordering {
  readonly brand: DemoBrand;
  readonly products: readonly Product[];
  readonly methodId: string;
  readonly random: Random;
}

async function makeOrders({ commerce }: App, ctx: Context, ordering: Ordering): Promise<void> {
  const { brand, products, methodId, random } = ordering;
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  const baskets = Array.from({ length: ordersPerBrand }, (): Basket => {
    const person = pick(brand.people);
    const [city, postalCode, countryCode] = pick(brand.towns);
    const address = {
      name: person,
      line1: `${1 + Math.floor(random() * 90)} Market Street`,
      city,
      postalCode,
      countryCode,
    };
    const lines = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(products));
    return {
      currency: brand.currencies[0] ?? "EUR",
      lines: [...new Set(lines)].map(({ variants }) => ({
        variantId: pick(variants).id,
        quantity: random() < 0.8 ? 1 : 2,
      })),
      email: `${slugOf(person).replace(/-/g, ".")}@example.com`,
      customerId: null,
      shippingAddress: address,
      billingAddress: null,
      shippingMethodId: methodId,
      couponCodes: random() < 0.15 ? ["HELLO10"] : [],
    };
  });
  // Placed together, as shoppers would: some find the last one gone, which is not a fault.
  await Promise.all(
    baskets.map((basket, index) =>
      commerce.checkout.place(
        { ...ctx, requestId: `${ctx.requestId}-${index + 1}` },
        {
          orderId: newIdAt<"order">(new Date()) as OrderId,
          from: { basket },
          payment: { provider: "manual" },
        },
      ),
    ),
  );
}

function must<Value>(result: Result<Value>): Value {
  if (result.ok) return result.value;
  throw new Error(`the demo could not be made: ${JSON.stringify(result.failure)}`);
}
