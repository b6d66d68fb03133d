import type { Id } from "../../kernel/ids.ts";
import type { Money } from "../../kernel/money.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type ProductId = Id<"product">;
export type VariantId = Id<"variant">;
export type CollectionId = Id<"collection">;
export type ImportId = Id<"import">;

/** Only published products are sold and seen with a publishable key. */
export type ProductStatus = "draft" | "published" | "archived";

/** A choice a product offers: `{ name: "Size", values: ["S", "M"] }`. */
export interface ProductOption {
  readonly name: string;
  readonly values: readonly string[];
}

/** A picture. */
export interface ProductMedia {
  /** `https://…`, a path on this server, or a small `data:image/svg+xml,…`. */
  readonly url: string;
  readonly alt: string;
}

/** A price of a variant in one currency, from a quantity on. */
export interface VariantPrice {
  /** ISO 4217. */
  readonly currency: string;
  /** Smallest quantity of the line it holds for, 1 or more. */
  readonly minQuantity: number;
  readonly amountMinor: number;
  /** Former or recommended price, to be shown struck through. */
  readonly compareAtMinor: number | null;
}

/** What is actually sold: one combination of a product's options. */
export interface Variant {
  readonly id: VariantId;
  /** Unique in the tenant, upper and lower case told apart. */
  readonly sku: string;
  readonly title: string;
  /** Option name to value. */
  readonly optionValues: Readonly<Record<string, string>>;
  readonly weightGrams: number;
  /** Whether it may be sold when the stock is used up. */
  readonly backorder: boolean;
  readonly status: "active" | "archived";
  /** Ascending by currency, then by minimum quantity. */
  readonly prices: readonly VariantPrice[];
}

/** A product with everything that belongs to it; one aggregate with one version. */
export interface Product {
  readonly id: ProductId;
  /** Name in addresses, unique in the tenant. */
  readonly handle: string;
  readonly title: string;
  readonly description: string;
  readonly status: ProductStatus;
  readonly category: string | null;
  /** Code of a tax category. */
  readonly taxCategory: string;
  readonly options: readonly ProductOption[];
  readonly media: readonly ProductMedia[];
  /** Ascending. */
  readonly collectionIds: readonly CollectionId[];
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order they were given. */
  readonly variants: readonly Variant[];
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A named set of products. */
export interface Collection {
  readonly id: CollectionId;
  readonly handle: string;
  readonly title: string;
  readonly description: string;
  readonly version: number;
}

/** A price tier of a quote, ascending by quantity. */
export interface PriceTier {
  readonly minQuantity: number;
  readonly amountMinor: number;
  readonly compareAtMinor: number | null;
}

/** What a cart or an order needs to know of a variant, in one currency, at one moment. */
export interface VariantQuote {
  readonly variantId: VariantId;
  readonly productId: ProductId;
  readonly sku: string;
  /** Title of the product, with the variant's when it has one: `Shirt – Blue / M`. */
  readonly title: string;
  readonly currency: string;
  /** Empty when the variant has no price in the currency; read it with `unitPriceOf`. */
  readonly tiers: readonly PriceTier[];
  readonly taxCategory: string;
  readonly weightGrams: number;
  readonly backorder: boolean;
  /** Whether it may be sold: its product is published and it is not archived itself. */
  readonly isPublished: boolean;
  readonly collectionIds: readonly CollectionId[];
}

/** The unit price of a quantity, from the tiers of a quote. */
export interface UnitPrice {
  readonly price: Money;
  readonly compareAt: Money | null;
}

/** A variant as it is given; absent fields keep what is there, or take the default of a new one. */
export interface VariantInput {
  /** Id of a new variant, made by the caller so that a retry is the same command. */
  readonly id?: VariantId;
  readonly sku: string;
  readonly title?: string;
  readonly optionValues?: Readonly<Record<string, string>>;
  readonly weightGrams?: number;
  readonly backorder?: boolean;
  readonly status?: "active" | "archived";
  /** Replaces the prices of the currencies it mentions; other currencies stay. */
  readonly prices?: readonly PriceInput[];
}

/** A price as it is given. */
export interface PriceInput {
  readonly currency: string;
  readonly amountMinor: number;
  readonly compareAtMinor?: number | null;
  /** Default 1. */
  readonly minQuantity?: number;
}

/** What may be set on a product; absent leaves it. Variants are merged by SKU. */
export interface ProductPatch {
  readonly handle?: string;
  readonly title?: string;
  readonly description?: string;
  readonly status?: ProductStatus;
  readonly category?: string | null;
  readonly taxCategory?: string;
  readonly options?: readonly ProductOption[];
  readonly media?: readonly ProductMedia[];
  /** Ids or handles of collections. */
  readonly collections?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly variants?: readonly VariantInput[];
}

/** A product to be made or brought up to date, found by its handle. */
export interface ProductInput extends ProductPatch {
  /** Id of a new product, made by the caller. */
  readonly id?: ProductId;
  readonly handle: string;
  /** Demanded for a new product. */
  readonly title?: string;
}

/** What became of one product of an upsert. */
export interface UpsertedProduct {
  readonly outcome: "created" | "updated" | "unchanged";
  readonly product: Product;
}

/** Sets or, with a null amount, removes one price. */
export interface PriceChange {
  readonly variantId: VariantId;
  readonly currency: string;
  readonly minQuantity?: number;
  readonly amountMinor: number | null;
  readonly compareAtMinor?: number | null;
}

/** Which products to list. */
export interface ProductFilter {
  readonly status?: ProductStatus;
  /** Id or handle. */
  readonly collection?: string;
  readonly category?: string;
  /** Part of the title, or the beginning of a SKU; without case. */
  readonly search?: string;
  readonly sort?: "newest" | "title";
}

/** How far an import has come. Counts are rows (lines of the file that hold a record). */
export interface CatalogImport {
  readonly id: ImportId;
  readonly format: "csv" | "jsonl";
  /** `receiving`: the file is being kept for a job; `failed`: see `failure`. */
  readonly status: "receiving" | "running" | "finished" | "failed";
  /** Why the file as a whole could not be used. */
  readonly failure: string | null;
  readonly rowsDone: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly refused: number;
  readonly bytesDone: number;
  /** Size of the file where the sender said it. */
  readonly bytesTotal: number | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** A row an import could not use. */
export interface ImportRefusal {
  /** Number of the record, from 1, the header not counted. */
  readonly row: number;
  /** Line of the file it starts on, from 1. */
  readonly line: number;
  /** The column or field at fault; empty when the whole row is. */
  readonly field: string;
  readonly reason: string;
  /** The row as it was sent, at most 2,000 characters. */
  readonly raw: string;
}

/** Most products in one upsert. */
export const productsPerUpsertMax = 1_000;
/** Most variants of one product. */
export const variantsPerProductMax = 500;
/** Most price changes in one call. */
export const priceChangesMax = 5_000;

export type CatalogFailure =
  | { readonly code: "catalog.product_not_found"; readonly product: string }
  | { readonly code: "catalog.variant_not_found"; readonly variantId: string }
  | { readonly code: "catalog.collection_not_found"; readonly collection: string }
  | { readonly code: "catalog.handle_taken"; readonly handle: string }
  | { readonly code: "catalog.sku_taken"; readonly sku: string }
  | { readonly code: "catalog.id_taken"; readonly id: string }
  | { readonly code: "catalog.stale"; readonly version: number }
  | { readonly code: "catalog.invalid"; readonly field: string; readonly reason: string };

export type ImportFailure =
  | { readonly code: "catalog.import_not_found"; readonly importId: string }
  | { readonly code: "catalog.import_differs"; readonly importId: string; readonly rows: number }
  | { readonly code: "catalog.import_busy"; readonly importId: string }
  | { readonly code: "catalog.import_header"; readonly reason: string }
  | { readonly code: "catalog.import_format"; readonly contentType: string };

/** HTTP status of each refusal. */
export const catalogFailureStatuses: FailureStatuses<CatalogFailure | ImportFailure> = {
  "catalog.product_not_found": 404,
  "catalog.variant_not_found": 404,
  "catalog.collection_not_found": 404,
  "catalog.handle_taken": 409,
  "catalog.sku_taken": 409,
  "catalog.id_taken": 409,
  "catalog.stale": 412,
  "catalog.invalid": 422,
  "catalog.import_not_found": 404,
  "catalog.import_differs": 409,
  "catalog.import_busy": 409,
  "catalog.import_header": 422,
  "catalog.import_format": 415,
};

/** What every event of a product carries. Stream: `product:<id>`. */
export interface ProductEventData {
  readonly productId: ProductId;
  readonly handle: string;
  readonly title: string;
  readonly status: ProductStatus;
  readonly version: number;
  /** The tenant's catalog version from which this is visible. */
  readonly catalogVersion: number;
  /** Parts of the product that differ: `title`, `status`, `variants`, `prices` and so on. */
  readonly changed: readonly string[];
}

/** What every event of a collection carries. Stream: `collection:<id>`. */
export interface CollectionEventData {
  readonly collectionId: CollectionId;
  readonly handle: string;
  readonly title: string;
  readonly catalogVersion: number;
}

/** What every event of an import carries. Stream: `catalog_import:<id>`. */
export interface ImportEventData {
  readonly importId: ImportId;
  readonly format: "csv" | "jsonl";
  readonly rowsDone: number;
  readonly refused: number;
}

/** Data of each event type, all version 1. */
export interface CatalogEvents {
  readonly "catalog.product_created": ProductEventData;
  readonly "catalog.product_updated": ProductEventData;
  readonly "catalog.collection_created": CollectionEventData;
  readonly "catalog.collection_updated": CollectionEventData;
  readonly "catalog.collection_deleted": CollectionEventData;
  readonly "catalog.import_started": ImportEventData;
  readonly "catalog.import_finished": ImportEventData;
}

/** The event types of this module. */
export const catalogEventTypes: readonly (keyof CatalogEvents)[] = [
  "catalog.product_created",
  "catalog.product_updated",
  "catalog.collection_created",
  "catalog.collection_updated",
  "catalog.collection_deleted",
  "catalog.import_started",
  "catalog.import_finished",
];
