import type { Availability, ShelfState } from "./contract.ts";
import { fewLeftMax } from "./contract.ts";

/** What shoppers may know of a variant's stock: not how much there is, unless it is little. */
export function shelfOf({ variantId, onHand, reserved, available }: Availability): ShelfState {
  const left = onHand - reserved;
  if (available <= 0) return { variantId, state: "sold_out" };
  if (left <= 0) return { variantId, state: "backorder" };
  if (left > fewLeftMax) return { variantId, state: "in_stock" };
  return { variantId, state: "few_left", left };
}
