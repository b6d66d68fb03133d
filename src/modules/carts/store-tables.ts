import type { Clock } from "../../kernel/clock.ts";
import type { BatchReport } from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { type Kept, readVersions, type Versions } from "../../platform/versions/versions.ts";
import type { VariantQuote } from "../catalog/contract.ts";
import type { PromotionRule } from "../promotions/contract.ts";
import type { ShippingTable } from "../shipping/contract.ts";
import type { TaxTable } from "../tax/contract.ts";
import type { Cart, CartView } from "./contract.ts";
import type { PriceableCart, Pricing, PricingTables } from "./pricing.ts";

/** Loads what prices depend on, in the caller's transaction; `app.ts` provides it. */
export interface PricingSource {
  readonly quoteVariants: (
    tx: TenantTx,
    variantIds: readonly string[],
    currency: string,
    versions: Versions,
  ) => Promise<readonly VariantQuote[]>;
  /** Active automatic promotions, and those of the given codes. */
  readonly loadPromotions: (
    tx: TenantTx,
    codes: readonly string[],
  ) => Promise<readonly PromotionRule[]>;
  readonly shippingTable: Kept<ShippingTable>;
  readonly taxTable: Kept<TaxTable>;
}

/** What commands and queries need. */
export interface CartDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly pricing: Pricing;
  readonly source: PricingSource;
  readonly onBatch?: (report: BatchReport) => void;
}

/** Pricing tables for carts of any currency. */
export type TablesByCurrency = (currency: string) => PricingTables;

/** What prices depend on beside the products themselves. */
export interface Terms {
  readonly shipping: ShippingTable;
  readonly tax: TaxTable;
  /** What the quotes of this transaction are as of. */
  readonly versions: Versions;
  readonly promotions: readonly PromotionRule[];
  /** Coupons whose promotions are among them. */
  readonly codes: ReadonlySet<string>;
}

/**
 * Loads the terms. They need no cart: send them with the statements that find or lock the carts, and
 * what is left to load is what is not in memory.
 *
 * @param codes coupons that are known already
 */
export async function loadTerms(
  source: PricingSource,
  tx: TenantTx,
  codes: readonly string[],
): Promise<Terms> {
  const [versions, promotions] = await Promise.all([
    readVersions(tx),
    source.loadPromotions(tx, codes),
  ]);
  const [shipping, tax] = await Promise.all([
    source.shippingTable(tx, versions),
    source.taxTable(tx, versions),
  ]);
  return { shipping, tax, versions, promotions, codes: new Set(codes) };
}

/** Loads what the prices of some carts depend on: one statement per kind and currency. */
export async function loadTables(
  source: PricingSource,
  tx: TenantTx,
  { carts, terms }: { readonly carts: readonly PriceableCart[]; readonly terms: Terms },
): Promise<TablesByCurrency> {
  const { shipping, tax, versions } = terms;
  const currencies = [...new Set(carts.map(({ currency }) => currency))];
  const codes = [...new Set(carts.flatMap(({ couponCodes }) => couponCodes))];
  const areLoaded = codes.every((code) => terms.codes.has(code));
  const [promotions, ...quotes] = await Promise.all([
    areLoaded ? terms.promotions : source.loadPromotions(tx, codes),
    ...currencies.map((currency) => {
      const lines = carts
        .filter((cart) => cart.currency === currency)
        .flatMap((cart) => cart.lines);
      const ids = [...new Set(lines.map(({ variantId }) => variantId))].sort();
      return ids.length === 0 ? [] : source.quoteVariants(tx, ids, currency, versions);
    }),
  ]);
  const tables = new Map(
    currencies.map((currency, index) => {
      const byId = new Map(
        (quotes[index] ?? []).map((quote) => [quote.variantId as string, quote]),
      );
      return [currency, { quotes: byId, promotions, shipping, tax }];
    }),
  );
  return (currency) => tables.get(currency) ?? { quotes: new Map(), promotions, shipping, tax };
}

/** A cart with its prices, or with the reason why it has none. */
export function viewCart(
  pricing: Pricing,
  cart: Cart,
  tables: TablesByCurrency,
  now: Date,
): CartView {
  const priced = pricing.price(cart, tables(cart.currency), now);
  if (priced.ok) return { cart, priced: priced.value, problem: null };
  return { cart, priced: null, problem: priced.failure };
}
