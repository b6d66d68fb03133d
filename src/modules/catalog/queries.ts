import type { TenantTx } from "../../platform/db/db.ts";
import { type Fragment, fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import { readVersions, type Versions } from "../../platform/versions/versions.ts";
import type {
  Collection,
  CollectionId,
  Product,
  ProductFilter,
  ProductId,
  VariantId,
  VariantPrice,
  VariantQuote,
} from "./contract.ts";
import { type ProductRow, productColumns, toProduct } from "./product-store.ts";
import { catalogVersionName } from "./store.ts";

/** A product and its place in a list sorted by title. */
export interface ListedProduct {
  readonly product: Product;
  readonly titleKey: string;
}

/** Where a page of products begins: behind this one. */
export interface ProductPosition {
  readonly id: string;
  readonly titleKey: string;
}

/**
 * Lists products with everything that belongs to them: one statement, whatever their number.
 *
 * @param limit rows at most
 */
export async function listProducts(
  tx: TenantTx,
  filter: ProductFilter,
  page: { readonly after?: ProductPosition | undefined; readonly limit: number },
): Promise<readonly ListedProduct[]> {
  const { after, limit } = page;
  const byTitle = filter.sort === "title";
  const conditions = conditionsOf(tx, filter);
  if (after && byTitle) {
    conditions.push(fragment`(p.title_key, p.id) > (${after.titleKey}, ${after.id}::uuid)`);
  } else if (after) {
    conditions.push(fragment`p.id < ${after.id}`);
  }
  const order = byTitle ? fragment`p.title_key, p.id` : fragment`p.id desc`;
  const rows = await tx.rows<ProductRow>(sql("catalog.list_products")`
    select ${productColumns} from products p
    where ${joinFragments(conditions, " and ")} order by ${order} limit ${limit}`);
  return rows.map((row) => ({ product: toProduct(row), titleKey: row.title_key }));
}

/** Counts the products of a filter: reads all of them. */
export async function countProducts(tx: TenantTx, filter: ProductFilter): Promise<number> {
  const row = await tx.one<{ total: number }>(sql("catalog.count_products")`
    select count(*) as total from products p
    where ${joinFragments(conditionsOf(tx, filter), " and ")}`);
  return row.total;
}

function conditionsOf(tx: TenantTx, filter: ProductFilter): Fragment[] {
  const { status, collection, category, search } = filter;
  const conditions = [fragment`p.tenant_id = ${tx.tenantId}`];
  if (status) conditions.push(fragment`p.status = ${status}`);
  if (category) conditions.push(fragment`p.category = ${category}`);
  if (collection) {
    conditions.push(fragment`p.id in (
      select pc.product_id from product_collections pc
      join collections c on c.tenant_id = pc.tenant_id and c.id = pc.collection_id
      where pc.tenant_id = ${tx.tenantId} and ${isCollection(collection)})`);
  }
  if (search) {
    const folded = search.toLowerCase();
    const pattern = `%${folded.replace(/[\\%_]/g, "\\$&")}%`;
    conditions.push(fragment`(p.title_key like ${pattern} or p.id in (
      select v.product_id from variants v where v.tenant_id = ${tx.tenantId}
        and v.sku_key >= ${folded} and v.sku_key < ${`${folded}\u{10ffff}`}))`);
  }
  return conditions;
}

function isCollection(idOrHandle: string): Fragment {
  return isUuid(idOrHandle) ? fragment`c.id = ${idOrHandle}` : fragment`c.handle = ${idOrHandle}`;
}

/** Finds one product by its id or its handle. */
export async function findProduct(tx: TenantTx, idOrHandle: string): Promise<Product | undefined> {
  const condition = isUuid(idOrHandle)
    ? fragment`p.id = ${idOrHandle}`
    : fragment`p.handle = ${idOrHandle}`;
  const row = await tx.maybe<ProductRow>(sql("catalog.find_product")`
    select ${productColumns} from products p
    where p.tenant_id = ${tx.tenantId} and ${condition}`);
  return row && toProduct(row);
}

/** Finds the product a variant belongs to. */
export async function findProductOfVariant(
  tx: TenantTx,
  variantId: VariantId,
): Promise<Product | undefined> {
  const row = await tx.maybe<ProductRow>(sql("catalog.find_product_of_variant")`
    select ${productColumns} from products p
    where p.tenant_id = ${tx.tenantId} and p.id = (
      select product_id from variants where tenant_id = ${tx.tenantId} and id = ${variantId})`);
  return row && toProduct(row);
}

interface QuoteRow {
  readonly id: VariantId;
  readonly product_id: ProductId;
  readonly sku: string;
  readonly product_title: string;
  readonly title: string;
  readonly tax_category: string;
  readonly weight_grams: number;
  readonly backorder: boolean;
  readonly is_published: boolean;
  readonly collection_ids: readonly CollectionId[];
  readonly tiers: readonly Omit<VariantPrice, "currency">[];
}

/**
 * Quotes variants in one currency: one statement for any number of them.
 *
 * @returns those that exist, in no particular order; published or not, priced or not
 */
export async function quoteVariants(
  tx: TenantTx,
  variantIds: readonly string[],
  currency: string,
): Promise<readonly VariantQuote[]> {
  const rows = await tx.rows<QuoteRow>(sql("catalog.quote_variants")`
    select v.id, v.product_id, v.sku, p.title as product_title, v.title, p.tax_category,
      v.weight_grams, v.backorder,
      p.status = 'published' and v.status = 'active' as is_published,
      array(select c.collection_id from product_collections c
        where c.tenant_id = p.tenant_id and c.product_id = p.id order by 1) as collection_ids,
      (select coalesce(jsonb_agg(jsonb_build_object('minQuantity', r.min_quantity, 'amountMinor',
          r.amount_minor, 'compareAtMinor', r.compare_at_minor) order by r.min_quantity), '[]')
        from variant_prices r where r.tenant_id = v.tenant_id and r.variant_id = v.id
          and r.currency = ${currency}) as tiers
    from variants v
    join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
    where v.tenant_id = ${tx.tenantId} and v.id = any(${variantIds}::uuid[])`);
  return rows.map((row) => ({
    variantId: row.id,
    productId: row.product_id,
    sku: row.sku,
    title: row.title === "" ? row.product_title : `${row.product_title} – ${row.title}`,
    currency,
    tiers: row.tiers,
    taxCategory: row.tax_category,
    weightGrams: row.weight_grams,
    backorder: row.backorder,
    isPublished: row.is_published,
    collectionIds: row.collection_ids,
  }));
}

/**
 * The number that every catalog write of the tenant raises; 0 before the first.
 *
 * Read it before the quotes it is to vouch for: then a cached quote is at worst newer than its mark.
 */
export async function catalogVersion(tx: TenantTx): Promise<number> {
  return catalogVersionIn(await readVersions(tx));
}

/** The catalog's version among those of a transaction. */
export function catalogVersionIn(versions: Versions): number {
  return versions(catalogVersionName);
}

interface CollectionRow {
  readonly id: CollectionId;
  readonly handle: string;
  readonly title: string;
  readonly description: string;
  readonly version: number;
}

/** Lists collections, newest first, behind the one with the id `after`. */
export function listCollections(
  tx: TenantTx,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<readonly Collection[]> {
  const behind = after ? fragment`and id < ${after}` : fragment``;
  return tx.rows<CollectionRow>(sql("catalog.list_collections")`
    select id, handle, title, description, version from collections
    where tenant_id = ${tx.tenantId} ${behind} order by id desc limit ${limit}`);
}

/** Finds one collection by its id or its handle. */
export function findCollection(tx: TenantTx, idOrHandle: string): Promise<Collection | undefined> {
  return tx.maybe<CollectionRow>(sql("catalog.find_collection")`
    select c.id, c.handle, c.title, c.description, c.version from collections c
    where c.tenant_id = ${tx.tenantId} and ${isCollection(idOrHandle)}`);
}

/** A handle may look like anything but a UUID. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Variants by SKU, of those that exist. */
export async function findVariantIds(
  tx: TenantTx,
  skus: readonly string[],
): Promise<ReadonlyMap<string, VariantId>> {
  const rows = await tx.rows<{ sku: string; id: VariantId }>(sql("catalog.find_variant_ids")`
    select sku, id from variants
    where tenant_id = ${tx.tenantId} and sku = any(${skus}::text[])`);
  return new Map(rows.map(({ sku, id }) => [sku, id]));
}
