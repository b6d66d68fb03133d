import assert from "node:assert/strict";
import { it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { shelfOf } from "./shelf.ts";

it("shoppers learn how much there is only when it is little", () => {
  const variantId = newId<"variant">();
  const shelf = (onHand: number, reserved: number, backorder = 0) => {
    const { variantId: _, ...rest } = shelfOf({
      ...{ variantId, onHand, reserved },
      available: onHand + backorder - reserved,
    });
    return rest;
  };
  assert.deepEqual(shelf(100, 0), { state: "in_stock" });
  assert.deepEqual(shelf(10, 4), { state: "in_stock" });
  assert.deepEqual(shelf(10, 5), { state: "few_left", left: 5 });
  assert.deepEqual(shelf(10, 9), { state: "few_left", left: 1 });
  assert.deepEqual(shelf(10, 10), { state: "sold_out" });
  assert.deepEqual(shelf(0, 0), { state: "sold_out" });
  assert.deepEqual(shelf(10, 12, 5), { state: "backorder" });
  assert.deepEqual(shelf(10, 9, 5), { state: "few_left", left: 1 });
});
