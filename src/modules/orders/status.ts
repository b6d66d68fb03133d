/** Where an order can stand, in the order it usually goes through. */
export const orderStatuses = [
  "pending",
  "confirmed",
  "paid",
  "fulfilled",
  "completed",
  "cancelled",
  "refunded",
] as const;

/** Where an order stands. */
export type OrderStatus = (typeof orderStatuses)[number];
