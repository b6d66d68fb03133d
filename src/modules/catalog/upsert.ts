import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  CatalogFailure,
  CollectionId,
  Product,
  ProductId,
  ProductPatch,
  VariantId,
} from "./contract.ts";
import { changedParts, mergeProduct, type ProductContent } from "./product.ts";
import { findIdProblem, findProductProblem } from "./validate.ts";

/** A product as the database holds it. */
export type StoredProduct = Product;

/** One product's change. */
export interface ProductChange {
  /** `upsert` finds the product by its id, else by its handle, or makes it. */
  readonly mode: "create" | "update" | "upsert";
  /** Which product; for a new one its id. */
  readonly id?: ProductId | undefined;
  readonly handle?: string | undefined;
  readonly patch: ProductPatch;
  /** Refuse unless the product has this version. */
  readonly expectedVersion?: number | undefined;
  /** Changes what is merged, once more; for prices. */
  readonly adjust?: (product: ProductContent) => ProductContent;
}

/** The part of the catalog a batch of changes touches, under lock. */
export interface CatalogState {
  /** Every product that owns one of the names in the batch. */
  readonly products: readonly StoredProduct[];
  /** Ids and handles of collections. */
  readonly collections: ReadonlyMap<string, CollectionId>;
}

/** Sources of ids and of the time; tests pass predictable ones. */
export interface Mint {
  readonly productId: () => ProductId;
  readonly variantId: () => VariantId;
}

/** What became of one change. */
export interface Decided {
  readonly outcome: "created" | "updated" | "unchanged";
  readonly productId: ProductId;
  readonly changed: readonly string[];
}

/** What a batch of changes comes to. */
export interface UpsertDecision {
  /** One per change, in order. */
  readonly results: readonly Result<Decided, CatalogFailure>[];
  /** Products as they are after the batch, those that differ only. */
  readonly after: ReadonlyMap<ProductId, ProductContent & { readonly version: number }>;
  readonly before: ReadonlyMap<ProductId, StoredProduct>;
}

type Working = ProductContent & { readonly version: number };

/**
 * Decides changes of products in arrival order; a refused one leaves the others alone. Pure.
 *
 * Handles and SKUs must have been free before the batch: one statement writes it all, and the
 * database checks uniqueness row by row, so that a swap within a batch would break on it.
 */
export function decideUpserts(
  state: CatalogState,
  changes: readonly ProductChange[],
  mint: Mint,
): UpsertDecision {
  const before = new Map(state.products.map((product) => [product.id, product]));
  const names = createNames(state.products);
  const after = new Map<ProductId, Working>();
  const results = changes.map((change): Result<Decided, CatalogFailure> => {
    const id =
      change.id !== undefined && (before.has(change.id) || after.has(change.id))
        ? change.id
        : names.products.get(change.handle ?? "");
    const current = id && (after.get(id) ?? before.get(id));
    const refusal = findRefusal(change, current);
    if (refusal) return fail(refusal);
    const next = nextState({ state, change, current, mint });
    if (!next.ok) return next;
    const taken = findTaken(names, next.value);
    if (taken) return fail(taken);
    const changed = current ? changedParts(current, next.value) : [];
    const productId = next.value.id;
    if (current && changed.length === 0) return ok({ outcome: "unchanged", productId, changed });
    const stored = before.get(productId);
    after.set(productId, { ...next.value, version: (stored?.version ?? 0) + 1 });
    claimNames(names, next.value);
    return ok({ outcome: current ? "updated" : "created", productId, changed });
  });
  return { results, after, before };
}

function findRefusal(
  { mode, id, handle, patch, expectedVersion }: ProductChange,
  current: Working | StoredProduct | undefined,
): CatalogFailure | undefined {
  const problem = findIdProblem(id) ?? findProductProblem(patch);
  if (problem) return { code: "catalog.invalid", ...problem };
  if (mode === "update" && !current) {
    return { code: "catalog.product_not_found", product: id ?? handle ?? "" };
  }
  if (mode === "create" && current) {
    return current.id === id
      ? { code: "catalog.id_taken", id: current.id }
      : { code: "catalog.handle_taken", handle: current.handle };
  }
  if (!current && patch.title === undefined) {
    return { code: "catalog.invalid", field: "title", reason: "is required for a new product" };
  }
  if (expectedVersion !== undefined && current && current.version !== expectedVersion) {
    return { code: "catalog.stale", version: current.version };
  }
  return undefined;
}

interface Next {
  readonly state: CatalogState;
  readonly change: ProductChange;
  readonly current: Working | StoredProduct | undefined;
  readonly mint: Mint;
}

function nextState({ state, change, current, mint }: Next): Result<ProductContent, CatalogFailure> {
  const { patch, adjust, handle } = change;
  const collectionIds: CollectionId[] = [];
  for (const name of patch.collections ?? []) {
    const id = state.collections.get(name);
    if (!id) return fail({ code: "catalog.collection_not_found", collection: name });
    if (!collectionIds.includes(id)) collectionIds.push(id);
  }
  const base = current
    ? contentOf(current)
    : emptyProduct(change.id ?? mint.productId(), patch.handle ?? handle ?? "");
  const merged = mergeProduct(base, patch, {
    collectionIds: patch.collections && collectionIds.sort(),
    mint: mint.variantId,
  });
  return merged.ok && adjust ? ok(adjust(merged.value)) : merged;
}

function contentOf(product: Working | StoredProduct): ProductContent {
  const { id, handle, title, description, status, category, taxCategory } = product;
  const { options, media, collectionIds, metadata, variants } = product;
  return {
    id,
    handle,
    title,
    description,
    status,
    category,
    taxCategory,
    options,
    media,
    collectionIds,
    metadata,
    variants,
  };
}

function emptyProduct(id: ProductId, handle: string): ProductContent {
  return {
    id,
    handle,
    title: "",
    description: "",
    status: "draft",
    category: null,
    taxCategory: "standard",
    options: [],
    media: [],
    collectionIds: [],
    metadata: {},
    variants: [],
  };
}

/** Who owns which name, stored or claimed in the batch. Names given up stay taken. */
interface NameOwners {
  readonly products: Map<string, ProductId>;
  /** SKU to variant. */
  readonly skus: Map<string, VariantId>;
  /** Variant to product. */
  readonly variants: Map<string, ProductId>;
}

function createNames(products: readonly StoredProduct[]): NameOwners {
  const names: NameOwners = { products: new Map(), skus: new Map(), variants: new Map() };
  for (const product of products) claimNames(names, product);
  return names;
}

function claimNames(names: NameOwners, product: ProductContent): void {
  names.products.set(product.handle, product.id);
  for (const { id, sku } of product.variants) {
    names.skus.set(sku, id);
    names.variants.set(id, product.id);
  }
}

function findTaken(names: NameOwners, product: ProductContent): CatalogFailure | undefined {
  const holder = names.products.get(product.handle);
  if (holder !== undefined && holder !== product.id) {
    return { code: "catalog.handle_taken", handle: product.handle };
  }
  for (const { id, sku } of product.variants) {
    const owner = names.variants.get(id);
    if (owner !== undefined && owner !== product.id) return { code: "catalog.id_taken", id };
    const variant = names.skus.get(sku);
    if (variant !== undefined && variant !== id) return { code: "catalog.sku_taken", sku };
  }
  return undefined;
}
