import { Type } from "typebox";
import {
  Currency,
  IdOf,
  Moment,
  NullableInteger,
  NullableText,
  TextByName,
  Uuid,
} from "../../platform/http/shapes.ts";
import { priceChangesMax, productsPerUpsertMax, variantsPerProductMax } from "./contract.ts";
import { amountMinorMax } from "./validate.ts";

const Minor = Type.Integer({ minimum: 0, maximum: amountMinorMax });
const Quantity = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const ProductStatus = Type.Union([
  Type.Literal("draft"),
  Type.Literal("published"),
  Type.Literal("archived"),
]);
const VariantStatus = Type.Union([Type.Literal("active"), Type.Literal("archived")]);
const Option = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  values: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
    maxItems: variantsPerProductMax,
  }),
});
const Media = Type.Object({
  url: Type.String({ minLength: 1, maxLength: 32_768 }),
  alt: Type.String({ maxLength: 500 }),
});
const Handle = Type.String({ minLength: 1, maxLength: 200, pattern: "^[^\\s/]+$" });
const Title = Type.String({ minLength: 1, maxLength: 500 });
const Description = Type.String({ maxLength: 50_000 });
const Sku = Type.String({ minLength: 1, maxLength: 200 });
const NullableMinor = Type.Union([Minor, Type.Null()]);

/** Id or handle in a path. */
export const Named = Type.Object({ id: Type.String({ minLength: 1, maxLength: 200 }) });
/** Path of a product. */
export const ProductParams = Type.Object({ id: IdOf<"product">() });
/** Path of a variant. */
export const VariantParams = Type.Object({ id: IdOf<"variant">() });
/** Path of a collection. */
export const CollectionParams = Type.Object({ id: IdOf<"collection">() });

const PriceInput = Type.Object({
  currency: Currency,
  amountMinor: Minor,
  compareAtMinor: Type.Optional(NullableMinor),
  minQuantity: Type.Optional(Quantity),
});
const variantFields = {
  title: Type.Optional(Type.String({ maxLength: 500 })),
  optionValues: Type.Optional(TextByName),
  weightGrams: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  backorder: Type.Optional(Type.Boolean()),
  status: Type.Optional(VariantStatus),
  prices: Type.Optional(Type.Array(PriceInput, { maxItems: 100 })),
};
const VariantInput = Type.Object({
  id: Type.Optional(IdOf<"variant">()),
  sku: Sku,
  ...variantFields,
});
/** Body that changes one variant. */
export const VariantPatchBody = Type.Object({ sku: Type.Optional(Sku), ...variantFields });

const productFields = {
  description: Type.Optional(Description),
  status: Type.Optional(ProductStatus),
  category: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 200 }), Type.Null()])),
  taxCategory: Type.Optional(Type.String({ pattern: "^[a-z0-9_.-]{1,60}$" })),
  options: Type.Optional(Type.Array(Option, { maxItems: 10 })),
  media: Type.Optional(Type.Array(Media, { maxItems: 50 })),
  collections: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 100 }),
  ),
  metadata: Type.Optional(TextByName),
  variants: Type.Optional(Type.Array(VariantInput, { maxItems: variantsPerProductMax })),
};
/** A product as it is given. */
export const ProductInputBody = Type.Object({
  id: Type.Optional(IdOf<"product">()),
  handle: Handle,
  title: Type.Optional(Title),
  ...productFields,
});
/** Body that changes one product. */
export const ProductPatchBody = Type.Object({
  handle: Type.Optional(Handle),
  title: Type.Optional(Title),
  ...productFields,
});
/** Body of an upsert. */
export const UpsertBody = Type.Object({
  products: Type.Array(ProductInputBody, { minItems: 1, maxItems: productsPerUpsertMax }),
});
/** Body of a change of prices. */
export const PricesBody = Type.Object({
  prices: Type.Array(
    Type.Object({
      variantId: IdOf<"variant">(),
      currency: Currency,
      amountMinor: NullableMinor,
      compareAtMinor: Type.Optional(NullableMinor),
      minQuantity: Type.Optional(Quantity),
    }),
    { minItems: 1, maxItems: priceChangesMax },
  ),
});

/** A variant in answers. */
export const VariantBody = Type.Object({
  id: Uuid,
  sku: Type.String(),
  title: Type.String(),
  optionValues: TextByName,
  weightGrams: Type.Integer(),
  backorder: Type.Boolean(),
  status: VariantStatus,
  prices: Type.Array(
    Type.Object({
      currency: Type.String(),
      minQuantity: Type.Integer(),
      amountMinor: Type.Integer(),
      compareAtMinor: NullableInteger,
    }),
  ),
});
/** A product in answers. */
export const ProductBody = Type.Object({
  id: Uuid,
  handle: Type.String(),
  title: Type.String(),
  description: Type.String(),
  status: ProductStatus,
  category: NullableText,
  taxCategory: Type.String(),
  options: Type.Array(Type.Object({ name: Type.String(), values: Type.Array(Type.String()) })),
  media: Type.Array(Type.Object({ url: Type.String(), alt: Type.String() })),
  collectionIds: Type.Array(Uuid),
  metadata: TextByName,
  variants: Type.Array(VariantBody),
  version: Type.Integer(),
  createdAt: Moment,
  updatedAt: Moment,
});
/** A variant in answers, with the product it belongs to. */
export const OwnedVariantBody = Type.Object({
  ...VariantBody.properties,
  product: Type.Object({
    id: Uuid,
    handle: Type.String(),
    title: Type.String(),
    status: ProductStatus,
    version: Type.Integer(),
  }),
});
/** Filters of the list of products. */
export const productFilterFields = {
  status: Type.Optional(ProductStatus),
  collection: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  category: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  search: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  sort: Type.Optional(Type.Union([Type.Literal("newest"), Type.Literal("title")])),
};

/** A collection in answers. */
export const CollectionBody = Type.Object({
  id: Uuid,
  handle: Type.String(),
  title: Type.String(),
  description: Type.String(),
  version: Type.Integer(),
});
/** Body that makes a collection. */
export const NewCollectionBody = Type.Object({
  id: Type.Optional(IdOf<"collection">()),
  handle: Handle,
  title: Title,
  description: Type.Optional(Description),
});
/** Body that changes a collection. */
export const CollectionPatchBody = Type.Object({
  handle: Type.Optional(Handle),
  title: Type.Optional(Title),
  description: Type.Optional(Description),
});
