import { isId } from "../../kernel/ids.ts";
import { findUnstorableText } from "../../kernel/text.ts";
import {
  type PriceInput,
  type ProductMedia,
  type ProductOption,
  type ProductPatch,
  type VariantInput,
  variantsPerProductMax,
} from "./contract.ts";

/** What is wrong with an input, and where. */
export interface Problem {
  readonly field: string;
  readonly reason: string;
}

/** Largest price, minor units: 200 lines of 9,999 units stay a safe whole number below it. */
export const amountMinorMax = 4_000_000_000;

const statuses = ["draft", "published", "archived"];
const handlePattern = /^[^\s/]{1,200}$/;
const currencyPattern = /^[A-Z]{3}$/;
const taxCategoryPattern = /^[a-z0-9_.-]{1,60}$/;

/** Checks the fields that are there. @returns the first problem */
export function findProductProblem(patch: ProductPatch): Problem | undefined {
  const bad = findUnstorableText(patch);
  if (bad) return { field: bad, reason: "contains a NUL or half a surrogate pair" };
  return (
    findHandleProblem(patch.handle) ??
    outside("title", patch.title, [1, 500]) ??
    outside("description", patch.description, [0, 50_000]) ??
    outside("category", patch.category, [1, 200]) ??
    findStatusProblem(patch) ??
    findOptionsProblem(patch.options) ??
    findMediaProblem(patch.media) ??
    findMetadataProblem(patch.metadata) ??
    tooMany("collections", patch.collections, 100) ??
    tooMany("variants", patch.variants, variantsPerProductMax) ??
    firstOf(patch.variants, (variant, index) => findVariantProblem(variant, `variants.${index}`))
  );
}

/** Checks a handle of a product or collection: it must not be taken for an id. */
export function findHandleProblem(handle: string | undefined): Problem | undefined {
  if (handle === undefined) return undefined;
  if (handlePattern.test(handle) && !isId(handle.toLowerCase())) return undefined;
  return {
    field: "handle",
    reason: "must be 1 to 200 characters without spaces and slashes, and not a UUID",
  };
}

/** Checks an id that the caller made. */
export function findIdProblem(id: string | undefined, field = "id"): Problem | undefined {
  if (id === undefined || isId(id)) return undefined;
  return { field, reason: "must be a UUID in lower case" };
}

/** Checks a price of a currency. */
export function findPriceProblem(price: PriceInput, at: string): Problem | undefined {
  const { currency, amountMinor, compareAtMinor = null, minQuantity = 1 } = price;
  if (!currencyPattern.test(currency)) {
    return { field: `${at}.currency`, reason: "must be an ISO 4217 code" };
  }
  if (!isWhole(amountMinor, 0, amountMinorMax)) {
    return { field: `${at}.amountMinor`, reason: `must be a whole number, 0 to ${amountMinorMax}` };
  }
  if (compareAtMinor !== null && !isWhole(compareAtMinor, 0, amountMinorMax)) {
    return { field: `${at}.compareAtMinor`, reason: "must be a whole number like the price" };
  }
  if (isWhole(minQuantity, 1, 1_000_000)) return undefined;
  return { field: `${at}.minQuantity`, reason: "must be a whole number, 1 to 1,000,000" };
}

/** Checks the length of a text that may be absent. */
export function outside(
  field: string,
  text: string | null | undefined,
  [least, most]: readonly [number, number],
): Problem | undefined {
  if (text === undefined || text === null) return undefined;
  if (typeof text === "string" && text.length >= least && text.length <= most) return undefined;
  return { field, reason: `must be a text of ${least} to ${most} characters` };
}

function findStatusProblem({ status, taxCategory }: ProductPatch): Problem | undefined {
  if (status !== undefined && !statuses.includes(status)) {
    return { field: "status", reason: `must be one of ${statuses.join(", ")}` };
  }
  if (taxCategory === undefined || taxCategoryPattern.test(taxCategory)) return undefined;
  return { field: "taxCategory", reason: "must be 1 to 60 of a-z, 0-9, _ . -" };
}

function findVariantProblem(variant: VariantInput, at: string): Problem | undefined {
  const { id, sku, title, optionValues = {}, weightGrams, prices = [] } = variant;
  const keys = prices.map((price) => `${price.currency} ${price.minQuantity ?? 1}`);
  return (
    findIdProblem(id, `${at}.id`) ??
    findSkuProblem(sku, at) ??
    outside(`${at}.title`, title, [0, 500]) ??
    tooMany(`${at}.optionValues`, Object.keys(optionValues), 10) ??
    firstOf(Object.entries(optionValues), ([name, value]) =>
      outside(`${at}.optionValues.${name}`, name && value, [1, 200]),
    ) ??
    (weightGrams === undefined || isWhole(weightGrams, 0, 1_000_000_000)
      ? undefined
      : { field: `${at}.weightGrams`, reason: "must be a whole number of grams" }) ??
    tooMany(`${at}.prices`, prices, 100) ??
    firstOf(prices, (price, index) => findPriceProblem(price, `${at}.prices.${index}`)) ??
    (new Set(keys).size === keys.length
      ? undefined
      : { field: `${at}.prices`, reason: "names one currency and quantity twice" })
  );
}

function findSkuProblem(sku: string, at: string): Problem | undefined {
  const isFine = sku.length >= 1 && sku.length <= 200 && sku === sku.trim();
  if (isFine) return undefined;
  return { field: `${at}.sku`, reason: "must be 1 to 200 characters without space around" };
}

function findOptionsProblem(options: readonly ProductOption[] = []): Problem | undefined {
  const names = options.map((option) => option.name);
  if (new Set(names).size < names.length) {
    return { field: "options", reason: "names an option twice" };
  }
  return (
    tooMany("options", options, 10) ??
    firstOf(options, ({ name, values }, index) => {
      const at = `options.${index}`;
      return (
        outside(`${at}.name`, name, [1, 200]) ??
        tooMany(`${at}.values`, values, variantsPerProductMax) ??
        firstOf(values, (value) => outside(`${at}.values`, value, [1, 200]))
      );
    })
  );
}

function findMediaProblem(media: readonly ProductMedia[] = []): Problem | undefined {
  return (
    tooMany("media", media, 50) ??
    firstOf(media, ({ url, alt }, index) =>
      isMediaUrl(url)
        ? outside(`media.${index}.alt`, alt, [0, 500])
        : {
            field: `media.${index}.url`,
            reason: "must be an https address, a path, or SVG data of at most 32 KiB",
          },
    )
  );
}

function isMediaUrl(url: string): boolean {
  if (url.startsWith("data:image/svg+xml")) return url.length <= 32_768;
  return (
    url.length <= 2_000 &&
    (/^https?:\/\/[^\s"'<>]+$/.test(url) || /^\/[^/\s"'<>\\][^\s"'<>\\]*$/.test(url))
  );
}

function findMetadataProblem(metadata: Readonly<Record<string, string>> = {}): Problem | undefined {
  return (
    tooMany("metadata", Object.keys(metadata), 50) ??
    firstOf(
      Object.entries(metadata),
      ([key, value]) =>
        outside("metadata", key, [1, 100]) ?? outside(`metadata.${key}`, value, [0, 2_000]),
    )
  );
}

function tooMany(
  field: string,
  members: readonly unknown[] | undefined,
  most: number,
): Problem | undefined {
  if (!members || members.length <= most) return undefined;
  return { field, reason: `has more than ${most} entries` };
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

function firstOf<Member>(
  members: readonly Member[] = [],
  find: (member: Member, index: number) => Problem | undefined,
): Problem | undefined {
  for (const [index, member] of members.entries()) {
    const problem = find(member, index);
    if (problem) return problem;
  }
  return undefined;
}
