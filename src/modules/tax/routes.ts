import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { IdOf, NullableText, Uuid } from "../../platform/http/shapes.ts";
import type { Tax } from "./index.ts";

const tag = "Tax";
const read = { tag, access: "secret", permission: "tax:read" } as const;
const write = { tag, access: "secret", permission: "tax:write" } as const;

const ZoneId = IdOf<"tax_zone">();
const RateId = IdOf<"tax_rate">();
const ZoneParams = Type.Object({ id: ZoneId });
const RateParams = Type.Object({ id: RateId });
const Name = Type.String({ minLength: 1, maxLength: 200 });
const CategoryCode = Type.String({ pattern: "^[a-z0-9_.-]{1,60}$" });
const AreaBody = Type.Object({
  country: Type.String({ pattern: "^([A-Z]{2}|\\*)$" }),
  regions: Type.Optional(Type.Array(Name, { maxItems: 200 })),
  postalPrefixes: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 20 }), { maxItems: 1_000 }),
  ),
});
const Areas = Type.Array(AreaBody, { minItems: 1, maxItems: 300 });
const ZoneBody = Type.Object({
  id: Uuid,
  name: Type.String(),
  areas: Type.Array(AreaBody),
  priceIncludesTax: Type.Boolean(),
  version: Type.Integer(),
});
const RateBody = Type.Object({
  id: Uuid,
  zoneId: Uuid,
  category: NullableText,
  name: Type.String(),
  rateBps: Type.Integer(),
  isCompound: Type.Boolean(),
  appliesToShipping: Type.Boolean(),
  priority: Type.Integer(),
  version: Type.Integer(),
});
const CategoryBody = Type.Object({ code: Type.String(), name: Type.String() });

const rateFields = {
  category: Type.Optional(Type.Union([CategoryCode, Type.Null()])),
  isCompound: Type.Optional(Type.Boolean()),
  appliesToShipping: Type.Optional(Type.Boolean()),
  priority: Type.Optional(Type.Integer({ minimum: -1_000_000, maximum: 1_000_000 })),
};
const Rate = Type.Integer({ minimum: 0, maximum: 10_000 });

/** The HTTP operations of tax. */
export function taxRoutes(tax: Tax): readonly Route[] {
  return [
    ...zoneRoutes(tax),
    ...zoneChangeRoutes(tax),
    ...rateRoutes(tax),
    ...rateChangeRoutes(tax),
    ...categoryRoutes(tax),
  ];
}

function zoneRoutes(tax: Tax): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/tax/zones",
      operationId: "listTaxZones",
      summary: "List tax zones",
      schemas: { response: Type.Object({ items: Type.Array(ZoneBody) }) },
      async handle({ ctx }) {
        return ok({ body: { items: await tax.listZones(ctx.tenantId) } });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: "/v1/tax/zones",
      operationId: "createTaxZone",
      summary: "Make a tax zone",
      schemas: {
        body: Type.Object({
          id: Type.Optional(ZoneId),
          name: Name,
          areas: Areas,
          priceIncludesTax: Type.Boolean(),
        }),
        response: ZoneBody,
      },
      failures: ["tax.id_taken", "tax.invalid"],
      async handle({ ctx, body }) {
        const made = await tax.createZone(ctx, body);
        if (!made.ok) return made;
        return ok({ status: 201, body: made.value, version: made.value.version });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/tax/zones/{id}",
      operationId: "getTaxZone",
      summary: "Show a tax zone",
      schemas: { params: ZoneParams, response: ZoneBody },
      failures: ["tax.zone_not_found"],
      async handle({ ctx, params }) {
        const zone = await tax.findZone(ctx.tenantId, params.id);
        if (!zone) return fail({ code: "tax.zone_not_found", zoneId: params.id });
        return ok({ body: zone, version: zone.version });
      },
    }),
  ];
}

function zoneChangeRoutes(tax: Tax): readonly Route[] {
  return [
    route({
      ...write,
      method: "PATCH",
      path: "/v1/tax/zones/{id}",
      operationId: "updateTaxZone",
      summary: "Change a tax zone",
      schemas: {
        params: ZoneParams,
        body: Type.Object({
          name: Type.Optional(Name),
          areas: Type.Optional(Areas),
          priceIncludesTax: Type.Optional(Type.Boolean()),
        }),
        response: ZoneBody,
      },
      failures: ["tax.zone_not_found", "tax.stale", "tax.invalid"],
      async handle({ ctx, params, body, ifMatch }) {
        const target = { id: params.id, expectedVersion: ifMatch };
        const changed = await tax.updateZone(ctx, target, body);
        return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/tax/zones/{id}",
      operationId: "deleteTaxZone",
      summary: "Delete a tax zone with its rates",
      schemas: { params: ZoneParams },
      failures: ["tax.zone_not_found"],
      async handle({ ctx, params }) {
        const gone = await tax.deleteZone(ctx, params.id);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}

function rateRoutes(tax: Tax): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/tax/rates",
      operationId: "listTaxRates",
      summary: "List tax rates, in order of application",
      schemas: {
        query: Type.Object({ zoneId: Type.Optional(ZoneId) }),
        response: Type.Object({ items: Type.Array(RateBody) }),
      },
      async handle({ ctx, query }) {
        return ok({ body: { items: await tax.listRates(ctx.tenantId, query.zoneId ?? null) } });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: "/v1/tax/rates",
      operationId: "createTaxRate",
      summary: "Make a tax rate",
      description: "Without a category it holds for every category that has no rate of its own.",
      schemas: {
        body: Type.Object({
          id: Type.Optional(RateId),
          zoneId: ZoneId,
          name: Name,
          rateBps: Rate,
          ...rateFields,
        }),
        response: RateBody,
      },
      failures: ["tax.zone_not_found", "tax.category_not_found", "tax.id_taken", "tax.invalid"],
      async handle({ ctx, body }) {
        const made = await tax.createRate(ctx, body);
        if (!made.ok) return made;
        return ok({ status: 201, body: made.value, version: made.value.version });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/tax/rates/{id}",
      operationId: "getTaxRate",
      summary: "Show a tax rate",
      schemas: { params: RateParams, response: RateBody },
      failures: ["tax.rate_not_found"],
      async handle({ ctx, params }) {
        const rate = await tax.findRate(ctx.tenantId, params.id);
        if (!rate) return fail({ code: "tax.rate_not_found", rateId: params.id });
        return ok({ body: rate, version: rate.version });
      },
    }),
  ];
}

function rateChangeRoutes(tax: Tax): readonly Route[] {
  return [
    route({
      ...write,
      method: "PATCH",
      path: "/v1/tax/rates/{id}",
      operationId: "updateTaxRate",
      summary: "Change a tax rate",
      schemas: {
        params: RateParams,
        body: Type.Object({
          name: Type.Optional(Name),
          rateBps: Type.Optional(Rate),
          ...rateFields,
        }),
        response: RateBody,
      },
      failures: ["tax.rate_not_found", "tax.category_not_found", "tax.stale", "tax.invalid"],
      async handle({ ctx, params, body, ifMatch }) {
        const target = { id: params.id, expectedVersion: ifMatch };
        const changed = await tax.updateRate(ctx, target, body);
        return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/tax/rates/{id}",
      operationId: "deleteTaxRate",
      summary: "Delete a tax rate",
      schemas: { params: RateParams },
      failures: ["tax.rate_not_found"],
      async handle({ ctx, params }) {
        const gone = await tax.deleteRate(ctx, params.id);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}

function categoryRoutes(tax: Tax): readonly Route[] {
  const CodeParams = Type.Object({ code: CategoryCode });
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/tax/categories",
      operationId: "listTaxCategories",
      summary: "List tax categories",
      schemas: { response: Type.Object({ items: Type.Array(CategoryBody) }) },
      async handle({ ctx }) {
        return ok({ body: { items: await tax.listCategories(ctx.tenantId) } });
      },
    }),
    route({
      ...write,
      method: "PUT",
      path: "/v1/tax/categories/{code}",
      operationId: "saveTaxCategory",
      summary: "Make a tax category, or rename it",
      schemas: { params: CodeParams, body: Type.Object({ name: Name }), response: CategoryBody },
      failures: ["tax.invalid"],
      async handle({ ctx, params, body }) {
        const saved = await tax.saveCategory(ctx, { code: params.code, name: body.name });
        return saved.ok ? ok({ body: saved.value }) : saved;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/tax/categories/{code}",
      operationId: "deleteTaxCategory",
      summary: "Delete a tax category that no rate names",
      schemas: { params: CodeParams },
      failures: ["tax.category_not_found", "tax.category_in_use"],
      async handle({ ctx, params }) {
        const gone = await tax.deleteCategory(ctx, params.code);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}
