import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  allocate,
  basisPointsOf,
  currencyExponent,
  formatMinor,
  includedTaxOf,
  money,
  multiplyMoney,
  parseMinor,
} from "./money.ts";

const amount = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
const currency = fc.constantFrom("EUR", "USD", "JPY", "KWD", "CLF");

describe("money", () => {
  it("refuses amounts that a double cannot hold exactly", () => {
    assert.throws(() => money(2 ** 53, "EUR"));
    assert.throws(() => multiplyMoney(money(2 ** 52, "EUR"), 3));
    assert.throws(() => money(0.1, "EUR"));
  });

  it("knows currencies without, with two and with three decimal places", () => {
    assert.deepEqual(["JPY", "EUR", "KWD"].map(currencyExponent), [0, 2, 3]);
    assert.equal(formatMinor(-5, "EUR"), "-0.05");
    assert.equal(formatMinor(1234, "JPY"), "1234");
    assert.equal(formatMinor(1234, "KWD"), "1.234");
  });

  it("reads back what it writes", () => {
    fc.assert(
      fc.property(amount, currency, (minor, code) => {
        assert.equal(parseMinor(formatMinor(minor, code), code), minor);
      }),
    );
  });

  it("refuses decimals it cannot hold exactly", () => {
    for (const text of ["1.005", "1e3", "", "abc", "1,00", "99999999999999999"]) {
      assert.equal(parseMinor(text, "EUR"), undefined, text);
    }
    assert.equal(parseMinor("1.500", "EUR"), 150);
  });
});

describe("allocate", () => {
  it("always gives parts that sum to the whole, each within one unit of its share", () => {
    const weights = fc.array(fc.integer({ min: 0, max: 1_000_000 }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(amount, weights, (whole, parts) => {
        const split = allocate(whole, parts);
        assert.equal(
          split.reduce((sum, part) => sum + part, 0),
          whole,
        );
        const total = parts.reduce((sum, part) => sum + part, 0);
        if (total === 0) return;
        for (const [index, part] of split.entries()) {
          const share = (whole * (parts[index] ?? 0)) / total;
          assert(Math.abs(part - share) < 1.000_001, `${part} for ${share}`);
        }
      }),
    );
  });

  it("gives the odd unit to the largest remainder, then to the earlier part", () => {
    assert.deepEqual(allocate(100, [1, 1, 1]), [34, 33, 33]);
    assert.deepEqual(allocate(-100, [1, 1, 1]), [-34, -33, -33]);
    assert.deepEqual(allocate(5, [1, 3]), [1, 4]);
    assert.deepEqual(allocate(7, [0, 0]), [7, 0]);
  });
});

describe("rates", () => {
  it("rounds half away from zero", () => {
    assert.equal(basisPointsOf(25, 1_000), 3);
    assert.equal(basisPointsOf(-25, 1_000), -3);
    assert.equal(basisPointsOf(1_999, 2_000), 400);
  });

  it("takes the included tax out so that net plus its tax is the gross within a unit", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000_000 }),
        fc.integer({ min: 0, max: 5_000 }),
        (gross, rate) => {
          const tax = includedTaxOf(gross, rate);
          assert(tax >= 0 && tax <= gross);
          assert(Math.abs(basisPointsOf(gross - tax, rate) - tax) <= 1);
        },
      ),
    );
  });
});
