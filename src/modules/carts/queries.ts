import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { ShippingQuote } from "../shipping/contract.ts";
import type { CartFailure, CartId, CartView } from "./contract.ts";
import { findCart } from "./store.ts";
import { type CartDeps, loadTables, loadTerms, viewCart } from "./store-tables.ts";

/** Reads a cart with its current prices. */
export function getCart(
  deps: CartDeps,
  tenantId: TenantId,
  id: CartId,
): Promise<Result<CartView, CartFailure>> {
  return deps.db.read(tenantId, async (tx) => {
    const [cart, terms] = await Promise.all([findCart(tx, id), loadTerms(deps.source, tx, [])]);
    if (!cart) return fail({ code: "carts.not_found", cartId: id });
    const tables = await loadTables(deps.source, tx, { carts: [cart], terms });
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
    const [cart, terms] = await Promise.all([findCart(tx, id), loadTerms(deps.source, tx, [])]);
    if (!cart) return fail({ code: "carts.not_found", cartId: id });
    const tables = await loadTables(deps.source, tx, { carts: [cart], terms });
    return deps.pricing.shippingOptions(cart, tables(cart.currency), deps.clock());
  });
}
