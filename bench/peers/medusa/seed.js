"use strict";
// Makes a shop with BENCH_PRODUCTS products and writes what a buyer needs to BENCH_SEED_FILE.
const { writeFileSync } = require("node:fs");
const { ContainerRegistrationKeys, Modules } = require("@medusajs/framework/utils");
const flows = require("@medusajs/medusa/core-flows");

const country = "at";
const currency = "eur";
const batch = 100;

module.exports.default = async function seed({ container }) {
  const run = async (workflow, input) => (await workflow(container).run({ input })).result;
  const link = container.resolve(ContainerRegistrationKeys.LINK);
  const query = container.resolve(ContainerRegistrationKeys.QUERY);

  const [channel] = await run(flows.createSalesChannelsWorkflow, {
    salesChannelsData: [{ name: "Bench" }],
  });
  const [region] = await run(flows.createRegionsWorkflow, {
    regions: [
      {
        name: "Europe",
        currency_code: currency,
        countries: [country],
        payment_providers: ["pp_system_default"],
      },
    ],
  });
  await run(flows.createTaxRegionsWorkflow, [
    {
      country_code: country,
      provider_id: "tp_system",
      default_tax_rate: { name: "VAT", code: "vat", rate: 20 },
    },
  ]);
  const { location, profile, option } = await seedShipping({ container, run, link, region });
  await run(flows.linkSalesChannelsToStockLocationWorkflow, { id: location.id, add: [channel.id] });
  const [key] = await run(flows.createApiKeysWorkflow, {
    api_keys: [{ title: "Bench", type: "publishable", created_by: "" }],
  });
  await run(flows.linkSalesChannelsToApiKeyWorkflow, { id: key.id, add: [channel.id] });

  await seedProducts({ run, channel, profile });
  const { data: items } = await query.graph({ entity: "inventory_item", fields: ["id"] });
  for (let from = 0; from < items.length; from += batch) {
    await run(flows.createInventoryLevelsWorkflow, {
      inventory_levels: items.slice(from, from + batch).map(({ id }) => ({
        location_id: location.id,
        inventory_item_id: id,
        stocked_quantity: 100_000_000,
      })),
    });
  }
  const { data: variants } = await query.graph({ entity: "product_variant", fields: ["id"] });
  const target = {
    kind: "medusa",
    publishableKey: key.token,
    variantIds: variants.map(({ id }) => id),
    regionId: region.id,
    shippingOptionId: option.id,
  };
  writeFileSync(process.env.BENCH_SEED_FILE, JSON.stringify(target));
};

async function seedShipping({ container, run, link, region }) {
  const [location] = await run(flows.createStockLocationsWorkflow, {
    locations: [
      { name: "Main", address: { city: "Vienna", country_code: "AT", address_1: "Ring 1" } },
    ],
  });
  const [profile] = await run(flows.createShippingProfilesWorkflow, {
    data: [{ name: "Bench", type: "bench" }],
  });
  const set = await container.resolve(Modules.FULFILLMENT).createFulfillmentSets({
    name: "Delivery",
    type: "shipping",
    service_zones: [{ name: "Europe", geo_zones: [{ country_code: country, type: "country" }] }],
  });
  const from = { [Modules.STOCK_LOCATION]: { stock_location_id: location.id } };
  await link.create({
    ...from,
    [Modules.FULFILLMENT]: { fulfillment_provider_id: "manual_manual" },
  });
  await link.create({ ...from, [Modules.FULFILLMENT]: { fulfillment_set_id: set.id } });
  const [option] = await run(flows.createShippingOptionsWorkflow, [
    {
      name: "Standard",
      price_type: "flat",
      provider_id: "manual_manual",
      service_zone_id: set.service_zones[0].id,
      shipping_profile_id: profile.id,
      type: { label: "Standard", description: "Standard", code: "standard" },
      prices: [
        { currency_code: currency, amount: 5 },
        { region_id: region.id, amount: 5 },
      ],
      rules: [
        { attribute: "enabled_in_store", value: "true", operator: "eq" },
        { attribute: "is_return", value: "false", operator: "eq" },
      ],
    },
  ]);
  return { location, profile, option };
}

async function seedProducts({ run, channel, profile }) {
  const count = Number(process.env.BENCH_PRODUCTS);
  const product = (at) => ({
    title: `Product ${at}`,
    handle: `product-${at}`,
    status: "published",
    shipping_profile_id: profile.id,
    options: [{ title: "Size", values: ["One"] }],
    variants: [
      {
        title: "One",
        sku: `SKU-${at}`,
        options: { Size: "One" },
        manage_inventory: true,
        prices: [{ amount: 10 + (at % 500) / 10, currency_code: currency }],
      },
    ],
    sales_channels: [{ id: channel.id }],
  });
  for (let from = 0; from < count; from += batch) {
    const size = Math.min(batch, count - from);
    const products = Array.from({ length: size }, (_, index) => product(from + index));
    await run(flows.createProductsWorkflow, { products });
  }
}
