import type { TenantId } from "../../kernel/ids.ts";
import { formatMinor } from "../../kernel/money.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { fragment, sql } from "../../platform/db/sql.ts";
import type { CollectionId, ImportId, Product, Variant } from "./contract.ts";
import { csvField } from "./csv-records.ts";
import { type ImportFormat, textColumns } from "./import-rows.ts";
import { listRefusals } from "./import-store.ts";
import { type ProductRow, productColumns, toProduct } from "./product-store.ts";

/** Products read at once: memory is one such page. */
const pageRows = 500;

/**
 * Writes the whole catalog as an import reads it, oldest product first, in chunks of whole lines.
 *
 * Each page is a read of its own: products that change meanwhile appear as they are when their page
 * is read.
 */
export async function* exportProducts(
  db: Db,
  tenantId: TenantId,
  format: ImportFormat,
): AsyncGenerator<string> {
  const name = "catalog.export";
  const columns =
    format === "csv" ? await db.read(tenantId, (tx) => readColumns(tx), { name }) : undefined;
  if (columns) yield `${columns.map(({ header }) => csvField(header)).join(",")}\n`;
  let after: string | undefined;
  for (;;) {
    const behind = after;
    const page = await db.read(tenantId, (tx) => readPage(tx, behind), { name });
    const lines = page.products.flatMap((product) =>
      columns
        ? csvLines(columns, { product, collections: page.handles })
        : [jsonLine(product, page.handles)],
    );
    if (lines.length > 0) yield `${lines.join("\n")}\n`;
    after = page.products.at(-1)?.id;
    if (page.products.length < pageRows) return;
  }
}

/** Writes the refused rows of an import as CSV, in the order of the file. */
export async function* exportRefusals(
  db: Db,
  tenantId: TenantId,
  importId: ImportId,
): AsyncGenerator<string> {
  yield "row,line,field,reason,raw\n";
  let after = 0;
  for (;;) {
    const page = { after, limit: pageRows };
    const refusals = await db.read(tenantId, (tx) => listRefusals(tx, importId, page), {
      name: "catalog.export_refusals",
    });
    for (const { row, line, field, reason, raw } of refusals) {
      yield `${[String(row), String(line), field, reason, raw].map(csvField).join(",")}\n`;
      after = row;
    }
    if (refusals.length < pageRows) return;
  }
}

interface ExportPage {
  readonly products: readonly Product[];
  readonly handles: ReadonlyMap<CollectionId, string>;
}

async function readPage(tx: TenantTx, after: string | undefined): Promise<ExportPage> {
  const behind = after ? fragment`and p.id > ${after}` : fragment``;
  const rows = await tx.rows<ProductRow>(sql("catalog.export_page")`
    select ${productColumns} from products p
    where p.tenant_id = ${tx.tenantId} ${behind} order by p.id limit ${pageRows}`);
  const ids = [...new Set(rows.flatMap((row) => row.collection_ids))];
  const collections = await tx.rows<{ id: CollectionId; handle: string }>(
    sql("catalog.export_collections")`
      select id, handle from collections
      where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])`,
  );
  return {
    products: rows.map(toProduct),
    handles: new Map(collections.map(({ id, handle }) => [id, handle])),
  };
}

function jsonLine(product: Product, handles: ExportPage["handles"]): string {
  const { collectionIds, version: _, createdAt: __, updatedAt: ___, ...rest } = product;
  return JSON.stringify({
    ...rest,
    collections: collectionIds.flatMap((id) => handles.get(id) ?? []),
  });
}

/** A column of a CSV export: how it is called, and what stands in it. */
interface ExportColumn {
  readonly header: string;
  readonly cell: (row: ExportRow) => string | null | undefined;
}

interface ExportRow {
  readonly product: Product;
  readonly variant: Variant | undefined;
  readonly collections: ReadonlyMap<CollectionId, string>;
  /** What belongs to the product stands in its first row only. */
  readonly isFirst: boolean;
}

interface Extent {
  readonly options: number;
  readonly images: number;
  readonly prices: readonly (readonly [currency: string, minQuantity: number])[];
  readonly metadata: readonly string[];
}

/** Finds out which columns the catalog needs, in one statement. */
async function readColumns(tx: TenantTx): Promise<readonly ExportColumn[]> {
  const extent = await tx.one<Extent>(sql("catalog.export_extent")`
    select
      (select coalesce(max(jsonb_array_length(options)), 0) from products
        where tenant_id = ${tx.tenantId}) as options,
      (select coalesce(max(jsonb_array_length(media)), 0) from products
        where tenant_id = ${tx.tenantId}) as images,
      (select coalesce(jsonb_agg(jsonb_build_array(currency, min_quantity)
          order by currency, min_quantity), '[]')
        from (select distinct currency, min_quantity from variant_prices
          where tenant_id = ${tx.tenantId}) as price) as prices,
      (select coalesce(jsonb_agg(key order by key), '[]')
        from (select distinct jsonb_object_keys(metadata) as key from products
          where tenant_id = ${tx.tenantId}) as metadata) as metadata`);
  return [
    ...textColumns.map(textColumn),
    ...Array.from({ length: extent.options }, (_, index) => optionColumns(index)).flat(),
    ...Array.from({ length: extent.images }, (_, index) => imageColumns(index)).flat(),
    ...extent.prices.flatMap(([currency, minQuantity]) => priceColumns(currency, minQuantity)),
    ...extent.metadata.map((key) => ({
      header: `metadata.${key}`,
      cell: ({ product, isFirst }: ExportRow) => (isFirst ? product.metadata[key] : ""),
    })),
  ];
}

function textColumn(header: (typeof textColumns)[number]): ExportColumn {
  const ofProduct = (read: (product: Product) => string | null): ExportColumn => ({
    header,
    cell: ({ product, isFirst }) => (isFirst ? read(product) : ""),
  });
  const ofVariant = (read: (variant: Variant) => string): ExportColumn => ({
    header,
    cell: ({ variant }) => variant && read(variant),
  });
  switch (header) {
    case "handle":
      return { header, cell: ({ product }) => product.handle };
    case "title":
      return ofProduct((product) => product.title);
    case "description":
      return ofProduct((product) => product.description);
    case "status":
      return ofProduct((product) => product.status);
    case "category":
      return ofProduct((product) => product.category);
    case "tax_category":
      return ofProduct((product) => product.taxCategory);
    case "collections":
      return {
        header,
        cell: ({ product, collections, isFirst }) =>
          isFirst ? product.collectionIds.flatMap((id) => collections.get(id) ?? []).join("|") : "",
      };
    case "sku":
      return ofVariant((variant) => variant.sku);
    case "variant_title":
      return ofVariant((variant) => variant.title);
    case "variant_status":
      return ofVariant((variant) => variant.status);
    case "weight_grams":
      return ofVariant((variant) => String(variant.weightGrams));
    case "backorder":
      return ofVariant((variant) => String(variant.backorder));
  }
}

function optionColumns(index: number): readonly ExportColumn[] {
  const nameOf = ({ product }: ExportRow) => product.options[index]?.name;
  const chosen = (row: ExportRow) => row.variant?.optionValues[nameOf(row) ?? ""];
  return [
    {
      header: `option${index + 1}_name`,
      cell: (row) => (chosen(row) === undefined ? "" : nameOf(row)),
    },
    { header: `option${index + 1}_value`, cell: chosen },
  ];
}

function imageColumns(index: number): readonly ExportColumn[] {
  return (["url", "alt"] as const).map((part) => ({
    header: `image${index + 1}_${part}`,
    cell: ({ product, isFirst }) => (isFirst ? product.media[index]?.[part] : ""),
  }));
}

function priceColumns(currency: string, minQuantity: number): readonly ExportColumn[] {
  const suffix = minQuantity === 1 ? currency : `${currency}_${minQuantity}`;
  const priceOf = ({ variant }: ExportRow) =>
    variant?.prices.find(
      (price) => price.currency === currency && price.minQuantity === minQuantity,
    );
  const written = (amountMinor: number | null | undefined) =>
    amountMinor === null || amountMinor === undefined ? "" : formatMinor(amountMinor, currency);
  return [
    { header: `price_${suffix}`, cell: (row) => written(priceOf(row)?.amountMinor) },
    { header: `compare_at_${suffix}`, cell: (row) => written(priceOf(row)?.compareAtMinor) },
  ];
}

function csvLines(
  columns: readonly ExportColumn[],
  { product, collections }: Pick<ExportRow, "product" | "collections">,
): readonly string[] {
  const variants = product.variants.length > 0 ? product.variants : [undefined];
  return variants.map((variant, index) =>
    columns
      .map(({ cell }) => cell({ product, variant, collections, isFirst: index === 0 }) ?? "")
      .map(csvField)
      .join(","),
  );
}
