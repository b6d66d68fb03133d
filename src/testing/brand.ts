import type { App } from "../app.ts";
import type { Context } from "../kernel/context.ts";
import { newId, type TenantId } from "../kernel/ids.ts";
import type { Failure, Result } from "../kernel/result.ts";
import type { VariantId } from "../modules/catalog/contract.ts";
import type { PromotionAction } from "../modules/promotions/contract.ts";
import type { Basket } from "../processes/checkout/contract.ts";
import { examine } from "../processes/doctor/doctor.ts";

/** What a brand of a test sells. */
export interface BrandOptions {
  /** Products; the n-th costs 10.00 and n × 0.10 EUR, tax included. Default 3. */
  readonly products?: number;
  /** Units of each; default 100. */
  readonly units?: number;
}

/** A brand that can sell. */
export interface TestBrand {
  readonly ctx: Context;
  readonly tenantId: TenantId;
  readonly variantIds: readonly VariantId[];
  readonly locationId: string;
  /** 5.00 EUR. */
  readonly shippingMethodId: string;
  /** Costs nothing. */
  readonly pickupMethodId: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  /** A basket of one unit of the first product; change what a test is about. */
  basket(change?: Partial<Basket>): Basket;
  /** Makes a promotion and its coupon. */
  coupon(code: string, action: PromotionAction, usageLimit?: number): Promise<void>;
  /** Units of a variant: on hand, and promised. */
  stock(variantId: string): Promise<{ readonly onHand: number; readonly reserved: number }>;
  /** Balances of the ledger by account, minor units; accounts at 0 are left out. */
  balances(): Promise<Readonly<Record<string, number>>>;
  /** What the doctor finds broken; empty when every promise holds. */
  broken(): Promise<readonly string[]>;
}

/** Makes a brand with products, stock, two ways of shipping and 20 % tax. */
export async function openTestBrand(app: App, options: BrandOptions = {}): Promise<TestBrand> {
  const tenantId = newId<"tenant">();
  const ctx: Context = {
    tenantId,
    actor: { kind: "operator", id: "test" },
    requestId: `test-${tenantId}`,
  };
  const slug = `t-${tenantId.replaceAll("-", "").slice(-20)}`;
  const { commerce } = app;
  must(
    await app.tenants.create(ctx, {
      id: tenantId,
      slug,
      name: `canary of ${slug}`,
      currencies: ["EUR"],
      defaultCurrency: "EUR",
      defaultLocale: "en",
      pricesIncludeTax: true,
      style: "pool",
    }),
  );
  const variantIds = await addProducts(app, ctx, options.products ?? 3);
  const locationId = newId<"stock location">();
  must(
    await commerce.inventory.createLocation(ctx, {
      id: locationId,
      code: "main",
      name: "Main",
      priority: 1,
      active: true,
    }),
  );
  const onHand = options.units ?? 100;
  must(
    await commerce.inventory.setStock(
      ctx,
      variantIds.map((variantId) => ({ variantId, locationId, onHand })),
    ),
  );
  const methods = await addTerms(app, ctx);
  const key = async (kind: "secret" | "publishable") => {
    const command = { id: newId<"api_key">(), kind, name: kind, permissions: ["*"] };
    return must(await app.tenants.createKey(ctx, { permissions: ["*"] }, command)).key;
  };
  return {
    ctx,
    tenantId,
    variantIds,
    locationId,
    ...methods,
    secretKey: await key("secret"),
    publishableKey: await key("publishable"),
    ...looksAt(app, ctx),
    basket: (change = {}) => ({
      currency: "EUR",
      lines: [{ variantId: variantIds[0] ?? "", quantity: 1 }],
      email: "ann@example.com",
      customerId: null,
      shippingAddress: vienna,
      billingAddress: null,
      shippingMethodId: methods.shippingMethodId,
      couponCodes: [],
      ...change,
    }),
    async coupon(code, action, usageLimit) {
      const limit = usageLimit === undefined ? {} : { usageLimit };
      const promotion = must(
        await commerce.promotions.create(ctx, { name: code, trigger: "code", action, ...limit }),
      );
      must(await commerce.promotions.createCoupons(ctx, [{ promotionId: promotion.id, code }]));
    },
  };
}

/** The value of a result that has to be there. @throws Error with the failure */
export function must<Value>(result: Result<Value, Failure>): Value {
  if (result.ok) return result.value;
  throw new Error(`refused: ${JSON.stringify(result.failure)}`);
}

/** Where everybody lives. */
const vienna = {
  name: "Ann Example",
  line1: "Ring 1",
  city: "Vienna",
  postalCode: "1010",
  countryCode: "AT",
};

async function addProducts(
  { commerce }: App,
  ctx: Context,
  count: number,
): Promise<readonly VariantId[]> {
  const made = await commerce.catalog.upsertProducts(
    ctx,
    Array.from({ length: count }, (_, at) => ({
      handle: `product-${at}`,
      title: `Product ${at}`,
      status: "published" as const,
      variants: [
        {
          sku: `SKU-${at}`,
          weightGrams: 200,
          prices: [{ currency: "EUR", amountMinor: 1_000 + 10 * at }],
        },
      ],
    })),
  );
  return made.map((result) => {
    const [variant] = must(result).product.variants;
    if (!variant) throw new Error("a product without a variant");
    return variant.id;
  });
}

async function addTerms({ commerce }: App, ctx: Context) {
  const areas = [{ country: "AT" }];
  const zone = must(await commerce.shipping.createZone(ctx, { name: "AT", areas }));
  const method = async (name: string, amountMinor: number) => {
    const rate = {
      zoneId: zone.id,
      currency: "EUR",
      price: { kind: "flat", amountMinor },
      freeAboveMinor: null,
    } as const;
    return must(await commerce.shipping.createMethod(ctx, { name, rates: [rate] })).id;
  };
  const shippingMethodId = await method("Standard", 500);
  const pickupMethodId = await method("Pickup", 0);
  const taxZone = must(
    await commerce.tax.createZone(ctx, { name: "AT", areas, priceIncludesTax: true }),
  );
  await commerce.tax.createRate(ctx, { zoneId: taxZone.id, name: "VAT", rateBps: 2_000 });
  return { shippingMethodId, pickupMethodId };
}

function looksAt(
  { commerce, db }: App,
  { tenantId }: Context,
): Pick<TestBrand, "stock" | "balances" | "broken"> {
  return {
    async stock(variantId) {
      const [level] = await commerce.inventory.availability(tenantId, [variantId as VariantId]);
      return { onHand: level?.onHand ?? 0, reserved: level?.reserved ?? 0 };
    },
    async balances() {
      const { accounts } = await commerce.ledger.trialBalance(tenantId);
      return Object.fromEntries(
        accounts
          .filter(({ debitMinor, creditMinor }) => debitMinor !== creditMinor)
          .map(({ code, debitMinor, creditMinor }) => [code, debitMinor - creditMinor]),
      );
    },
    async broken() {
      const findings = await examine(db, tenantId);
      return findings
        .filter(({ holds }) => !holds)
        .map(({ id, violations }) => `${id}: ${JSON.stringify(violations.slice(0, 3))}`);
    },
  };
}
