import type { PictureKind } from "./pictures.ts";

/** A family of products of one brand. */
export interface Range {
  /** Collection it belongs to. */
  readonly collection: string;
  readonly noun: string;
  readonly picture: PictureKind;
  /** Lowest and highest price in whole units of the brand's first currency. */
  readonly price: readonly [low: number, high: number];
  readonly option: { readonly name: string; readonly values: readonly string[] };
  /** Weight of one unit, grams. */
  readonly weightGrams: number;
  readonly materials: readonly string[];
}

/** A brand of the demo. */
export interface DemoBrand {
  readonly slug: string;
  readonly name: string;
  readonly tagline: string;
  /** First one is the brand's own. */
  readonly currencies: readonly string[];
  readonly countryCode: string;
  readonly taxInclusive: boolean;
  readonly adjectives: readonly string[];
  readonly ranges: readonly Range[];
  readonly towns: readonly (readonly [city: string, postalCode: string, countryCode: string])[];
  readonly people: readonly string[];
}

const sizes = { name: "Size", values: ["S", "M", "L", "XL"] } as const;
const colours = { name: "Colour", values: ["Moss", "Slate", "Rust"] } as const;
const one = { name: "Edition", values: ["Standard"] } as const;

/** Units of a currency for one euro: the demo's price lists, not a rate of exchange. */
export const perEuro: Readonly<Record<string, number>> = { EUR: 1, USD: 1.1, JPY: 165 };

/** The three brands that the demo opens with. */
export const demoBrands: readonly DemoBrand[] = [
  {
    slug: "nordlicht",
    name: "Nordlicht",
    tagline: "Clothes and kit for weather",
    currencies: ["EUR", "USD"],
    countryCode: "DE",
    taxInclusive: true,
    adjectives: [
      "Fjord",
      "Polar",
      "Granite",
      "Drift",
      "Tundra",
      "Beacon",
      "Harbour",
      "Cirrus",
      "Lichen",
      "Ember",
      "Skerry",
      "Boreal",
      "Cairn",
      "Firn",
    ],
    ranges: [
      {
        collection: "Jackets",
        noun: "Jacket",
        picture: "jacket",
        price: [119, 349],
        option: sizes,
        weightGrams: 720,
        materials: ["waxed cotton", "recycled nylon", "boiled wool"],
      },
      {
        collection: "Tops",
        noun: "Tee",
        picture: "tee",
        price: [29, 59],
        option: sizes,
        weightGrams: 180,
        materials: ["merino", "organic cotton", "hemp blend"],
      },
      {
        collection: "Headwear",
        noun: "Beanie",
        picture: "beanie",
        price: [19, 45],
        option: colours,
        weightGrams: 90,
        materials: ["lambswool", "merino", "alpaca"],
      },
      {
        collection: "Bags",
        noun: "Backpack",
        picture: "backpack",
        price: [79, 189],
        option: colours,
        weightGrams: 980,
        materials: ["ripstop", "canvas", "recycled sailcloth"],
      },
      {
        collection: "Footwear",
        noun: "Boot",
        picture: "boot",
        price: [129, 259],
        option: { name: "EU size", values: ["38", "40", "42", "44"] },
        weightGrams: 1_250,
        materials: ["full-grain leather", "nubuck"],
      },
      {
        collection: "Trail",
        noun: "Bottle",
        picture: "bottle",
        price: [24, 44],
        option: colours,
        weightGrams: 310,
        materials: ["steel", "titanium"],
      },
    ],
    towns: [
      ["Hamburg", "20095", "DE"],
      ["Berlin", "10115", "DE"],
      ["Wien", "1010", "AT"],
      ["Oslo", "0150", "NO"],
      ["Zürich", "8001", "CH"],
    ],
    people: [
      "Anna Berger",
      "Jonas Falk",
      "Mira Lindqvist",
      "Tom Riedel",
      "Eva Sand",
      "Lars Holm",
      "Ida Krüger",
      "Paul Winter",
    ],
  },
  {
    slug: "kopi-clay",
    name: "Kopi & Clay",
    tagline: "Slow coffee, hand-thrown stoneware",
    currencies: ["USD", "EUR"],
    countryCode: "US",
    taxInclusive: false,
    adjectives: [
      "Sunday",
      "Mesa",
      "Ochre",
      "Porch",
      "Saltglaze",
      "Juniper",
      "Adobe",
      "Riverbed",
      "Quiet",
      "Copper",
      "Fieldstone",
      "Marigold",
      "Dusk",
      "Hearth",
    ],
    ranges: [
      {
        collection: "Cups",
        noun: "Mug",
        picture: "mug",
        price: [22, 48],
        option: { name: "Volume", values: ["250 ml", "350 ml"] },
        weightGrams: 380,
        materials: ["stoneware", "porcelain", "speckled clay"],
      },
      {
        collection: "Table",
        noun: "Bowl",
        picture: "bowl",
        price: [28, 72],
        option: { name: "Diameter", values: ["14 cm", "18 cm", "24 cm"] },
        weightGrams: 620,
        materials: ["stoneware", "terracotta"],
      },
      {
        collection: "Coffee",
        noun: "Coffee",
        picture: "beans",
        price: [14, 28],
        option: { name: "Grind", values: ["Whole bean", "Filter", "Espresso"] },
        weightGrams: 260,
        materials: ["washed arabica", "natural arabica", "honey process"],
      },
      {
        collection: "Plants",
        noun: "Planter",
        picture: "pot",
        price: [32, 96],
        option: colours,
        weightGrams: 1_400,
        materials: ["terracotta", "stoneware"],
      },
      {
        collection: "Light",
        noun: "Candle",
        picture: "candle",
        price: [18, 38],
        option: one,
        weightGrams: 420,
        materials: ["beeswax", "soy wax"],
      },
      {
        collection: "Light",
        noun: "Lamp",
        picture: "lamp",
        price: [89, 240],
        option: colours,
        weightGrams: 2_300,
        materials: ["clay and linen", "clay and paper"],
      },
    ],
    towns: [
      ["Portland", "97205", "US"],
      ["Santa Fe", "87501", "US"],
      ["Austin", "78701", "US"],
      ["Brooklyn", "11201", "US"],
      ["Dublin", "D02", "IE"],
    ],
    people: [
      "Grace Otero",
      "Sam Whitfield",
      "Nadia Cole",
      "Leo Marsh",
      "June Abbott",
      "Ray Castillo",
      "Ivy Monroe",
      "Max Delgado",
    ],
  },
  {
    slug: "tsukimi",
    name: "Tsukimi",
    tagline: "Paper, ink and patience",
    currencies: ["JPY", "USD", "EUR"],
    countryCode: "JP",
    taxInclusive: true,
    adjectives: [
      "Hinoki",
      "Kasumi",
      "Yoru",
      "Asagi",
      "Momiji",
      "Suzume",
      "Koharu",
      "Nami",
      "Tsubaki",
      "Hotaru",
      "Shirayuki",
      "Akane",
      "Matsu",
      "Ruri",
    ],
    ranges: [
      {
        collection: "Paper",
        noun: "Notebook",
        picture: "notebook",
        price: [8, 32],
        option: { name: "Format", values: ["A6", "A5", "B5"] },
        weightGrams: 240,
        materials: ["ivory paper", "grid paper", "washi"],
      },
      {
        collection: "Writing",
        noun: "Pen",
        picture: "pen",
        price: [12, 180],
        option: { name: "Nib", values: ["F", "M", "B"] },
        weightGrams: 40,
        materials: ["urushi", "brass", "resin"],
      },
      {
        collection: "Craft",
        noun: "Washi Tape",
        picture: "tape",
        price: [3, 9],
        option: one,
        weightGrams: 30,
        materials: ["washi"],
      },
      {
        collection: "Paper",
        noun: "Letter Set",
        picture: "card",
        price: [6, 18],
        option: one,
        weightGrams: 120,
        materials: ["mulberry paper", "cotton paper"],
      },
      {
        collection: "Writing",
        noun: "Ink",
        picture: "ink",
        price: [11, 34],
        option: { name: "Volume", values: ["20 ml", "50 ml"] },
        weightGrams: 160,
        materials: ["dye ink", "pigment ink"],
      },
      {
        collection: "Carry",
        noun: "Pen Case",
        picture: "case",
        price: [19, 75],
        option: colours,
        weightGrams: 110,
        materials: ["canvas", "kimono cloth", "leather"],
      },
    ],
    towns: [
      ["Kyoto", "604-8005", "JP"],
      ["Tokyo", "100-0001", "JP"],
      ["Sapporo", "060-0001", "JP"],
      ["Seattle", "98101", "US"],
      ["Lyon", "69001", "FR"],
    ],
    people: [
      "Haruka Mori",
      "Kenji Sato",
      "Aiko Tanaka",
      "Ren Fujita",
      "Yui Nakamura",
      "Daichi Ono",
      "Clara Petit",
      "Noah Kim",
    ],
  },
];
