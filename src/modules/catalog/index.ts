import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import {
  type CollectionPatch,
  type CollectionTarget,
  createCollection,
  deleteCollection,
  type NewCollection,
  updateCollection,
} from "./collections.ts";
import {
  type CommandDeps,
  createProduct,
  type Outcome,
  type ProductTarget,
  setPrices,
  updateProduct,
  updateVariant,
  upsertProducts,
  upsertProductsIn,
  type VariantTarget,
} from "./commands.ts";
import type {
  CatalogFailure,
  CatalogImport,
  Collection,
  ImportFailure,
  ImportId,
  ImportRefusal,
  PriceChange,
  Product,
  ProductFilter,
  ProductInput,
  ProductPatch,
  UnitPrice,
  UpsertedProduct,
  VariantId,
  VariantInput,
  VariantQuote,
} from "./contract.ts";
import { exportProducts, exportRefusals } from "./export-queries.ts";
import { type ImportCommand, importProducts } from "./import-commands.ts";
import type { ImportFormat } from "./import-rows.ts";
import { findImport, listImports, listRefusals } from "./import-store.ts";
import {
  catalogVersion,
  countProducts,
  findCollection,
  findProduct,
  findProductOfVariant,
  type ListedProduct,
  listCollections,
  listProducts,
  type ProductPosition,
  quoteVariants,
} from "./queries.ts";
import { unitPriceOf } from "./quote.ts";
import { type CacheWiring, createShopReads, type ShopReads } from "./shop-reads.ts";
import { uploadProducts } from "./upload-commands.ts";

export type { CollectionPatch, CollectionTarget, NewCollection } from "./collections.ts";
export type { ProductTarget, VariantTarget } from "./commands.ts";
export type { ImportCommand } from "./import-commands.ts";
export type { ImportFormat } from "./import-rows.ts";
export { catalogJobs } from "./jobs.ts";
export type { ListedProduct, ProductPosition } from "./queries.ts";
export { findVariantIds } from "./queries.ts";
export { createQuoteCache, type QuoteVariants } from "./quote-cache.ts";
export { catalogRoutes } from "./routes.ts";
export { type CacheWiring, type ShopReads, shopCache, shopInvalidations } from "./shop-reads.ts";

/** What the catalog needs from outside; `app.ts` provides it. */
export interface CatalogDeps {
  readonly db: Db;
  /** How shops' reads are shared between nodes; default: each node keeps its own, for a minute. */
  readonly cache?: CacheWiring;
}

/** What the rest of the system may ask of the catalog. */
export interface Catalog {
  create(ctx: Context, input: ProductInput): Outcome<Product>;
  update(ctx: Context, target: ProductTarget, patch: ProductPatch): Outcome<Product>;
  updateVariant(
    ctx: Context,
    target: VariantTarget,
    patch: Partial<Omit<VariantInput, "id">>,
  ): Outcome<Product>;
  setPrices(
    ctx: Context,
    changes: readonly PriceChange[],
  ): Outcome<{ readonly productsChanged: number }>;
  /** Makes products or brings them up to date, by handle; refuses product by product. */
  upsertProducts(
    ctx: Context,
    inputs: readonly ProductInput[],
  ): Promise<readonly Result<UpsertedProduct, CatalogFailure>[]>;
  /** The same in the caller's transaction. */
  upsertProductsIn(
    tx: TenantTx,
    origin: EventOrigin,
    inputs: readonly ProductInput[],
  ): Promise<readonly Result<UpsertedProduct, CatalogFailure>[]>;
  find(tenantId: TenantId, idOrHandle: string): Promise<Product | undefined>;
  findByVariant(tenantId: TenantId, variantId: VariantId): Promise<Product | undefined>;
  /** What shops see. */
  readonly shop: ShopReads;
  list(
    tenantId: TenantId,
    filter: ProductFilter,
    page: { readonly after?: ProductPosition | undefined; readonly limit: number },
  ): Promise<readonly ListedProduct[]>;
  count(tenantId: TenantId, filter: ProductFilter): Promise<number>;
  createCollection(ctx: Context, command: NewCollection): Outcome<Collection>;
  updateCollection(
    ctx: Context,
    target: CollectionTarget,
    patch: CollectionPatch,
  ): Outcome<Collection>;
  deleteCollection(ctx: Context, id: Collection["id"]): Outcome<void>;
  findCollection(tenantId: TenantId, idOrHandle: string): Promise<Collection | undefined>;
  listCollections(
    tenantId: TenantId,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly Collection[]>;
  /** Imports products from a file; going on under the same id after an interruption. */
  importProducts(
    ctx: Context,
    command: ImportCommand,
  ): Promise<Result<CatalogImport, ImportFailure>>;
  /** Keeps a file and leaves its import to the job of {@link catalogJobs}. */
  uploadProducts(
    ctx: Context,
    command: Omit<ImportCommand, "onProgress">,
  ): Promise<Result<CatalogImport, ImportFailure>>;
  findImport(tenantId: TenantId, id: ImportId): Promise<CatalogImport | undefined>;
  listImports(
    tenantId: TenantId,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly CatalogImport[]>;
  /** Rows an import could not use, behind the row `after`. */
  listRefusals(
    tenantId: TenantId,
    id: ImportId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly ImportRefusal[]>;
  /** The same as CSV, in chunks. */
  exportRefusals(tenantId: TenantId, id: ImportId): AsyncGenerator<string>;
  /** Writes all products as an import reads them, in chunks of whole lines. */
  exportProducts(tenantId: TenantId, format: ImportFormat): AsyncGenerator<string>;
  /** Quotes variants in one currency, in the caller's transaction: one statement. */
  quoteVariants(
    tx: TenantTx,
    variantIds: readonly string[],
    currency: string,
  ): Promise<readonly VariantQuote[]>;
  /** The number every catalog write raises, in the caller's transaction. */
  catalogVersion(tx: TenantTx): Promise<number>;
  /** The unit price of a quantity; pure. */
  unitPriceOf(quote: VariantQuote, quantity: number): UnitPrice | undefined;
}

/** Builds the module. */
export function createCatalog({ db, cache }: CatalogDeps): Catalog {
  const deps: CommandDeps = { db, work: createUnitOfWork(db) };
  const name = "catalog.read";
  return {
    create: (ctx, input) => createProduct(deps, ctx, input),
    update: (ctx, target, patch) => updateProduct(deps, ctx, target, patch),
    updateVariant: (ctx, target, patch) => updateVariant(deps, ctx, target, patch),
    setPrices: (ctx, changes) => setPrices(deps, ctx, changes),
    upsertProducts: (ctx, inputs) => upsertProducts(deps, ctx, inputs),
    upsertProductsIn,
    find: (tenantId, idOrHandle) =>
      db.read(tenantId, (tx) => findProduct(tx, idOrHandle), { name }),
    findByVariant: (tenantId, variantId) =>
      db.read(tenantId, (tx) => findProductOfVariant(tx, variantId), { name }),
    shop: createShopReads(db, cache),
    list: (tenantId, filter, page) =>
      db.read(tenantId, (tx) => listProducts(tx, filter, page), { name }),
    count: (tenantId, filter) => db.read(tenantId, (tx) => countProducts(tx, filter), { name }),
    createCollection: (ctx, command) => createCollection(deps, ctx, command),
    updateCollection: (ctx, target, patch) => updateCollection(deps, ctx, target, patch),
    deleteCollection: (ctx, id) => deleteCollection(deps, ctx, id),
    findCollection: (tenantId, idOrHandle) =>
      db.read(tenantId, (tx) => findCollection(tx, idOrHandle), { name }),
    listCollections: (tenantId, page) =>
      db.read(tenantId, (tx) => listCollections(tx, page), { name }),
    importProducts: (ctx, command) => importProducts(db, ctx, command),
    uploadProducts: (ctx, command) => uploadProducts(db, ctx, command),
    findImport: (tenantId, id) => db.read(tenantId, (tx) => findImport(tx, id), { name }),
    listImports: (tenantId, page) => db.read(tenantId, (tx) => listImports(tx, page), { name }),
    listRefusals: (tenantId, id, page) =>
      db.read(tenantId, (tx) => listRefusals(tx, id, page), { name }),
    exportRefusals: (tenantId, id) => exportRefusals(db, tenantId, id),
    exportProducts: (tenantId, format) => exportProducts(db, tenantId, format),
    quoteVariants,
    catalogVersion,
    unitPriceOf,
  };
}
