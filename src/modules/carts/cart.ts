import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type Cart,
  type CartFailure,
  type CartLine,
  type ChangeCart,
  cartLinesMax,
  cartQuantityMax,
} from "./contract.ts";

/**
 * Decides what a change makes of a cart.
 *
 * @param cart the cart as it is, undefined when there is none
 */
export function changeCart(cart: Cart | undefined, change: ChangeCart): Result<Cart, CartFailure> {
  if (!cart && !change.create) return fail({ code: "carts.not_found", cartId: change.id });
  if (cart && change.create) return fail({ code: "carts.exists", cartId: change.id });
  const base = cart ?? emptyCart(change);
  if (base.orderId !== null) {
    return fail({ code: "carts.already_ordered", cartId: base.id, orderId: base.orderId });
  }
  if (change.expectedVersion !== undefined && change.expectedVersion !== base.version) {
    return fail({ code: "carts.stale", cartId: base.id, version: base.version });
  }
  const lines = changeLines(base.lines, change);
  const problem = findProblem(lines);
  if (problem) return fail(problem);
  const { lines: _, setLines: __, addLines: ___, ...fields } = change.patch;
  return ok({ ...base, ...fields, lines, version: base.version + 1 });
}

function emptyCart(change: ChangeCart): Cart {
  return {
    id: change.id,
    status: "open",
    currency: change.create?.currency ?? "",
    lines: [],
    email: null,
    customerId: null,
    shippingAddress: null,
    billingAddress: null,
    shippingMethodId: null,
    couponCodes: [],
    orderId: null,
    version: 0,
  };
}

function changeLines(before: readonly CartLine[], change: ChangeCart): CartLine[] {
  const { lines, setLines = [], addLines = [] } = change.patch;
  const quantities = new Map<string, number>();
  const add = (line: CartLine) =>
    quantities.set(line.variantId, (quantities.get(line.variantId) ?? 0) + line.quantity);
  for (const line of lines ?? before) add(line);
  for (const line of setLines) quantities.set(line.variantId, line.quantity);
  for (const line of addLines) add(line);
  return [...quantities]
    .filter(([, quantity]) => quantity !== 0)
    .map(([variantId, quantity]) => ({ variantId, quantity }));
}

function findProblem(lines: readonly CartLine[]): CartFailure | undefined {
  if (lines.length > cartLinesMax) return { code: "carts.too_many_lines", linesMax: cartLinesMax };
  const bad = lines.find(
    ({ quantity }) => !Number.isInteger(quantity) || quantity < 1 || quantity > cartQuantityMax,
  );
  if (!bad) return undefined;
  return { code: "carts.bad_quantity", variantId: bad.variantId, quantityMax: cartQuantityMax };
}
