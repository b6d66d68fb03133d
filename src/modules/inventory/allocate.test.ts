import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { VariantId } from "../catalog/contract.ts";
import { checkRequest, openBook, type StockCell, totalsOf } from "./allocate.ts";
import type { LocationId, ReservationId, ReservationLine } from "./contract.ts";

const variants = ["a", "b"] as VariantId[];
const places = ["x", "y", "z"] as LocationId[];

const cells = fc
  .array(fc.record({ onHand: fc.nat(8), reserved: fc.nat(8), backorderLimit: fc.nat(3) }), {
    minLength: 6,
    maxLength: 6,
  })
  .map((numbers) =>
    numbers.map((each, index): StockCell => {
      const variantId = variants[index % 2] as VariantId;
      const locationId = places[Math.floor(index / 2)] as LocationId;
      const reserved = Math.min(each.reserved, each.onHand + each.backorderLimit);
      return { ...each, reserved, variantId, locationId, priority: index, version: 0 };
    }),
  );
const line = fc.record(
  {
    variantId: fc.constantFrom(...variants),
    quantity: fc.integer({ min: 1, max: 6 }),
    locationId: fc.constantFrom(...places),
  },
  { requiredKeys: ["variantId", "quantity"] },
) as fc.Arbitrary<ReservationLine>;
const requests = fc.array(fc.array(line, { minLength: 1, maxLength: 4 }), { maxLength: 8 });

test("whatever is asked, a book never promises more than a cell has, and promises all or nothing", () => {
  fc.assert(
    fc.property(cells, requests, (stock, asked) => {
      const book = openBook(stock);
      const given = new Map<string, number>();
      for (const lines of asked) {
        const before = variants.map((variant) => book.available(variant));
        const taken = book.take(lines);
        if (!taken.ok) {
          assert.deepEqual(
            variants.map((variant) => book.available(variant)),
            before,
          );
          continue;
        }
        for (const variant of variants) {
          assert.equal(unitsOf(taken.value, variant), unitsOf(lines, variant));
        }
        for (const { variantId, locationId, quantity } of taken.value) {
          const key = variantId + locationId;
          given.set(key, (given.get(key) ?? 0) + quantity);
        }
      }
      for (const cell of stock) {
        const promised = cell.reserved + (given.get(cell.variantId + cell.locationId) ?? 0);
        assert.ok(promised <= cell.onHand + cell.backorderLimit);
      }
    }),
  );
});

function unitsOf(
  list: readonly { readonly variantId: VariantId; readonly quantity: number }[],
  variant: VariantId,
): number {
  const own = list.filter((each) => each.variantId === variant);
  return own.reduce((sum, each) => sum + each.quantity, 0);
}

test("a line without a place is refused only when all places together have too few", () => {
  fc.assert(
    fc.property(cells, fc.integer({ min: 1, max: 30 }), (stock, quantity) => {
      const book = openBook(stock);
      const [variantId] = variants;
      assert.ok(variantId);
      const available = book.available(variantId);
      const taken = book.take([{ variantId, quantity }]);
      assert.equal(taken.ok, quantity <= available);
      if (!taken.ok) assert.deepEqual(taken.failure, outOfStock(variantId, quantity, available));
    }),
  );
});

function outOfStock(variantId: VariantId, requested: number, available: number) {
  return { code: "inventory.out_of_stock", variantId, requested, available } as const;
}

test("a line goes whole to the first place that has it, before it is split or put on backorder", () => {
  const cell = (locationId: string, priority: number, onHand: number, backorderLimit = 0) =>
    ({
      variantId: "a",
      locationId,
      priority,
      onHand,
      reserved: 0,
      backorderLimit,
      version: 0,
    }) as StockCell;
  const book = openBook([cell("z", 3, 9), cell("x", 1, 2, 50), cell("y", 2, 4)]);
  const take = (quantity: number) => {
    const taken = book.take([{ variantId: "a" as VariantId, quantity }]);
    return taken.ok ? taken.value.map((each) => [each.locationId, each.quantity]) : taken.failure;
  };
  assert.deepEqual(take(4), [["y", 4]]);
  assert.deepEqual(take(10), [["x", 10]]);
});

test("merges lines, refuses what is no request", () => {
  const id = "r" as ReservationId;
  const [a] = variants;
  assert.ok(a);
  const merged = checkRequest({
    id,
    lines: [
      { variantId: a, quantity: 1 },
      { variantId: a, quantity: 2 },
    ],
  });
  assert.deepEqual(merged.ok && merged.value, [{ variantId: a, quantity: 3 }]);
  for (const quantity of [0, -1, 1.5, Number.NaN, 2 ** 40]) {
    assert.equal(checkRequest({ id, lines: [{ variantId: a, quantity }] }).ok, false);
  }
  assert.equal(checkRequest({ id, lines: [] }).ok, false);
  assert.equal(checkRequest({ id, lines: [{ variantId: a, quantity: 1 }], ttlMs: 0 }).ok, false);
});

test("totals add up cells in the order rows are locked in", () => {
  const allocation = (variantId: string, locationId: string, quantity: number) => ({
    variantId: variantId as VariantId,
    locationId: locationId as LocationId,
    quantity,
  });
  assert.deepEqual(
    totalsOf([allocation("b", "x", 1), allocation("a", "y", 2), allocation("b", "x", 3)]),
    [allocation("a", "y", 2), allocation("b", "x", 4)],
  );
});
