import { currencyExponent } from "../kernel/money.ts";
import type { Random } from "../kernel/random.ts";
import type { ProductInput, VariantInput } from "../modules/catalog/contract.ts";
import { type DemoBrand, perEuro, type Range } from "./brands.ts";

/** Products of one range: every adjective once, in every material that suits it. */
export function productsOf(brand: DemoBrand, random: Random): readonly ProductInput[] {
  const products = everyProduct(brand, random);
  // Mixed, as a shop's newest arrivals are: not all bottles first.
  const places = new Map(products.map((product) => [product, random()]));
  return products.toSorted((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
}

function everyProduct(brand: DemoBrand, random: Random): readonly ProductInput[] {
  return brand.ranges.flatMap((range, rangeIndex) =>
    brand.adjectives.flatMap((adjective, index) => {
      const materials = range.materials.filter(
        (_, at) => (index + at) % range.materials.length < 2 || range.materials.length === 1,
      );
      return materials.map((material, at) =>
        productOf({
          brand,
          range,
          adjective,
          material,
          random,
          seed: rangeIndex * 1_000 + index * 10 + at,
        }),
      );
    }),
  );
}

interface Making {
  readonly brand: DemoBrand;
  readonly range: Range;
  readonly adjective: string;
  readonly material: string;
  readonly random: Random;
  readonly seed: number;
}

function productOf({ brand, range, adjective, material, random, seed }: Making): ProductInput {
  const title = `${adjective} ${range.noun} in ${material}`;
  const handle = slugOf(title);
  const [low, high] = range.price;
  const price = low + random() * (high - low);
  const isOnSale = random() < 0.12;
  const skuBase =
    `${brand.slug.slice(0, 3)}-${slugOf(adjective).slice(0, 4)}-${seed}`.toUpperCase();
  return {
    handle,
    title,
    description: describe(range, adjective, material),
    status: "published",
    category: range.noun,
    taxCategory: range.noun === "Coffee" ? "food" : "standard",
    collections: [slugOf(range.collection)],
    options: [{ name: range.option.name, values: range.option.values }],
    media: [{ url: `/v1/demo/pictures/${range.picture}/${seed}`, alt: title }],
    variants: range.option.values.map(
      (value, index): VariantInput => ({
        sku: `${skuBase}-${index + 1}`,
        title: range.option.values.length > 1 ? value : "",
        optionValues: { [range.option.name]: value },
        weightGrams: range.weightGrams,
        prices: brand.currencies.map((currency) => {
          const amountMinor = retailPrice(price * (1 + index * 0.06), currency);
          const compareAtMinor = retailPrice(price * (1.25 + index * 0.06), currency);
          return { currency, amountMinor, ...(isOnSale ? { compareAtMinor } : {}) };
        }),
      }),
    ),
  };
}

/** A price as shops write them: 24.90, 25.00, 3,300 yen. */
function retailPrice(euros: number, currency: string): number {
  const amount = euros * (perEuro[currency] ?? 1);
  if (currencyExponent(currency) === 0) return Math.max(100, Math.round(amount / 100) * 100);
  const whole = Math.max(1, Math.round(amount));
  return whole > 40 ? whole * 100 : whole * 100 - 10;
}

function describe(range: Range, adjective: string, material: string): string {
  const uses: Readonly<Record<string, string>> = {
    Jackets: "Cut for wind and long walks, with pockets where hands look for them.",
    Tops: "Soft from the first day, and still in shape after a hundred washes.",
    Headwear: "Covers the ears, stays on in a gust, folds into a coat pocket.",
    Bags: "Carries a laptop, a lunch and a wet umbrella, apart from each other.",
    Footwear: "Resoleable, and quiet on stone.",
    Trail: "Keeps hot for eight hours and does not drip.",
    Cups: "Thrown by hand, so no two have the same rim.",
    Table: "Wide enough for soup, deep enough for a salad that fights back.",
    Coffee: "Roasted on Tuesdays, sent on Wednesdays.",
    Plants: "With a hole in the base and a saucer that fits.",
    Light: "Warm light for the end of the day.",
    Paper: "Takes fountain pen ink without feathering.",
    Writing: "Balanced, refillable, and better every year.",
    Craft: "Tears straight, peels off clean.",
    Carry: "Everything for the desk in one place.",
  };
  return `${adjective} is made of ${material}. ${uses[range.collection] ?? ""}`.trim();
}

/** Lower-case words with hyphens between. */
export function slugOf(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}
