import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { PageOf, pageFields, readPage } from "../../platform/http/shapes.ts";
import type { Catalog } from "./index.ts";
import {
  CollectionBody,
  CollectionParams,
  CollectionPatchBody,
  Named,
  NewCollectionBody,
} from "./schemas.ts";
import { isOfShop } from "./shop-reads.ts";

const tag = "Catalog";
const read = { tag, access: "publishable", permission: "catalog:read" } as const;
const write = { tag, access: "secret", permission: "catalog:write" } as const;

/** The HTTP operations of collections. */
export function collectionRoutes(catalog: Catalog): readonly Route[] {
  return [...readRoutes(catalog), ...writeRoutes(catalog)];
}

function readRoutes(catalog: Catalog): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/collections",
      operationId: "listCollections",
      summary: "List collections, newest first",
      schemas: { query: Type.Object(pageFields), response: PageOf(CollectionBody) },
      failures: ["request.bad_cursor"],
      async handle({ ctx, principal, query }) {
        const read = isOfShop(principal) ? catalog.shop.collections : catalog.listCollections;
        const page = await readPage(
          { ctx, list: "collections by id desc", ...query },
          {
            read: async (after, limit) =>
              read(ctx.tenantId, { after: after?.[0] as string | undefined, limit }),
            positionOf: ({ id }) => [id],
          },
        );
        return page.ok ? ok({ body: page.value }) : page;
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/collections/{id}",
      operationId: "getCollection",
      summary: "Show a collection, by id or by handle",
      schemas: { params: Named, response: CollectionBody },
      failures: ["catalog.collection_not_found"],
      async handle({ ctx, principal, params }) {
        const find = isOfShop(principal) ? catalog.shop.collection : catalog.findCollection;
        const found = await find(ctx.tenantId, params.id);
        if (!found) return fail({ code: "catalog.collection_not_found", collection: params.id });
        return ok({ body: found, version: found.version });
      },
    }),
  ];
}

function writeRoutes(catalog: Catalog): readonly Route[] {
  return [
    route({
      ...write,
      method: "POST",
      path: "/v1/collections",
      operationId: "createCollection",
      summary: "Make a collection",
      schemas: { body: NewCollectionBody, response: CollectionBody },
      failures: ["catalog.handle_taken", "catalog.id_taken", "catalog.invalid"],
      async handle({ ctx, body }) {
        const made = await catalog.createCollection(ctx, body);
        if (!made.ok) return made;
        return ok({ status: 201, body: made.value, version: made.value.version });
      },
    }),
    route({
      ...write,
      method: "PATCH",
      path: "/v1/collections/{id}",
      operationId: "updateCollection",
      summary: "Change a collection",
      schemas: { params: CollectionParams, body: CollectionPatchBody, response: CollectionBody },
      failures: [
        "catalog.collection_not_found",
        "catalog.handle_taken",
        "catalog.stale",
        "catalog.invalid",
      ],
      async handle({ ctx, params, body, ifMatch }) {
        const target = { id: params.id, expectedVersion: ifMatch };
        const changed = await catalog.updateCollection(ctx, target, body);
        return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/collections/{id}",
      operationId: "deleteCollection",
      summary: "Delete a collection; its products stay",
      schemas: { params: CollectionParams },
      failures: ["catalog.collection_not_found"],
      async handle({ ctx, params }) {
        const gone = await catalog.deleteCollection(ctx, params.id);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}
