import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { ShippingQuote } from "../shipping/contract.ts";
import type { CartFailure, CartId, CartView } from "./contract.ts";
import { findCart } from "./store.ts";
import { type CartDeps, loadTables, viewCart } from "./store-tables.ts";

/** Reads a cart with its current prices. */
export function getCart(
  deps: CartDeps,
  tenantId: TenantId,
  id: CartId,
): Promise<Result<CartView, CartFailure>> {
  return deps.db.read(tenantId, async (tx) => {
    const [cart, shipping, tax] = await Promise.all([
      findCart(tx, id),
      deps.source.loadShipping(tx),
      deps.source.loadTax(tx),
    ]);
    if (!cart) return fail({ code: "carts.not_found", cartId: id });
    const tables = await loadTables(deps.source, tx, { carts: [cart], shipping, tax });
    return ok(viewCart(deps.pricing, cart, tables, deps.clock()));
  });
}

/** Lists the ways to ship a cart, with prices; empty until it has an address. */
export function listShippingOptions(
  deps: CartDeps,
  tenantId: TenantId,
  id: CartId,
): Promise<Result<readonly ShippingQuote[], CartFailure>> {
  return deps.db.read(tenantId, async (tx) => {
    const [cart, shipping, tax] = await Promise.all([
      findCart(tx, id),
      deps.source.loadShipping(tx),
      deps.source.loadTax(tx),
    ]);
    if (!cart) return fail({ code: "carts.not_found", cartId: id });
    const tables = await loadTables(deps.source, tx, { carts: [cart], shipping, tax });
    return deps.pricing.shippingOptions(cart, tables(cart.currency), deps.clock());
  });
}
