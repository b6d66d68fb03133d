import { Type } from "typebox";
import { createEventRegistry, defineEvent } from "../../src/platform/events/events.ts";

const order = { orderId: Type.String() };
const line = { sku: Type.String(), quantity: Type.Integer() };
const money = { amountMinor: Type.Integer(), card: Type.String() };

/** What the parts of the shop tell each other: all that they share. */
export const facts = {
  orderPlaced: defineEvent({
    type: "shop.order_placed",
    version: 1,
    description: "A customer ordered something and wants to pay with a card.",
    data: Type.Object({ ...order, ...line, ...money }),
  }),
  stockReserved: defineEvent({
    type: "shop.stock_reserved",
    version: 1,
    description: "The units of an order are kept for it.",
    data: Type.Object({ ...order, ...line, ...money }),
  }),
  stockRefused: defineEvent({
    type: "shop.stock_refused",
    version: 1,
    description: "There are not enough units for an order.",
    data: Type.Object({ ...order, ...line }),
  }),
  stockReleased: defineEvent({
    type: "shop.stock_released",
    version: 1,
    description: "The units kept for an order are for sale again.",
    data: Type.Object({ ...order, ...line }),
  }),
  paymentCaptured: defineEvent({
    type: "shop.payment_captured",
    version: 1,
    description: "An order was paid.",
    data: Type.Object({ ...order, amountMinor: Type.Integer() }),
  }),
  paymentDeclined: defineEvent({
    type: "shop.payment_declined",
    version: 1,
    description: "The card of an order was declined.",
    data: Type.Object({ ...order, ...line }),
  }),
} as const;

/** All of them, for whoever reads old versions. */
export const registry = createEventRegistry(Object.values(facts));

/** Stream of an order: everything about one order keeps its order. */
export function streamOf(orderId: string): string {
  return `shop_order:${orderId}`;
}
