import { closestByArea, type Destination } from "../../kernel/area.ts";
import type {
  ShippingBracket,
  ShippingCart,
  ShippingMethod,
  ShippingQuote,
  ShippingRate,
  ShippingTable,
} from "./contract.ts";

/**
 * Prices every method that ships a cart to a destination. Pure.
 *
 * A method uses the rate of the zone that covers the destination most closely among the zones it
 * has a rate for in the cart's currency.
 * @returns offers in the order of the methods' positions; none when nothing ships there
 */
export function quoteShipping(
  cart: ShippingCart,
  destination: Destination,
  table: ShippingTable,
): readonly ShippingQuote[] {
  return table.methods.flatMap((method) => {
    const quote = quoteMethod(cart, destination, { table, method });
    return quote ? [quote] : [];
  });
}

function quoteMethod(
  cart: ShippingCart,
  destination: Destination,
  { table, method }: { readonly table: ShippingTable; readonly method: ShippingMethod },
): ShippingQuote | undefined {
  if (method.status !== "active") return undefined;
  const rates = method.rates.filter((rate) => rate.currency === cart.currency);
  const zones = table.zones.filter((zone) => rates.some((rate) => rate.zoneId === zone.id));
  const zone = closestByArea(zones, destination);
  const rate = zone && rates.find((each) => each.zoneId === zone.id);
  const amountMinor = rate && priceOf(cart, rate);
  if (!zone || amountMinor === undefined) return undefined;
  return {
    methodId: method.id,
    zoneId: zone.id,
    name: method.name,
    description: method.description,
    currency: cart.currency,
    amountMinor,
    taxCategory: method.taxCategory,
    deliveryDaysMin: method.deliveryDaysMin,
    deliveryDaysMax: method.deliveryDaysMax,
  };
}

/** @returns minor units; undefined when the cart is above the last bracket */
function priceOf(cart: ShippingCart, rate: ShippingRate): number | undefined {
  const amountMinor = beforeFreeShipping(cart, rate);
  if (amountMinor === undefined) return undefined;
  const isFree = rate.freeAboveMinor !== null && cart.subtotalMinor >= rate.freeAboveMinor;
  return isFree ? 0 : amountMinor;
}

function beforeFreeShipping(cart: ShippingCart, { price }: ShippingRate): number | undefined {
  switch (price.kind) {
    case "flat":
      return price.amountMinor;
    case "by_weight":
      return inBracket(price.brackets, cart.weightGrams);
    case "by_subtotal":
      return inBracket(price.brackets, cart.subtotalMinor);
  }
}

function inBracket(brackets: readonly ShippingBracket[], value: number): number | undefined {
  return brackets.find(({ upTo }) => upTo === null || value <= upTo)?.amountMinor;
}
