import { type Fragment, fragment } from "../../platform/db/sql.ts";
import type { CollectionId, Product, ProductId } from "./contract.ts";

/** Columns of a product, `p`, with everything that belongs to it. */
export const productColumns: Fragment = fragment`p.id, p.handle, p.title, p.title_key,
  p.description, p.status, p.category, p.tax_category, p.options, p.media, p.metadata, p.version,
  p.created_at, p.updated_at,
  array(select c.collection_id from product_collections c
    where c.tenant_id = p.tenant_id and c.product_id = p.id order by 1) as collection_ids,
  (select coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'sku', v.sku, 'title', v.title,
      'optionValues', v.option_values, 'weightGrams', v.weight_grams, 'backorder', v.backorder,
      'status', v.status, 'prices', (
        select coalesce(jsonb_agg(jsonb_build_object('currency', r.currency, 'minQuantity',
          r.min_quantity, 'amountMinor', r.amount_minor, 'compareAtMinor', r.compare_at_minor)
          order by r.currency collate "C", r.min_quantity), '[]')
        from variant_prices r where r.tenant_id = v.tenant_id and r.variant_id = v.id))
      order by v.position, v.id), '[]')
    from variants v where v.tenant_id = p.tenant_id and v.product_id = p.id) as variants`;

/** A row of {@link productColumns}. */
export interface ProductRow {
  readonly id: ProductId;
  readonly handle: string;
  readonly title: string;
  readonly title_key: string;
  readonly description: string;
  readonly status: Product["status"];
  readonly category: string | null;
  readonly tax_category: string;
  readonly options: Product["options"];
  readonly media: Product["media"];
  readonly metadata: Product["metadata"];
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly collection_ids: readonly CollectionId[];
  readonly variants: Product["variants"];
}

/** Turns a row into a product. */
export function toProduct(row: ProductRow): Product {
  return {
    id: row.id,
    handle: row.handle,
    title: row.title,
    description: row.description,
    status: row.status,
    category: row.category,
    taxCategory: row.tax_category,
    options: row.options,
    media: row.media,
    collectionIds: row.collection_ids,
    metadata: row.metadata,
    variants: row.variants,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
