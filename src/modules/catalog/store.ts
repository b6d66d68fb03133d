import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import { lockVersion, raiseVersion } from "../../platform/versions/versions.ts";
import type { Collection, CollectionId, ProductId, Variant } from "./contract.ts";
import type { ProductContent } from "./product.ts";
import { type ProductRow, productColumns, toProduct } from "./product-store.ts";
import type { StoredProduct } from "./upsert.ts";

/** Name of the version that every catalog write raises, and holds from its first statement on. */
export const catalogVersionName = "catalog";

/**
 * Takes the tenant's catalog for writing until the transaction ends: one writer at a time, so that
 * what is read next stays true while it is decided upon.
 *
 * @returns the version the catalog will have when {@link bumpCatalog} is called
 */
export function lockCatalog(tx: TenantTx): Promise<number> {
  return lockVersion(tx, catalogVersionName);
}

/** Raises the version of the locked catalog, with the commit. */
export function bumpCatalog(tx: TenantTx): void {
  raiseVersion(tx, catalogVersionName);
}

/** What may be named by a batch of changes. */
export interface Names {
  readonly productIds: readonly string[];
  readonly handles: readonly string[];
  readonly variantIds: readonly string[];
  readonly skus: readonly string[];
  /** Ids and handles. */
  readonly collections: readonly string[];
}

/**
 * Loads every product that owns one of the names: one statement.
 *
 * `offset 0` keeps each look-up a look-up. Where statistics lag behind a catalog that has just
 * grown, the planner would rather read all of it and compare each row with each name: 110 ms
 * instead of 6 for 500 names among 6,000 products, measured.
 */
export async function loadNamed(tx: TenantTx, names: Names): Promise<readonly StoredProduct[]> {
  const rows = await tx.rows<ProductRow>(sql("catalog.load_named")`
    with named (id) as (
      select unnest(${names.productIds}::uuid[])
      union select p.id from unnest(${names.handles}::text[]) as n (handle) cross join lateral (
        select id from products where tenant_id = ${tx.tenantId} and handle = n.handle offset 0) as p
      union select v.id from unnest(${names.variantIds}::uuid[]) as n (id)
        cross join lateral (select product_id from variants
          where tenant_id = ${tx.tenantId} and id = n.id offset 0) as v (id)
      union select v.id from unnest(${names.skus}::text[]) as n (sku)
        cross join lateral (select product_id from variants
          where tenant_id = ${tx.tenantId} and sku = n.sku offset 0) as v (id)
    )
    select found.* from named cross join lateral (
      select ${productColumns} from products p
      where p.tenant_id = ${tx.tenantId} and p.id = named.id offset 0) as found`);
  return rows.map(toProduct);
}

/** Finds collections by id or handle. */
export async function findCollections(
  tx: TenantTx,
  names: readonly string[],
): Promise<readonly { readonly id: CollectionId; readonly handle: string }[]> {
  if (names.length === 0) return [];
  return tx.rows(sql("catalog.find_collections")`
    select id, handle from collections
    where tenant_id = ${tx.tenantId}
      and (handle = any(${names}::text[]) or id::text = any(${names}::text[]))`);
}

/** A product to be written, and what of it differs from what is stored. */
export interface ProductWrite {
  readonly product: ProductContent & { readonly version: number };
  readonly writesCollections: boolean;
  /** New and changed variants with their places. */
  readonly variants: readonly { readonly variant: Variant; readonly position: number }[];
  /** Variants whose prices differ. */
  readonly priced: readonly Variant[];
}

/** Writes products with the commit: at most six statements, whatever their number. */
export function writeProducts(tx: TenantTx, writes: readonly ProductWrite[]): void {
  if (writes.length === 0) return;
  writeProductRows(tx, writes);
  writeCollections(
    tx,
    writes.filter((write) => write.writesCollections),
  );
  writeVariants(tx, writes);
  writePrices(
    tx,
    writes.flatMap((write) => write.priced),
  );
}

function writeProductRows(tx: TenantTx, writes: readonly ProductWrite[]): void {
  const rows = writes.map(({ product: { variants: _, collectionIds: __, ...row } }) => row);
  tx.write(sql("catalog.write_products")`
    insert into products (tenant_id, id, handle, title, description, status, category,
      tax_category, options, media, metadata, version, published_at)
    select ${tx.tenantId}, p.id, p.handle, p.title, p.description, p.status, p.category,
      p."taxCategory", p.options, p.media, p.metadata, p.version,
      case when p.status = 'published' then now() end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as p (id uuid, handle text, title text,
      description text, status text, category text, "taxCategory" text, options jsonb, media jsonb,
      metadata jsonb, version int)
    on conflict (tenant_id, id) do update set handle = excluded.handle, title = excluded.title,
      description = excluded.description, status = excluded.status, category = excluded.category,
      tax_category = excluded.tax_category, options = excluded.options, media = excluded.media,
      metadata = excluded.metadata, version = excluded.version, updated_at = now(),
      published_at = coalesce(products.published_at, excluded.published_at)`);
}

function writeCollections(tx: TenantTx, writes: readonly ProductWrite[]): void {
  if (writes.length === 0) return;
  tx.write(sql("catalog.delete_product_collections")`
    delete from product_collections where tenant_id = ${tx.tenantId}
      and product_id = any(${writes.map(({ product }) => product.id)}::uuid[])`);
  const pairs = writes.flatMap(({ product }) =>
    product.collectionIds.map((collectionId) => [product.id, collectionId] as const),
  );
  if (pairs.length === 0) return;
  tx.write(sql("catalog.insert_product_collections")`
    insert into product_collections (tenant_id, product_id, collection_id)
    select ${tx.tenantId}, * from unnest(${pairs.map(([id]) => id)}::uuid[],
      ${pairs.map(([, id]) => id)}::uuid[])`);
}

function writeVariants(tx: TenantTx, writes: readonly ProductWrite[]): void {
  const rows = writes.flatMap(({ product, variants }) =>
    variants.map(({ variant: { prices: _, ...row }, position }) => ({
      ...row,
      productId: product.id,
      position,
    })),
  );
  if (rows.length === 0) return;
  tx.write(sql("catalog.write_variants")`
    insert into variants (tenant_id, id, product_id, sku, title, option_values, weight_grams,
      backorder, status, position)
    select ${tx.tenantId}, v.id, v."productId", v.sku, v.title, v."optionValues", v."weightGrams",
      v.backorder, v.status, v.position
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v (id uuid, "productId" uuid,
      sku text, title text, "optionValues" jsonb, "weightGrams" int, backorder boolean,
      status text, position int)
    on conflict (tenant_id, id) do update set sku = excluded.sku, title = excluded.title,
      option_values = excluded.option_values, weight_grams = excluded.weight_grams,
      backorder = excluded.backorder, status = excluded.status, position = excluded.position,
      updated_at = now()`);
}

function writePrices(tx: TenantTx, variants: readonly Variant[]): void {
  if (variants.length === 0) return;
  tx.write(sql("catalog.delete_prices")`
    delete from variant_prices where tenant_id = ${tx.tenantId}
      and variant_id = any(${variants.map(({ id }) => id)}::uuid[])`);
  const rows = variants.flatMap(({ id, prices }) => prices.map((price) => ({ id, ...price })));
  if (rows.length === 0) return;
  tx.write(sql("catalog.insert_prices")`
    insert into variant_prices (tenant_id, variant_id, currency, min_quantity, amount_minor,
      compare_at_minor)
    select ${tx.tenantId}, * from unnest(${rows.map(({ id }) => id)}::uuid[],
      ${rows.map(({ currency }) => currency)}::text[],
      ${rows.map(({ minQuantity }) => minQuantity)}::int[],
      ${rows.map(({ amountMinor }) => amountMinor)}::bigint[],
      ${rows.map(({ compareAtMinor }) => compareAtMinor)}::bigint[])`);
}

/** Reads the times the database gave to written products. */
export async function readTimes(
  tx: TenantTx,
  ids: readonly ProductId[],
): Promise<ReadonlyMap<ProductId, { readonly createdAt: Date; readonly updatedAt: Date }>> {
  const rows = await tx.rows<{ id: ProductId; created_at: Date; updated_at: Date }>(
    sql("catalog.read_times")`
      select id, created_at, updated_at from products
      where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])`,
  );
  return new Map(
    rows.map((row) => [row.id, { createdAt: row.created_at, updatedAt: row.updated_at }]),
  );
}

/** Adds a collection or writes it anew, with the commit. */
export function writeCollection(tx: TenantTx, collection: Collection): void {
  const { id, handle, title, description, version } = collection;
  tx.write(sql("catalog.write_collection")`
    insert into collections (tenant_id, id, handle, title, description, version)
    values (${tx.tenantId}, ${id}, ${handle}, ${title}, ${description}, ${version})
    on conflict (tenant_id, id) do update set handle = excluded.handle, title = excluded.title,
      description = excluded.description, version = excluded.version, updated_at = now()`);
}

/** Adds collections named by handle where they are missing, titled like it, with the commit. */
export function insertCollections(
  tx: TenantTx,
  collections: readonly Pick<Collection, "id" | "handle" | "title">[],
): void {
  if (collections.length === 0) return;
  tx.write(sql("catalog.insert_collections")`
    insert into collections (tenant_id, id, handle, title, version)
    select ${tx.tenantId}, id, handle, title, 1
    from unnest(${collections.map(({ id }) => id)}::uuid[],
      ${collections.map(({ handle }) => handle)}::text[],
      ${collections.map(({ title }) => title)}::text[]) as c (id, handle, title)`);
}

/** Deletes a collection with the commit; its products stay. */
export function deleteCollection(tx: TenantTx, id: CollectionId): void {
  tx.write(sql("catalog.delete_collection")`
    delete from collections where tenant_id = ${tx.tenantId} and id = ${id}`);
}
