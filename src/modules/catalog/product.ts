import { isDeepStrictEqual } from "node:util";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  CatalogFailure,
  CollectionId,
  PriceChange,
  PriceInput,
  Product,
  ProductOption,
  ProductPatch,
  Variant,
  VariantId,
  VariantInput,
  VariantPrice,
} from "./contract.ts";
import { variantsPerProductMax } from "./contract.ts";

/** What a product is made of, its version and times aside. */
export type ProductContent = Omit<Product, "version" | "createdAt" | "updatedAt">;

/** Mints ids of new variants; tests pass a predictable one. */
export type MintVariantId = () => VariantId;

/**
 * Merges a patch into a product.
 *
 * @param collectionIds the patch's collections, resolved; undefined leaves them
 */
export function mergeProduct(
  before: ProductContent,
  patch: ProductPatch,
  { collectionIds, mint }: MergeContext,
): Result<ProductContent, CatalogFailure> {
  const variants = mergeVariants(before.variants, patch.variants ?? [], mint);
  const given = patch.options;
  const options = given ?? extendOptions(before.options, variants);
  const after: ProductContent = {
    id: before.id,
    handle: patch.handle ?? before.handle,
    title: patch.title ?? before.title,
    description: patch.description ?? before.description,
    status: patch.status ?? before.status,
    category: patch.category === undefined ? before.category : patch.category,
    taxCategory: patch.taxCategory ?? before.taxCategory,
    options,
    media: patch.media ?? before.media,
    collectionIds: collectionIds ?? before.collectionIds,
    metadata: patch.metadata ?? before.metadata,
    variants,
  };
  return checkVariants(after);
}

/** What a merge needs beside the patch. */
export interface MergeContext {
  readonly collectionIds: readonly CollectionId[] | undefined;
  readonly mint: MintVariantId;
}

/** Applies price changes to the variants of one product; unknown variants are passed over. */
export function changePrices(
  product: ProductContent,
  changes: readonly PriceChange[],
): ProductContent {
  const variants = product.variants.map((variant) => {
    const own = changes.filter((change) => change.variantId === variant.id);
    return own.length === 0
      ? variant
      : { ...variant, prices: own.reduce(setPrice, variant.prices) };
  });
  return { ...product, variants };
}

/** Names the parts in which two states of a product differ, `variants` and `prices` apart. */
export function changedParts(before: ProductContent, after: ProductContent): readonly string[] {
  const keys = Object.keys(after) as (keyof ProductContent)[];
  const parts = keys.filter(
    (key) => key !== "variants" && !isDeepStrictEqual(before[key], after[key]),
  ) as string[];
  const bare = ({ variants }: ProductContent) => variants.map(({ prices: _, ...rest }) => rest);
  if (!isDeepStrictEqual(bare(before), bare(after))) parts.push("variants");
  const priced = ({ variants }: ProductContent) =>
    variants.map(({ id, prices }) => ({ id, prices }));
  if (!isDeepStrictEqual(priced(before), priced(after))) parts.push("prices");
  return parts;
}

function mergeVariants(
  before: readonly Variant[],
  inputs: readonly VariantInput[],
  mint: MintVariantId,
): readonly Variant[] {
  const merged = [...before];
  const byId = new Map(before.map((variant, index) => [variant.id as string, index]));
  const bySku = new Map(before.map((variant, index) => [variant.sku, index]));
  for (const input of inputs) {
    const index = (input.id && byId.get(input.id)) ?? bySku.get(input.sku) ?? merged.length;
    const variant = mergeVariant(merged[index], input, mint);
    merged[index] = variant;
    byId.set(variant.id, index);
    bySku.set(variant.sku, index);
  }
  return merged;
}

function mergeVariant(
  before: Variant | undefined,
  input: VariantInput,
  mint: MintVariantId,
): Variant {
  const optionValues = input.optionValues ?? before?.optionValues ?? {};
  return {
    id: before?.id ?? input.id ?? mint(),
    sku: input.sku,
    title: input.title ?? before?.title ?? Object.values(optionValues).join(" / "),
    optionValues,
    weightGrams: input.weightGrams ?? before?.weightGrams ?? 0,
    backorder: input.backorder ?? before?.backorder ?? false,
    status: input.status ?? before?.status ?? "active",
    prices: mergePrices(before?.prices ?? [], input.prices ?? []),
  };
}

function mergePrices(
  before: readonly VariantPrice[],
  inputs: readonly PriceInput[],
): readonly VariantPrice[] {
  const named = new Set(inputs.map((input) => input.currency));
  const kept = before.filter((price) => !named.has(price.currency));
  return [...kept, ...inputs.map(toPrice)].toSorted(byCurrencyAndQuantity);
}

function setPrice(
  prices: readonly VariantPrice[],
  { currency, minQuantity = 1, amountMinor, compareAtMinor = null }: PriceChange,
): readonly VariantPrice[] {
  const others = prices.filter(
    (price) => price.currency !== currency || price.minQuantity !== minQuantity,
  );
  if (amountMinor === null) return others;
  const price = { currency, minQuantity, amountMinor, compareAtMinor };
  return [...others, price].toSorted(byCurrencyAndQuantity);
}

function toPrice({ currency, amountMinor, compareAtMinor, minQuantity }: PriceInput): VariantPrice {
  return {
    currency,
    minQuantity: minQuantity ?? 1,
    amountMinor,
    compareAtMinor: compareAtMinor ?? null,
  };
}

function byCurrencyAndQuantity(a: VariantPrice, b: VariantPrice): number {
  if (a.currency !== b.currency) return a.currency < b.currency ? -1 : 1;
  return a.minQuantity - b.minQuantity;
}

/** Adds the names and values that variants use and the options do not list yet. */
function extendOptions(
  before: readonly ProductOption[],
  variants: readonly Variant[],
): readonly ProductOption[] {
  const values = new Map(before.map((option) => [option.name, new Set(option.values)]));
  for (const variant of variants) {
    for (const [name, value] of Object.entries(variant.optionValues)) {
      const known = values.get(name) ?? new Set<string>();
      values.set(name, known.add(value));
    }
  }
  return [...values].map(([name, known]) => ({ name, values: [...known] }));
}

function checkVariants(product: ProductContent): Result<ProductContent, CatalogFailure> {
  const { variants, options } = product;
  const invalid = (reason: string) => fail({ code: "catalog.invalid", field: "variants", reason });
  if (variants.length > variantsPerProductMax) {
    return invalid(`a product has at most ${variantsPerProductMax} variants`);
  }
  const skus = new Set(variants.map((variant) => variant.sku));
  if (skus.size < variants.length) return invalid("one SKU is used twice");
  const allowed = new Map(options.map((option) => [option.name, new Set(option.values)]));
  const combinations = new Set<string>();
  for (const { sku, optionValues, status } of variants) {
    const entries = Object.entries(optionValues).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const foreign = entries.find(([name, value]) => !allowed.get(name)?.has(value));
    if (foreign) return invalid(`${sku}: ${foreign.join(" ")} is not among the options`);
    if (entries.length === 0 || status === "archived") continue;
    const combination = JSON.stringify(entries);
    if (combinations.has(combination)) return invalid(`${sku}: another variant is the same choice`);
    combinations.add(combination);
  }
  return ok(product);
}
