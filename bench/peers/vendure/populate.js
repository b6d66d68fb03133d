"use strict";
// Makes the tables and a shop with BENCH_PRODUCTS products in BENCH_DATABASE_URL.
const { mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { bootstrap } = require("@vendure/core");
const { populate } = require("@vendure/core/cli");
const { createConfig } = require("./config.js");

const initialData = {
  defaultLanguage: "en",
  defaultZone: "Europe",
  countries: [{ name: "Austria", code: "AT", zone: "Europe" }],
  taxRates: [{ name: "Standard Tax", percentage: 20 }],
  shippingMethods: [{ name: "Standard", price: 500 }],
  paymentMethods: [
    {
      name: "Dummy",
      handler: {
        code: "dummy-payment-handler",
        arguments: [{ name: "automaticSettle", value: "true" }],
      },
    },
  ],
  collections: [],
};

const columns = [
  "name",
  "slug",
  "description",
  "assets",
  "facets",
  "optionGroups",
  "optionValues",
  "sku",
  "price",
  "taxCategory",
  "stockOnHand",
  "trackInventory",
  "variantAssets",
  "variantFacets",
];

/** Products like those of our own bench: one variant, a price from 10.00, stock for ever. */
function productsCsv(count) {
  const lines = Array.from({ length: count }, (_, at) => {
    const price = (10 + (at % 500) / 10).toFixed(2);
    const name = [`Product ${at}`, `product-${at}`, `Product ${at}`, "", "", "", ""];
    return [...name, `SKU-${at}`, price, "standard", "100000000", "true", "", ""].join(",");
  });
  return `${[columns.join(","), ...lines].join("\n")}\n`;
}

async function main() {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-vendure-"));
  const csv = path.join(folder, "products.csv");
  try {
    writeFileSync(csv, productsCsv(Number(process.env.BENCH_PRODUCTS)));
    const config = createConfig({ synchronize: true });
    const app = await populate(() => bootstrap(config), initialData, csv);
    await app.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
