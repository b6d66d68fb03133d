import assert from "node:assert/strict";
import { test } from "node:test";
import { decimalOf, exponentOf, formatMoney, readMinor } from "./money.ts";

test("currencies have the places that ISO 4217 gives them", () => {
  assert.deepEqual(["EUR", "JPY", "KWD"].map(exponentOf), [2, 0, 3]);
});

test("amounts are written exactly, however large", () => {
  const digits = (text: string) => text.replace(/\D/g, "");
  assert.equal(digits(formatMoney(9_007_199_254_740_991, "EUR")), "9007199254740991");
  assert.equal(digits(formatMoney(1_500, "JPY")), "1500");
  assert.equal(digits(formatMoney(1_234, "KWD")), "1234");
});

test("amounts become decimals for a field, and are read back", () => {
  for (const amount of [0, 5, 99, 100, -5, -12_345]) {
    for (const currency of ["EUR", "JPY", "KWD"]) {
      assert.equal(readMinor(decimalOf(amount, exponentOf(currency)), currency), amount);
    }
  }
});

test("what people type is read, and what is no amount is not", () => {
  assert.equal(readMinor("19,9", "EUR"), 1_990);
  assert.equal(readMinor(" 20 ", "EUR"), 2_000);
  assert.equal(readMinor("20.", "EUR"), 2_000);
  for (const text of ["", "1.234", "1e3", "abc", "1.2.3"]) {
    assert.equal(readMinor(text, "EUR"), undefined, text);
  }
  assert.equal(readMinor("1.5", "JPY"), undefined);
});
