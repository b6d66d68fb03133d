import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { ShippingQuote } from "../shipping/contract.ts";
import { type ChangeOutcome, createChanges } from "./commands.ts";
import type { Cart, CartFailure, CartId, CartView, ChangeCart } from "./contract.ts";
import { createPricing, type PriceableCart, type Pricing, type PricingRules } from "./pricing.ts";
import { getCart, listShippingOptions } from "./queries.ts";
import { deleteOldCarts, lockCarts, markOrdered, reopenCarts } from "./store.ts";
import {
  type CartDeps,
  loadTables,
  loadTerms,
  type TablesByCurrency,
  type Terms,
} from "./store-tables.ts";

export type { PriceableCart, Pricing, PricingRules } from "./pricing.ts";
export { cartRoutes } from "./routes.ts";
export type { PricingSource, TablesByCurrency, Terms } from "./store-tables.ts";

/** What carts need from outside; `app.ts` provides it. */
export type CartsDeps = Omit<CartDeps, "pricing"> & { readonly rules: PricingRules };

/** What the rest of the system may ask of carts. */
export interface Carts {
  /** Makes or changes a cart; concurrent calls of a tenant share a transaction. */
  change(ctx: Context, change: ChangeCart): Promise<ChangeOutcome>;
  get(ctx: Context, id: CartId): Promise<Result<CartView, CartFailure>>;
  shippingOptions(ctx: Context, id: CartId): Promise<Result<readonly ShippingQuote[], CartFailure>>;
  /** Deletes open carts nobody touched since a moment, at most `limit`. @returns how many */
  deleteOld(tenantId: TenantId, before: Date, limit: number): Promise<number>;
  readonly pricing: Pricing;
  /** Loads what prices depend on beside products, in the caller's transaction: before any cart is known. */
  loadTerms(tx: TenantTx, couponCodes: readonly string[]): Promise<Terms>;
  /** Loads the rest of what the prices of some carts depend on, in the same transaction. */
  loadTables(
    tx: TenantTx,
    carts: readonly PriceableCart[],
    terms: Terms,
  ): Promise<TablesByCurrency>;
  /** Locks carts in the order of their ids. */
  lock(tx: TenantTx, ids: readonly CartId[]): Promise<ReadonlyMap<CartId, Cart>>;
  /** Marks locked carts as ordered, with the commit. */
  markOrdered(
    tx: TenantTx,
    pairs: readonly { readonly cart: Cart; readonly orderId: string }[],
  ): void;
  /** Opens the carts of orders that came to nothing, with the commit. */
  reopen(tx: TenantTx, orderIds: readonly string[]): void;
}

/** Builds the module. */
export function createCarts(deps: CartsDeps): Carts {
  const { source } = deps;
  const pricing = createPricing(deps.rules);
  const commandDeps: CartDeps = { ...deps, pricing };
  const changes = createChanges(commandDeps);
  return {
    change: (ctx, change) => changes.submit(ctx.tenantId, { ctx, change }),
    get: (ctx, id) => getCart(commandDeps, ctx.tenantId, id),
    shippingOptions: (ctx, id) => listShippingOptions(commandDeps, ctx.tenantId, id),
    deleteOld: (tenantId, before, limit) =>
      deps.db.commit(tenantId, (tx) => deleteOldCarts(tx, before, limit), { name: "carts.sweep" }),
    pricing,
    loadTerms: (tx, couponCodes) => loadTerms(source, tx, couponCodes),
    loadTables: (tx, carts, terms) => loadTables(source, tx, { carts, terms }),
    lock: lockCarts,
    markOrdered,
    reopen: reopenCarts,
  };
}
