import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import { includedTaxOf } from "../../kernel/money.ts";
import type { TaxRate, TaxTable, TaxZone } from "./contract.ts";
import { createTableTaxProvider, quoteTax } from "./quote.ts";

const zone = (areas: TaxZone["areas"], priceIncludesTax: boolean): TaxZone => ({
  id: newId<"tax_zone">(),
  name: "Zone",
  areas,
  priceIncludesTax,
  version: 1,
});
const rate = ({ id: zoneId }: TaxZone, rateBps: number, more: Partial<TaxRate> = {}): TaxRate => ({
  id: newId<"tax_rate">(),
  zoneId,
  category: null,
  name: `Tax ${rateBps}`,
  rateBps,
  isCompound: false,
  appliesToShipping: true,
  priority: 0,
  version: 1,
  ...more,
});
const austria = zone([{ country: "AT" }], true);
const california = zone([{ country: "US", regions: ["CA"] }], false);
const quebec = zone([{ country: "CA", regions: ["QC"] }], false);
const table: TaxTable = {
  zones: [austria, california, quebec],
  rates: [
    rate(austria, 2_000),
    rate(austria, 1_000, { category: "books" }),
    rate(california, 725, { appliesToShipping: false }),
    rate(quebec, 500),
    rate(quebec, 950, { isCompound: true }),
  ],
};
const request = (countryCode: string, region: string | null, amountMinor: number) => ({
  currency: "EUR",
  lines: [{ amountMinor, category: "standard" }],
  shipping: { amountMinor: 500, category: null },
  destination: { countryCode, region },
});

describe("quoteTax", () => {
  it("takes the tax out of prices that include it", () => {
    const quote = quoteTax(request("AT", null, 12_000), table);
    assert.equal(quote.priceIncludesTax, true);
    assert.deepEqual(quote.lines[0], {
      netMinor: 10_000,
      taxMinor: 2_000,
      grossMinor: 12_000,
      components: [{ name: "Tax 2000", rateBps: 2_000, taxMinor: 2_000 }],
    });
    assert.equal(quote.shipping?.taxMinor, 83);
    assert.equal(quote.taxMinor, 2_083);
  });

  it("adds the tax to prices without it, and leaves shipping out where it is not taxed", () => {
    const quote = quoteTax(request("US", "ca", 1_000), table);
    assert.equal(quote.lines[0]?.taxMinor, 73);
    assert.equal(quote.lines[0]?.grossMinor, 1_073);
    assert.equal(quote.shipping?.taxMinor, 0);
  });

  it("taxes a tax with a compound rate", () => {
    const quote = quoteTax(request("CA", "QC", 10_000), table);
    // 5 % of 100.00 is 5.00; 9.5 % of 105.00 is 9.975; together 14.975, rounded once.
    assert.equal(quote.lines[0]?.taxMinor, 1_498);
    assert.deepEqual(
      quote.lines[0]?.components.map(({ taxMinor }) => taxMinor),
      [500, 998],
    );
  });

  it("prefers the rate of the category and falls back to the zone's", () => {
    const lines = [
      { amountMinor: 1_100, category: "books" },
      { amountMinor: 1_200, category: "unheard-of" },
    ];
    const quote = quoteTax({ ...request("AT", null, 0), lines, shipping: null }, table);
    assert.deepEqual(
      quote.lines.map(({ taxMinor }) => taxMinor),
      [100, 200],
    );
  });

  it("taxes nothing where no zone covers the destination, or none is known", () => {
    for (const destination of [{ countryCode: "JP" }, null]) {
      const quote = quoteTax({ ...request("AT", null, 100), destination }, table);
      assert.equal(quote.zoneId, null);
      assert.equal(quote.taxMinor, 0);
      assert.equal(quote.lines[0]?.grossMinor, 100);
    }
  });

  it("answers through the provider port", async () => {
    const asked = request("AT", null, 999);
    assert.deepEqual(await createTableTaxProvider(table).quote(asked), quoteTax(asked, table));
  });
});

describe("any rates on any amounts", () => {
  const rates = (home: TaxZone) =>
    fc
      .tuple(
        fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 3 }),
        fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 2 }),
      )
      .map(([simple, compound]) => [
        ...simple.map((bps) => rate(home, bps)),
        ...compound.map((bps) => rate(home, bps, { isCompound: true })),
      ]);
  const amounts = fc.array(fc.integer({ min: 0, max: 1_000_000_000_000 }), { maxLength: 5 });

  for (const priceIncludesTax of [true, false]) {
    it(`adds up when prices ${priceIncludesTax ? "include" : "exclude"} tax`, () => {
      const home = zone([{ country: "*" }], priceIncludesTax);
      fc.assert(
        fc.property(rates(home), amounts, (ruled, values) => {
          const asked = {
            currency: "EUR",
            lines: values.map((amountMinor) => ({ amountMinor, category: "standard" })),
            shipping: { amountMinor: 490, category: null },
            destination: { countryCode: "DE" },
          };
          const quote = quoteTax(asked, { zones: [home], rates: ruled });
          let sum = quote.shipping?.taxMinor ?? 0;
          for (const [index, line] of quote.lines.entries()) {
            assert.equal(line.netMinor + line.taxMinor, line.grossMinor);
            assert.equal(priceIncludesTax ? line.grossMinor : line.netMinor, values[index]);
            assert.ok(line.taxMinor >= 0 && line.netMinor >= 0);
            const parts = line.components.map(({ taxMinor }) => taxMinor);
            assert.equal(
              parts.reduce((total, part) => total + part, 0),
              line.taxMinor,
            );
            assert.ok(parts.every((part) => part >= 0));
            sum += line.taxMinor;
          }
          assert.equal(quote.taxMinor, sum);
        }),
        { numRuns: 300 },
      );
    });
  }

  it("agrees with the plain formula for one included rate", () => {
    const home = zone([{ country: "*" }], true);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 1_000_000_000_000 }),
        (bps, amountMinor) => {
          const asked = {
            currency: "EUR",
            lines: [{ amountMinor, category: "standard" }],
            shipping: null,
            destination: { countryCode: "DE" },
          };
          const quote = quoteTax(asked, { zones: [home], rates: [rate(home, bps)] });
          assert.equal(quote.taxMinor, includedTaxOf(amountMinor, bps));
        },
      ),
    );
  });

  it("gives the net price back when the tax is added to it and taken out again", () => {
    const open = zone([{ country: "*" }], false);
    const included = { ...open, priceIncludesTax: true };
    fc.assert(
      fc.property(rates(open), fc.integer({ min: 0, max: 1_000_000_000 }), (ruled, amountMinor) => {
        const asked = (amount: number) => ({
          currency: "EUR",
          lines: [{ amountMinor: amount, category: "standard" }],
          shipping: null,
          destination: { countryCode: "DE" },
        });
        const there = quoteTax(asked(amountMinor), { zones: [open], rates: ruled }).lines[0];
        const gross = there?.grossMinor ?? 0;
        const back = quoteTax(asked(gross), { zones: [included], rates: ruled }).lines[0];
        assert.equal(back?.netMinor, amountMinor);
      }),
    );
  });
});
