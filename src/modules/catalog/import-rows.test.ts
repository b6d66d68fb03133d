import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRowReader } from "./import-rows.ts";

function record(...cells: readonly string[]) {
  return { line: 2, raw: cells.join(","), cells, fault: undefined };
}

function csv(header: string) {
  const reader = createRowReader("csv");
  const begun = reader.begin(record(...header.split(",")));
  return { reader, begun };
}

describe("a row of CSV", () => {
  it("becomes a product with one variant", () => {
    const { reader, begun } = csv(
      "handle,title,collections,sku,option1_name,option1_value,weight_grams,backorder," +
        "price_EUR,compare_at_EUR,price_JPY,price_EUR_10,image_url,image_alt,metadata.origin",
    );
    assert.ok(begun.ok);
    const read = reader.read(
      record(
        ...["shirt", "Shirt", "tops|sale", "SH-S", "Size", "S", "200", "yes"],
        ...["19.99", "24.9", "3000", "17.99", "/a.png", "Front", "PT"],
      ),
    );
    assert.deepEqual(read.input, {
      handle: "shirt",
      title: "Shirt",
      collections: ["tops", "sale"],
      media: [{ url: "/a.png", alt: "Front" }],
      metadata: { origin: "PT" },
      variants: [
        {
          sku: "SH-S",
          optionValues: { Size: "S" },
          weightGrams: 200,
          backorder: true,
          prices: [
            { currency: "EUR", minQuantity: 1, amountMinor: 1999, compareAtMinor: 2490 },
            { currency: "JPY", minQuantity: 1, amountMinor: 3000 },
            { currency: "EUR", minQuantity: 10, amountMinor: 1799 },
          ],
        },
      ],
    });
  });

  it("leaves out what is blank", () => {
    const { reader } = csv("handle,title,sku,price_EUR");
    assert.deepEqual(reader.read(record("shirt", "", "", "")).input, { handle: "shirt" });
  });

  it("is refused with the field at fault", () => {
    const { reader } = csv(
      "handle,sku,price_EUR,price_JPY,weight_grams,option1_value,compare_at_EUR",
    );
    const refused = (...cells: readonly string[]) => reader.read(record(...cells)).refusal?.field;
    assert.equal(refused("", "S", "", "", "", "", ""), "handle");
    assert.equal(refused("h", "S", "1.999", "", "", "", ""), "price_EUR");
    assert.equal(refused("h", "S", "", "1.5", "", "", ""), "price_JPY");
    assert.equal(refused("h", "S", "-1x", "", "", "", ""), "price_EUR");
    assert.equal(refused("h", "S", "", "", "1.5", "", ""), "weight_grams");
    assert.equal(refused("h", "S", "", "", "", "M", ""), "option1_name");
    assert.equal(refused("h", "S", "", "", "", "", "5"), "price_EUR");
    assert.equal(refused("h", "", "5", "", "", "", ""), "sku");
    assert.equal(refused("h", "S"), "");
  });

  it("needs a header with known columns, each once, and a handle", () => {
    const reason = (header: string) => {
      const { begun } = csv(header);
      return begun.ok ? "" : (begun.failure as { reason: string }).reason;
    };
    assert.match(reason("sku,title"), /"handle" is missing/);
    assert.match(reason("handle,colour,prise_EUR"), /colour, prise_EUR/);
    assert.match(reason("handle,sku,sku"), /twice/);
    assert.equal(reason("handle, sku"), "");
  });
});

describe("a line of JSON", () => {
  const reader = createRowReader("jsonl");
  const read = (raw: string) => reader.read({ line: 1, raw, cells: [raw], fault: undefined });

  it("is a product as the API takes it", () => {
    const product = { handle: "mug", title: "Mug", variants: [{ sku: "M" }] };
    assert.deepEqual(read(JSON.stringify(product)).input, product);
  });

  it("is refused with the place at fault", () => {
    assert.match(read("{").refusal?.reason ?? "", /not JSON/);
    assert.equal(read('{"handle":"m","variants":[{"sku":5}]}').refusal?.field, "variants.0.sku");
    assert.equal(read('{"title":"m"}').input, undefined);
    assert.equal(read("null").input, undefined);
  });
});
