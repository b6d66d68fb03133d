import { isDeepStrictEqual } from "node:util";
import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { isId, newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { isStorableText } from "../../kernel/text.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type {
  CatalogFailure,
  PriceChange,
  Product,
  ProductId,
  ProductInput,
  ProductPatch,
  UpsertedProduct,
  VariantId,
  VariantInput,
} from "./contract.ts";
import { changePrices } from "./product.ts";
import {
  bumpCatalog,
  findCollections,
  loadNamed,
  lockCatalog,
  type ProductWrite,
  readTimes,
  writeProducts,
} from "./store.ts";
import { decideUpserts, type Mint, type ProductChange, type UpsertDecision } from "./upsert.ts";
import { findPriceProblem } from "./validate.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly db: Db;
  readonly work: UnitOfWork;
}

/** What a command for one caller answers. */
export type Outcome<Value> = Promise<Result<Value, CatalogFailure | IdempotencyFailure>>;

const mint: Mint = { productId: () => newId<"product">(), variantId: () => newId<"variant">() };

/**
 * Makes products or brings them up to date, in the caller's transaction: nine statements at most
 * for any number of products. Refuses product by product.
 *
 * @param inputs at most productsPerUpsertMax, found by handle
 * @returns one result per input, in order
 */
export async function upsertProductsIn(
  tx: TenantTx,
  origin: EventOrigin,
  inputs: readonly ProductInput[],
): Promise<readonly Result<UpsertedProduct, CatalogFailure>[]> {
  return saveProducts(
    tx,
    origin,
    inputs.map(({ id, ...patch }) => ({ mode: "upsert", id, handle: patch.handle, patch })),
  );
}

/** Like {@link upsertProductsIn} in a transaction of its own. */
export function upsertProducts(
  { db }: CommandDeps,
  ctx: Context,
  inputs: readonly ProductInput[],
): Promise<readonly Result<UpsertedProduct, CatalogFailure>[]> {
  return db.commit(ctx.tenantId, (tx) => upsertProductsIn(tx, ctx, inputs), {
    name: "catalog.upsert_products",
  });
}

/** Makes one product. A retry with the caller's own id is the same command. */
export function createProduct(
  { work }: CommandDeps,
  ctx: Context,
  { id, ...patch }: ProductInput,
): Outcome<Product> {
  const { handle } = patch;
  return work.transact<Product, CatalogFailure>(
    ctx,
    async (tx) => {
      const change: ProductChange = { mode: "create", id, handle, patch };
      const [result] = await saveProducts(tx, ctx, [change]);
      if (result?.ok) return ok(result.value.product);
      const failure = present(result, "a result of one change").failure;
      const [existing] =
        failure.code === "catalog.id_taken" ? await loadNamed(tx, named([change])) : [];
      const isRetry = existing?.id === id && existing?.handle === handle;
      return existing && isRetry ? ok(existing) : fail(failure);
    },
    { name: "catalog.create_product" },
  );
}

/** Which product, and the version the change is meant for. */
export interface ProductTarget {
  readonly id: ProductId;
  readonly expectedVersion?: number | undefined;
}

/** Changes one product; variants in the patch are merged by id, else by SKU. */
export function updateProduct(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: ProductTarget,
  patch: ProductPatch,
): Outcome<Product> {
  return work.transact<Product, CatalogFailure>(
    ctx,
    async (tx) => {
      const [result] = await saveProducts(tx, ctx, [
        { mode: "update", id, expectedVersion, patch },
      ]);
      return productOf(present(result, "a result of one change"));
    },
    { name: "catalog.update_product" },
  );
}

/** Which variant, and the version of its product the change is meant for. */
export interface VariantTarget {
  readonly id: VariantId;
  readonly expectedVersion?: number | undefined;
}

/** Changes one variant, wherever it belongs. */
export function updateVariant(
  { work }: CommandDeps,
  ctx: Context,
  target: VariantTarget,
  patch: Partial<Omit<VariantInput, "id">>,
): Outcome<Product> {
  return work.transact<Product, CatalogFailure>(
    ctx,
    async (tx) => {
      const [, [owner]] = await Promise.all([
        lockCatalog(tx),
        loadNamed(tx, { ...noNames, variantIds: [target.id].filter(isId) }),
      ]);
      const variant = owner?.variants.find(({ id }) => id === target.id);
      if (!owner || !variant)
        return fail({ code: "catalog.variant_not_found", variantId: target.id });
      const input: VariantInput = { sku: variant.sku, ...patch, id: target.id };
      const change: ProductChange = {
        mode: "update",
        id: owner.id,
        expectedVersion: target.expectedVersion,
        patch: { variants: [input] },
      };
      const [result] = await saveProducts(tx, ctx, [change]);
      return productOf(present(result, "a result of one change"));
    },
    { name: "catalog.update_variant" },
  );
}

/** Sets and removes prices: all of them or none. @returns the number of products that changed */
export function setPrices(
  { work }: CommandDeps,
  ctx: Context,
  changes: readonly PriceChange[],
): Outcome<{ readonly productsChanged: number }> {
  for (const [index, { amountMinor, compareAtMinor, ...price }] of changes.entries()) {
    const problem = findPriceProblem(
      { ...price, amountMinor: amountMinor ?? 0, compareAtMinor: compareAtMinor ?? null },
      `prices.${index}`,
    );
    if (problem) return Promise.resolve(fail({ code: "catalog.invalid", ...problem }));
  }
  return work.transact<{ readonly productsChanged: number }, CatalogFailure>(
    ctx,
    async (tx) => {
      const variantIds = changes.map(({ variantId }) => variantId);
      const [, products] = await Promise.all([
        lockCatalog(tx),
        loadNamed(tx, { ...noNames, variantIds: variantIds.filter(isId) }),
      ]);
      const known = new Set(products.flatMap(({ variants }) => variants.map(({ id }) => id)));
      const unknown = variantIds.find((id) => !known.has(id));
      if (unknown) return fail({ code: "catalog.variant_not_found", variantId: unknown });
      const results = await saveProducts(
        tx,
        ctx,
        products.map(({ id }) => ({
          mode: "update",
          id,
          patch: {},
          adjust: (product) => changePrices(product, changes),
        })),
      );
      const failed = results.find((result) => !result.ok);
      if (failed) return failed;
      const changed = results.filter((result) => result.ok && result.value.outcome === "updated");
      return ok({ productsChanged: changed.length });
    },
    { name: "catalog.set_prices" },
  );
}

function productOf(
  result: Result<UpsertedProduct, CatalogFailure>,
): Result<Product, CatalogFailure> {
  return result.ok ? ok(result.value.product) : result;
}

async function saveProducts(
  tx: TenantTx,
  origin: EventOrigin,
  changes: readonly ProductChange[],
): Promise<readonly Result<UpsertedProduct, CatalogFailure>[]> {
  const names = named(changes);
  const [catalogVersion, products, collections] = await Promise.all([
    lockCatalog(tx),
    loadNamed(tx, names),
    findCollections(tx, names.collections),
  ]);
  const known = new Map(
    collections.flatMap(({ id, handle }) => [
      [id as string, id],
      [handle, id],
    ]),
  );
  const decision = decideUpserts({ products, collections: known }, changes, mint);
  const saved = await write(tx, decision);
  if (decision.after.size > 0) {
    bumpCatalog(tx);
    appendEvents(tx, origin, eventsOf(decision, catalogVersion));
  }
  return decision.results.map((result) => {
    if (!result.ok) return result;
    const { outcome, productId } = result.value;
    const product = saved.get(productId) ?? decision.before.get(productId);
    return ok({ outcome, product: present(product, "the product of an upsert") });
  });
}

async function write(
  tx: TenantTx,
  { after, before }: UpsertDecision,
): Promise<ReadonlyMap<ProductId, Product>> {
  if (after.size === 0) return new Map();
  writeProducts(
    tx,
    [...after.values()].map((product) => diff(before.get(product.id), product)),
  );
  const times = await readTimes(tx, [...after.keys()]);
  return new Map(
    [...after].map(([id, product]) => [id, { ...product, ...present(times.get(id), "its times") }]),
  );
}

function diff(before: Product | undefined, product: ProductWrite["product"]): ProductWrite {
  const known = new Map(
    before?.variants.map((variant, position) => [variant.id, { variant, position }]),
  );
  const variants = product.variants
    .map((variant, position) => ({ variant, position }))
    .filter(({ variant: { prices: _, ...rest }, position }) => {
      const old = known.get(rest.id);
      const { prices: __, ...stored } = old?.variant ?? { prices: [] };
      return old?.position !== position || !isDeepStrictEqual(stored, rest);
    });
  return {
    product,
    writesCollections: !isDeepStrictEqual(before?.collectionIds ?? [], product.collectionIds),
    variants,
    priced: product.variants.filter(
      ({ id, prices }) => !isDeepStrictEqual(known.get(id)?.variant.prices ?? [], prices),
    ),
  };
}

function eventsOf({ results, after }: UpsertDecision, catalogVersion: number) {
  const changed = new Map<ProductId, Set<string>>();
  const created = new Set<ProductId>();
  for (const result of results) {
    if (!result.ok || result.value.outcome === "unchanged") continue;
    const { productId, outcome } = result.value;
    if (outcome === "created") created.add(productId);
    const parts = changed.get(productId) ?? new Set();
    for (const part of result.value.changed) parts.add(part);
    changed.set(productId, parts);
  }
  return [...after.values()].map(({ id, handle, title, status, version }) => ({
    type: created.has(id) ? "catalog.product_created" : "catalog.product_updated",
    version: 1,
    stream: `product:${id}`,
    data: {
      productId: id,
      handle,
      title,
      status,
      version,
      catalogVersion,
      changed: created.has(id) ? [] : [...(changed.get(id) ?? [])],
    },
  }));
}

const noNames = { productIds: [], handles: [], variantIds: [], skus: [], collections: [] };

/** Every name a batch of changes mentions; what cannot be a name is left to the checks. */
function named(changes: readonly ProductChange[]) {
  const variants = changes.flatMap(({ patch }) => patch.variants ?? []);
  const handles = changes.flatMap(({ handle, patch }) => [handle, patch.handle]);
  return {
    productIds: changes.flatMap(({ id }) => (isId(id) ? [id] : [])),
    handles: handles.filter(isStorable),
    variantIds: variants.flatMap(({ id }) => (isId(id) ? [id] : [])),
    skus: variants.map(({ sku }) => sku).filter(isStorable),
    collections: changes.flatMap(({ patch }) => patch.collections ?? []).filter(isStorable),
  };
}

function isStorable(text: string | undefined): text is string {
  return text !== undefined && isStorableText(text);
}
