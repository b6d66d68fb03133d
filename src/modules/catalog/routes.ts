import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import { PageOf, pageFields, readPage } from "../../platform/http/shapes.ts";
import { collectionRoutes } from "./collection-routes.ts";
import type { Product, ProductFilter, VariantId } from "./contract.ts";
import { importRoutes } from "./import-routes.ts";
import type { Catalog } from "./index.ts";
import { productAnswer } from "./product-answer.ts";
import {
  Named,
  OwnedVariantBody,
  PricesBody,
  ProductBody,
  ProductInputBody,
  ProductParams,
  ProductPatchBody,
  productFilterFields,
  UpsertBody,
  VariantParams,
  VariantPatchBody,
} from "./schemas.ts";
import { isOfShop, type ShopReads } from "./shop-reads.ts";

const tag = "Catalog";
const read = { tag, access: "publishable", permission: "catalog:read" } as const;
const write = { tag, access: "secret", permission: "catalog:write" } as const;
const changeFailures = [
  "catalog.collection_not_found",
  "catalog.handle_taken",
  "catalog.sku_taken",
  "catalog.id_taken",
  "catalog.invalid",
];

/** The HTTP operations of the catalog. */
export function catalogRoutes(catalog: Catalog): readonly Route[] {
  return [
    listRoute(catalog),
    createRoute(catalog),
    upsertRoute(catalog),
    getRoute(catalog),
    updateRoute(catalog),
    getVariantRoute(catalog),
    updateVariantRoute(catalog),
    pricesRoute(catalog),
    ...collectionRoutes(catalog),
    ...importRoutes(catalog),
  ];
}

function listRoute(catalog: Catalog): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/products",
    operationId: "listProducts",
    summary: "List products with variants and prices",
    description:
      "With a publishable key only published products are listed. `search` finds a part of the " +
      "title or the beginning of a SKU.",
    schemas: {
      query: Type.Object({
        ...productFilterFields,
        ...pageFields,
        withTotal: Type.Optional(Type.Boolean()),
      }),
      response: Type.Object({
        ...PageOf(ProductBody).properties,
        total: Type.Optional(Type.Integer()),
      }),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, principal, query: { limit, cursor, withTotal, ...asked } }) {
      const isShop = isOfShop(principal);
      if (isShop && asked.status !== undefined && asked.status !== "published") {
        return ok({ body: { items: [] } });
      }
      const filter: ProductFilter = isShop ? { ...asked, status: "published" } : asked;
      const byTitle = filter.sort === "title";
      const reads = isShop ? catalog.shop : readsOf(catalog);
      const [page, total] = await Promise.all([
        readPage(
          { ctx, list: "products", filter: { ...filter }, limit, cursor },
          {
            read: async (after, most) =>
              reads.products(ctx.tenantId, filter, {
                after: after && { id: String(after[0]), titleKey: String(after[1] ?? "") },
                limit: most,
              }),
            positionOf: ({ product, titleKey }) =>
              byTitle ? [product.id, titleKey] : [product.id],
          },
        ),
        withTotal ? reads.count(ctx.tenantId, filter) : undefined,
      ]);
      if (!page.ok) return page;
      const items = page.value.items.map(({ product }) => product);
      return ok({ body: { ...page.value, items, ...(total === undefined ? {} : { total }) } });
    },
  });
}

/** The brand's own view: everything, as it is now. */
function readsOf(catalog: Catalog): Pick<ShopReads, "product" | "products" | "count"> {
  return {
    async product(tenantId, idOrHandle) {
      const product = await catalog.find(tenantId, idOrHandle);
      return product && productAnswer(product, false);
    },
    async products(tenantId, filter, page) {
      const listed = await catalog.list(tenantId, filter, page);
      return listed.map(({ product, titleKey }) => ({
        product: productAnswer(product, false),
        titleKey,
      }));
    },
    count: catalog.count,
  };
}

function createRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/products",
    operationId: "createProduct",
    summary: "Make a product with its variants and prices",
    schemas: { body: ProductInputBody, response: ProductBody },
    failures: changeFailures,
    async handle({ ctx, body }) {
      const made = await catalog.create(ctx, body);
      return made.ok ? ok({ ...reply(made.value), status: 201 }) : made;
    },
  });
}

function upsertRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/products/batch",
    operationId: "upsertProducts",
    summary: "Make products or bring them up to date, found by handle",
    description: "One result per product, in order; a refused one leaves the others alone.",
    bodyBytesMax: 16 * 1024 * 1024,
    idempotency: "none",
    schemas: {
      body: UpsertBody,
      response: Type.Object({
        results: Type.Array(
          Type.Object({
            outcome: Type.String(),
            handle: Type.String(),
            id: Type.Optional(Type.String()),
            version: Type.Optional(Type.Integer()),
            failure: Type.Optional(
              Type.Unsafe<object>({ type: "object", additionalProperties: true }),
            ),
          }),
        ),
      }),
    },
    async handle({ ctx, body: { products } }) {
      const results = await catalog.upsertProducts(ctx, products);
      const rows = results.map((result, index) => {
        const handle = products[index]?.handle ?? "";
        if (!result.ok) return { outcome: "refused", handle, failure: result.failure };
        const { id, version } = result.value.product;
        return { outcome: result.value.outcome, handle, id, version };
      });
      return ok({ status: 207, body: { results: rows } });
    },
  });
}

function getRoute(catalog: Catalog): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/products/{id}",
    operationId: "getProduct",
    summary: "Show a product, by id or by handle",
    description: "With a publishable key only published products are found.",
    schemas: { params: Named, response: ProductBody },
    failures: ["catalog.product_not_found"],
    async handle({ ctx, principal, params }) {
      const reads = isOfShop(principal) ? catalog.shop : readsOf(catalog);
      const product = await reads.product(ctx.tenantId, params.id);
      if (!product) return fail({ code: "catalog.product_not_found", product: params.id });
      return ok({ body: product, version: product.version });
    },
  });
}

function updateRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/products/{id}",
    operationId: "updateProduct",
    summary: "Change a product",
    description:
      "Fields left out stay. Variants are merged by id, else by SKU; the prices of a variant " +
      "replace those of the currencies they mention. `If-Match` refuses a change to another version.",
    schemas: { params: ProductParams, body: ProductPatchBody, response: ProductBody },
    failures: ["catalog.product_not_found", "catalog.stale", ...changeFailures],
    async handle({ ctx, params, body, ifMatch }) {
      const target = { id: params.id, expectedVersion: ifMatch };
      const changed = await catalog.update(ctx, target, body);
      return changed.ok ? ok(reply(changed.value)) : changed;
    },
  });
}

function getVariantRoute(catalog: Catalog): Route {
  return route({
    ...read,
    access: "secret",
    method: "GET",
    path: "/v1/variants/{id}",
    operationId: "getVariant",
    summary: "Show a variant and the product it belongs to",
    schemas: { params: VariantParams, response: OwnedVariantBody },
    failures: ["catalog.variant_not_found"],
    async handle({ ctx, params }) {
      const product = await catalog.findByVariant(ctx.tenantId, params.id);
      const body = product && variantBody(product, params.id);
      if (!body) return fail({ code: "catalog.variant_not_found", variantId: params.id });
      return ok({ body, version: product.version });
    },
  });
}

function updateVariantRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/variants/{id}",
    operationId: "updateVariant",
    summary: "Change a variant; `If-Match` is the version of its product",
    schemas: { params: VariantParams, body: VariantPatchBody, response: OwnedVariantBody },
    failures: ["catalog.variant_not_found", "catalog.stale", ...changeFailures],
    async handle({ ctx, params, body, ifMatch }) {
      const target = { id: params.id, expectedVersion: ifMatch };
      const changed = await catalog.updateVariant(ctx, target, body);
      if (!changed.ok) return changed;
      return ok({ body: variantBody(changed.value, params.id), version: changed.value.version });
    },
  });
}

function pricesRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "PUT",
    path: "/v1/prices",
    operationId: "setPrices",
    summary: "Set and remove prices of many variants, all of them or none",
    description: "A null amount removes the price.",
    bodyBytesMax: 4 * 1024 * 1024,
    schemas: {
      body: PricesBody,
      response: Type.Object({ productsChanged: Type.Integer() }),
    },
    failures: ["catalog.variant_not_found", "catalog.invalid"],
    async handle({ ctx, body }) {
      const set = await catalog.setPrices(ctx, body.prices);
      return set.ok ? ok({ body: set.value }) : set;
    },
  });
}

function reply(product: Product): RouteReply {
  return { body: productAnswer(product, false), version: product.version };
}

function variantBody({ variants, ...product }: Product, id: VariantId) {
  const variant = variants.find((each) => each.id === id);
  if (!variant) return undefined;
  const { handle, title, status, version } = product;
  return { ...variant, product: { id: product.id, handle, title, status, version } };
}
