import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import { changeCart } from "./cart.ts";
import { type Cart, type CartPatch, cartLinesMax, cartQuantityMax } from "./contract.ts";

const id = newId<"cart">();
const [shirt, mug] = [newId<"variant">(), newId<"variant">()];

function cartOf(patch: CartPatch): Cart {
  const made = changeCart(undefined, { id, create: { currency: "EUR" }, patch });
  assert(made.ok);
  return made.value;
}

describe("a cart", () => {
  it("is made with everything it can hold", () => {
    const cart = cartOf({ lines: [{ variantId: shirt, quantity: 2 }], email: "a@example.com" });
    assert.deepEqual(
      [cart.status, cart.version, cart.email, cart.lines],
      ["open", 1, "a@example.com", [{ variantId: shirt, quantity: 2 }]],
    );
  });

  it("is not made twice, nor changed before it is made", () => {
    const cart = cartOf({});
    const again = changeCart(cart, { id, create: { currency: "EUR" }, patch: {} });
    assert.deepEqual(again, { ok: false, failure: { code: "carts.exists", cartId: id } });
    const missing = changeCart(undefined, { id, patch: {} });
    assert.deepEqual(missing, { ok: false, failure: { code: "carts.not_found", cartId: id } });
  });

  it("adds units to a line, sets them, and drops a line that is set to none", () => {
    const cart = cartOf({ lines: [{ variantId: shirt, quantity: 2 }] });
    const added = changeCart(cart, {
      id,
      patch: { addLines: [{ variantId: shirt, quantity: 3 }] },
    });
    assert(added.ok);
    assert.deepEqual(added.value.lines, [{ variantId: shirt, quantity: 5 }]);
    const dropped = changeCart(added.value, {
      id,
      patch: {
        setLines: [
          { variantId: shirt, quantity: 0 },
          { variantId: mug, quantity: 1 },
        ],
      },
    });
    assert(dropped.ok);
    assert.deepEqual(dropped.value.lines, [{ variantId: mug, quantity: 1 }]);
  });

  it("leaves what a change does not mention and clears what it sets to null", () => {
    const cart = cartOf({ email: "a@example.com", couponCodes: ["SPRING"] });
    const changed = changeCart(cart, { id, patch: { email: null } });
    assert(changed.ok);
    assert.deepEqual([changed.value.email, changed.value.couponCodes], [null, ["SPRING"]]);
  });

  it("refuses a change of another version and of a cart that is ordered", () => {
    const cart = cartOf({});
    const stale = changeCart(cart, { id, patch: {}, expectedVersion: 7 });
    assert.deepEqual(stale, {
      ok: false,
      failure: { code: "carts.stale", cartId: id, version: 1 },
    });
    const orderId = newId<"order">();
    const late = changeCart({ ...cart, status: "ordered", orderId }, { id, patch: {} });
    assert.equal(late.ok ? "" : late.failure.code, "carts.already_ordered");
  });

  it("never holds more lines or units than it may, whatever is thrown at it", () => {
    const variants = Array.from({ length: 8 }, () => newId<"variant">());
    const line = fc.record({
      variantId: fc.constantFrom(...variants),
      quantity: fc.integer({ min: -5, max: 20_000 }),
    });
    const patch = fc.record(
      { lines: fc.array(line), setLines: fc.array(line), addLines: fc.array(line) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(patch, { maxLength: 5 }), (patches) => {
        let cart = cartOf({});
        for (const each of patches) {
          const changed = changeCart(cart, { id, patch: each as CartPatch });
          if (changed.ok) cart = changed.value;
          assert(cart.lines.length <= cartLinesMax);
          assert(cart.lines.every(({ quantity }) => quantity >= 1 && quantity <= cartQuantityMax));
          assert.equal(
            new Set(cart.lines.map(({ variantId }) => variantId)).size,
            cart.lines.length,
          );
        }
      }),
    );
  });
});
