import { Compile } from "typebox/compile";
import { parseMinor } from "../../kernel/money.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  ImportFailure,
  PriceInput,
  ProductInput,
  ProductMedia,
  ProductStatus,
  VariantInput,
} from "./contract.ts";
import {
  csvReader,
  delimiterOf,
  type FileRecord,
  type ReadRecord,
  readLine,
} from "./csv-records.ts";
import { ProductInputBody } from "./schemas.ts";

/** Formats a catalog may be imported from. */
export type ImportFormat = "csv" | "jsonl";

/** What a row asks for, or why it cannot be used. */
export type RowRead =
  | { readonly input: ProductInput; readonly refusal?: undefined }
  | { readonly input?: undefined; readonly refusal: RowRefusal };

/** Why a row cannot be used. */
export interface RowRefusal {
  readonly field: string;
  readonly reason: string;
}

/** Turns the records of a file into products. */
export interface RowReader {
  /** Whether the first record names the columns. */
  readonly hasHeader: boolean;
  /** How records are found; for CSV it depends on the first line. */
  recordReader(firstLine: string): ReadRecord;
  /** Reads the header. @returns catalog.import_header when columns are missing or unknown */
  begin(header: FileRecord): Result<void, ImportFailure>;
  read(record: FileRecord): RowRead;
}

/** Makes the reader of a format. One per file: it remembers the header. */
export function createRowReader(format: ImportFormat): RowReader {
  return format === "csv" ? createCsvRows() : jsonRows;
}

const isProduct = Compile(ProductInputBody);

const jsonRows: RowReader = {
  hasHeader: false,
  recordReader: () => readLine,
  begin: () => ok(undefined),
  read({ raw, fault }) {
    if (fault) return refuse("", fault);
    let value: unknown;
    try {
      value = JSON.parse(raw);
    } catch (error) {
      return refuse("", `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (isProduct.Check(value)) return { input: value as ProductInput };
    const [error] = isProduct.Errors(value);
    const field = error?.instancePath.slice(1).replaceAll("/", ".") ?? "";
    return refuse(field, error?.message ?? "is not a product");
  },
};

function createCsvRows(): RowReader {
  let columns: readonly Column[] = [];
  return {
    hasHeader: true,
    recordReader: (firstLine) => csvReader(delimiterOf(firstLine)),
    begin({ cells, fault }) {
      const names = cells.map((cell) => cell.trim());
      const reason = fault ?? findHeaderProblem(names);
      if (reason) return fail({ code: "catalog.import_header", reason });
      columns = names.map(columnOf) as Column[];
      return ok(undefined);
    },
    read({ cells, fault }) {
      if (fault) return refuse("", fault);
      if (cells.length !== columns.length) {
        return refuse("", `has ${cells.length} fields, the header has ${columns.length}`);
      }
      return readCells(columns, cells);
    },
  };
}

type Column =
  | { readonly kind: "text"; readonly name: string }
  | { readonly kind: "option"; readonly number: string; readonly part: "name" | "value" }
  | { readonly kind: "image"; readonly number: string; readonly part: "url" | "alt" }
  | {
      readonly kind: "price";
      readonly name: string;
      readonly part: "price" | "compare_at";
      readonly currency: string;
      readonly minQuantity: number;
    }
  | { readonly kind: "metadata"; readonly key: string };

/** Columns with a fixed name; besides them `option1_name`, `image1_url`, `price_EUR` and so on. */
export const textColumns = [
  "handle",
  "title",
  "description",
  "status",
  "category",
  "tax_category",
  "collections",
  "sku",
  "variant_title",
  "variant_status",
  "weight_grams",
  "backorder",
] as const;

function columnOf(name: string): Column | undefined {
  if ((textColumns as readonly string[]).includes(name)) return { kind: "text", name };
  const option = /^option(\d{1,2})_(name|value)$/.exec(name);
  if (option) {
    return { kind: "option", number: option[1] ?? "", part: option[2] as "name" | "value" };
  }
  const image = /^image(\d{0,2})_(url|alt)$/.exec(name);
  if (image) return { kind: "image", number: image[1] || "1", part: image[2] as "url" | "alt" };
  const price = /^(price|compare_at)_([A-Z]{3})(?:_(\d{1,7}))?$/.exec(name);
  if (price) {
    return {
      kind: "price",
      name,
      part: price[1] as "price" | "compare_at",
      currency: price[2] ?? "",
      minQuantity: Number(price[3] ?? 1),
    };
  }
  const metadata = /^metadata\.(.{1,100})$/.exec(name);
  return metadata ? { kind: "metadata", key: metadata[1] ?? "" } : undefined;
}

function findHeaderProblem(names: readonly string[]): string | undefined {
  if (!names.includes("handle")) return 'the column "handle" is missing';
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `the column "${twice}" is there twice`;
  const unknown = names.filter((name) => columnOf(name) === undefined);
  if (unknown.length > 0) return `unknown columns: ${unknown.slice(0, 20).join(", ")}`;
  return undefined;
}

function readCells(columns: readonly Column[], cells: readonly string[]): RowRead {
  const texts = new Map<string, string>();
  const options = new Map<string, { name?: string; value?: string }>();
  const images = new Map<string, { url?: string; alt?: string }>();
  const prices = new Map<string, { -readonly [Key in keyof PriceInput]: PriceInput[Key] }>();
  const metadata = new Map<string, string>();
  for (const [index, column] of columns.entries()) {
    const cell = cells[index] ?? "";
    if (cell === "") continue;
    if (column.kind === "text") texts.set(column.name, cell);
    if (column.kind === "metadata") metadata.set(column.key, cell);
    if (column.kind === "option") {
      const option = options.get(column.number) ?? {};
      options.set(column.number, { ...option, [column.part]: cell });
    }
    if (column.kind === "image") {
      const image = images.get(column.number) ?? {};
      images.set(column.number, { ...image, [column.part]: cell });
    }
    if (column.kind === "price") {
      const { currency, minQuantity, part, name } = column;
      const amount = parseMinor(cell, currency);
      if (amount === undefined) return refuse(name, `"${cell}" is not an amount of ${currency}`);
      const key = `${currency} ${minQuantity}`;
      const price = prices.get(key) ?? { currency, minQuantity, amountMinor: Number.NaN };
      prices.set(key, {
        ...price,
        ...(part === "price" ? { amountMinor: amount } : { compareAtMinor: amount }),
      });
    }
  }
  const unpriced = [...prices.values()].find(({ amountMinor }) => Number.isNaN(amountMinor));
  if (unpriced) return refuse(`price_${unpriced.currency}`, "is missing beside compare_at");
  return assemble({ texts, options, images, prices: [...prices.values()], metadata });
}

interface RowParts {
  readonly texts: ReadonlyMap<string, string>;
  readonly options: ReadonlyMap<string, { readonly name?: string; readonly value?: string }>;
  readonly images: ReadonlyMap<string, { readonly url?: string; readonly alt?: string }>;
  readonly prices: readonly PriceInput[];
  readonly metadata: ReadonlyMap<string, string>;
}

function assemble({ texts, options, images, prices, metadata }: RowParts): RowRead {
  const handle = texts.get("handle")?.trim();
  if (!handle) return refuse("handle", "is missing");
  const optionValues: Record<string, string> = {};
  for (const [number, { name, value }] of options) {
    if (value === undefined) continue;
    if (name === undefined) return refuse(`option${number}_name`, "is missing beside its value");
    optionValues[name] = value;
  }
  const media: ProductMedia[] = [];
  for (const [number, { url, alt = "" }] of images) {
    if (url === undefined) return refuse(`image${number}_url`, "is missing beside its text");
    media.push({ url, alt });
  }
  const variant = readVariant(texts, { optionValues, prices });
  if ("reason" in variant) return { refusal: variant };
  const text = (column: string) => texts.get(column);
  return {
    input: {
      handle,
      ...given("title", text("title")),
      ...given("description", text("description")),
      ...given("status", text("status") as ProductStatus | undefined),
      ...given("category", text("category")),
      ...given("taxCategory", text("tax_category")),
      ...given(
        "collections",
        text("collections")
          ?.split("|")
          .map((name) => name.trim()),
      ),
      ...given("media", media.length > 0 ? media : undefined),
      ...given("metadata", metadata.size > 0 ? Object.fromEntries(metadata) : undefined),
      ...given("variants", variant.input && [variant.input]),
    },
  };
}

interface VariantParts {
  readonly optionValues: Readonly<Record<string, string>>;
  readonly prices: readonly PriceInput[];
}

function readVariant(
  texts: ReadonlyMap<string, string>,
  { optionValues, prices }: VariantParts,
): RowRefusal | { readonly input?: VariantInput } {
  const sku = texts.get("sku")?.trim();
  if (!sku) {
    const isAlone = prices.length > 0 || Object.keys(optionValues).length > 0;
    return isAlone ? { field: "sku", reason: "is missing beside prices or options" } : {};
  }
  const status = texts.get("variant_status");
  if (status !== undefined && status !== "active" && status !== "archived") {
    return { field: "variant_status", reason: "must be active or archived" };
  }
  const weight = texts.get("weight_grams");
  if (weight !== undefined && !/^\d{1,10}$/.test(weight)) {
    return { field: "weight_grams", reason: "must be a whole number of grams" };
  }
  const backorder = texts.get("backorder")?.toLowerCase();
  if (backorder !== undefined && !/^(true|false|yes|no|1|0)$/.test(backorder)) {
    return { field: "backorder", reason: "must be true or false" };
  }
  const input: VariantInput = {
    sku,
    ...given("title", texts.get("variant_title")),
    ...given("status", status as "active" | "archived" | undefined),
    ...given("optionValues", Object.keys(optionValues).length > 0 ? optionValues : undefined),
    ...given("weightGrams", weight === undefined ? undefined : Number(weight)),
    ...given("backorder", backorder === undefined ? undefined : /^(true|yes|1)$/.test(backorder)),
    ...given("prices", prices.length > 0 ? prices : undefined),
  };
  return { input };
}

function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [Name in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [Name in Key]?: Value };
}

function refuse(field: string, reason: string): RowRead {
  return { refusal: { field, reason } };
}
