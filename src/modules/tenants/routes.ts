import { Type } from "typebox";
import type { TenantId } from "../../kernel/ids.ts";
import { ok, type Result } from "../../kernel/result.ts";
import { noTenant } from "../../platform/http/request-call.ts";
import { type Route, route } from "../../platform/http/route.ts";
import type { Tenant } from "./contract.ts";
import type { Tenants } from "./index.ts";
import { keyRoutes } from "./key-routes.ts";
import { paged } from "./paging.ts";
import {
  ById,
  Currencies,
  Currency,
  Locale,
  Moment,
  Name,
  PageQuery,
  pageSchema,
  Settings,
  Slug,
  Style,
  TenantBody,
  Uuid,
} from "./schemas.ts";

const shared = { tag: "Tenants", access: "operator", idempotency: "none" } as const;

/** The operations on tenants, for the operator, and on API keys, for each tenant. */
export function tenantsRoutes(tenants: Tenants): Route[] {
  return [
    ...directoryRoutes(tenants),
    ...shopRoutes(tenants),
    ...lifecycleRoutes(tenants),
    ...farewellRoutes(tenants),
    ...keyRoutes(tenants),
  ];
}

function directoryRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/tenants",
      operationId: "createTenant",
      summary: "Create a tenant",
      description: "Send the same body again to finish a creation that was cut off.",
      tag: "Tenants",
      access: "operator",
      idempotency: "none",
      schemas: {
        body: Type.Object({
          id: Uuid,
          slug: Slug,
          name: Name,
          currencies: Currencies,
          defaultCurrency: Currency,
          defaultLocale: Locale,
          pricesIncludeTax: Type.Boolean(),
          settings: Type.Optional(Settings),
          style: Style,
          cluster: Type.Optional(Type.String({ pattern: "^[a-z][a-z0-9_]{0,62}$" })),
        }),
        response: TenantBody,
      },
      failures: [
        "tenants.slug_taken",
        "tenants.id_taken",
        "tenants.unknown_cluster",
        "tenants.default_currency_missing",
      ],
      handle: async ({ ctx, body }) => {
        const created = await tenants.create(ctx, { ...body, id: body.id as TenantId });
        return answer(created, 201);
      },
    }),
    route({
      method: "GET",
      path: "/v1/tenants",
      operationId: "listTenants",
      summary: "List tenants by slug",
      tag: "Tenants",
      access: "operator",
      schemas: { query: PageQuery, response: pageSchema(TenantBody) },
      failures: ["request.bad_cursor"],
      handle: async ({ query }) => {
        const scope = { tenantId: noTenant, list: "tenants" };
        return paged(scope, query, (after, limit) => tenants.list(after, limit), tenantBody);
      },
    }),
    route({
      method: "GET",
      path: "/v1/tenants/{id}",
      operationId: "getTenant",
      summary: "Get a tenant",
      tag: "Tenants",
      access: "operator",
      schemas: { params: ById, response: TenantBody },
      failures: ["tenants.not_found"],
      handle: async ({ params }) => answer(await tenants.get(params.id as TenantId)),
    }),
  ];
}

function shopRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/tenant",
      operationId: "getOwnTenant",
      summary: "Get the brand that the key belongs to",
      tag: "Tenants",
      access: "secret",
      schemas: { response: TenantBody },
      failures: ["tenants.not_found"],
      handle: async ({ ctx }) => answer(await tenants.get(ctx.tenantId)),
    }),
    route({
      method: "GET",
      path: "/v1/tenants/{id}/log",
      operationId: "getTenantLog",
      summary: "See what was done to a tenant, newest first",
      tag: "Tenants",
      access: "operator",
      schemas: {
        params: ById,
        response: Type.Object({
          items: Type.Array(
            Type.Object({
              at: Moment,
              actor: Type.String(),
              requestId: Type.String(),
              action: Type.String(),
              details: Type.Unknown(),
            }),
          ),
        }),
      },
      handle: async ({ params }) => {
        const entries = await tenants.log(params.id as TenantId);
        const items = entries.map((entry) => ({ ...entry, at: entry.at.toISOString() }));
        return ok({ body: { items } });
      },
    }),
    route({
      method: "GET",
      path: "/v1/shops/{slug}",
      operationId: "getShop",
      summary: "Get what a brand's shop page needs to begin",
      tag: "Shops",
      access: "public",
      schemas: {
        params: Type.Object({ slug: Slug }),
        response: Type.Object({
          slug: Slug,
          name: Name,
          currencies: Currencies,
          defaultCurrency: Currency,
          defaultLocale: Locale,
          pricesIncludeTax: Type.Boolean(),
          settings: Settings,
        }),
      },
      failures: ["tenants.not_found", "tenants.suspended"],
      handle: async ({ params }) => {
        const tenant = await tenants.findBySlug(params.slug);
        if (tenant?.status === "suspended") return refusal("tenants.suspended");
        if (tenant?.status !== "active") return refusal("tenants.not_found");
        return ok({ body: tenant, headers: { "cache-control": "public, max-age=30" } });
      },
    }),
  ];
}

function lifecycleRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "PATCH",
      path: "/v1/tenants/{id}",
      operationId: "configureTenant",
      summary: "Change a tenant's name, currencies, locale, tax style or settings",
      ...shared,
      ifMatch: "optional",
      schemas: {
        params: ById,
        body: Type.Object({
          name: Type.Optional(Name),
          currencies: Type.Optional(Currencies),
          defaultCurrency: Type.Optional(Currency),
          defaultLocale: Type.Optional(Locale),
          pricesIncludeTax: Type.Optional(Type.Boolean()),
          settings: Type.Optional(Settings),
        }),
        response: TenantBody,
      },
      failures: [
        "tenants.not_found",
        "tenants.version_conflict",
        "tenants.default_currency_missing",
      ],
      handle: async ({ ctx, params, body, ifMatch }) => {
        const version = ifMatch === undefined ? {} : { ifVersion: ifMatch };
        const tenantId = params.id as TenantId;
        return answer(await tenants.configure(ctx, { tenantId, ...version, to: body }));
      },
    }),
    route({
      method: "POST",
      path: "/v1/tenants/{id}/suspend",
      operationId: "suspendTenant",
      summary: "Refuse a tenant's credentials from now on",
      ...shared,
      schemas: { params: ById, response: TenantBody },
      failures: ["tenants.not_found", "tenants.wrong_status"],
      handle: async ({ ctx, params }) => answer(await tenants.suspend(ctx, params.id as TenantId)),
    }),
    route({
      method: "POST",
      path: "/v1/tenants/{id}/resume",
      operationId: "resumeTenant",
      summary: "Serve a suspended tenant again",
      ...shared,
      schemas: { params: ById, response: TenantBody },
      failures: ["tenants.not_found", "tenants.wrong_status"],
      handle: async ({ ctx, params }) => answer(await tenants.resume(ctx, params.id as TenantId)),
    }),
  ];
}

function farewellRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/tenants/{id}/export",
      operationId: "exportTenant",
      summary: "Stream everything held of a tenant as JSON lines",
      ...shared,
      schemas: { params: ById },
      failures: ["tenants.not_found"],
      handle: async ({ params }) => {
        const tenant = await tenants.get(params.id as TenantId);
        if (!tenant.ok) return tenant;
        const body = tenants.export(tenant.value.id);
        return ok({ stream: { contentType: "application/jsonl; charset=utf-8", body } });
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/tenants/{id}",
      operationId: "eraseTenant",
      summary: "Erase a suspended tenant and everything held of it",
      description:
        "Cannot be undone. Takes as long as there are rows; send it again if it is cut off.",
      ...shared,
      schemas: {
        params: ById,
        response: Type.Object({ tenantId: Uuid, rows: Type.Record(Type.String(), Type.Integer()) }),
      },
      failures: ["tenants.not_found", "tenants.wrong_status"],
      handle: async ({ ctx, params }) => {
        const erased = await tenants.erase(ctx, params.id as TenantId);
        return erased.ok ? ok({ body: erased.value }) : erased;
      },
    }),
  ];
}

function answer<F extends { readonly code: string }>(
  result: Result<Tenant, F>,
  status: 200 | 201 = 200,
) {
  if (!result.ok) return result;
  return ok({ status, version: result.value.version, body: tenantBody(result.value) });
}

function tenantBody(tenant: Tenant) {
  return { ...tenant, createdAt: tenant.createdAt.toISOString() };
}

function refusal<const Code extends string>(code: Code) {
  return { ok: false, failure: { code } } as const;
}
