import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { Currency, IdOf, NullableInteger, NullableText, Uuid } from "../../platform/http/shapes.ts";
import type { ShippingRate } from "./contract.ts";
import type { Shipping } from "./index.ts";

const tag = "Shipping";
const read = { tag, access: "secret", permission: "shipping:read" } as const;
const write = { tag, access: "secret", permission: "shipping:write" } as const;

const ZoneId = IdOf<"shipping_zone">();
const MethodId = IdOf<"shipping_method">();
const ZoneParams = Type.Object({ id: ZoneId });
const MethodParams = Type.Object({ id: MethodId });
const Name = Type.String({ minLength: 1, maxLength: 200 });
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
  version: Type.Integer(),
});

const Minor = Type.Integer({ minimum: 0, maximum: 1_000_000_000_000 });
const Steps = Type.Array(
  Type.Object({ upTo: Type.Union([Minor, Type.Null()]), amountMinor: Minor }),
  { minItems: 1, maxItems: 100 },
);
const Price = Type.Union([
  Type.Object({ kind: Type.Literal("flat"), amountMinor: Minor }),
  Type.Object({ kind: Type.Literal("by_weight"), brackets: Steps }),
  Type.Object({ kind: Type.Literal("by_subtotal"), brackets: Steps }),
]);
const Rates = Type.Array(
  Type.Object({
    zoneId: ZoneId,
    currency: Currency,
    price: Price,
    freeAboveMinor: Type.Optional(Type.Union([Minor, Type.Null()])),
  }),
  { maxItems: 500 },
);
const Status = Type.Union([Type.Literal("active"), Type.Literal("disabled")]);
const MethodBody = Type.Object({
  id: Uuid,
  name: Type.String(),
  description: Type.String(),
  status: Status,
  taxCategory: NullableText,
  position: Type.Integer(),
  deliveryDaysMin: NullableInteger,
  deliveryDaysMax: NullableInteger,
  rates: Type.Array(
    Type.Object({
      zoneId: Uuid,
      currency: Type.String(),
      // Any of the three shapes of a price: nothing to filter, so nothing to try.
      price: Type.Unsafe<object>({ type: "object", additionalProperties: true }),
      freeAboveMinor: NullableInteger,
    }),
  ),
  version: Type.Integer(),
});
const Days = Type.Optional(Type.Union([Type.Integer({ minimum: 0, maximum: 1_000 }), Type.Null()]));
const methodFields = {
  description: Type.Optional(Type.String({ maxLength: 2_000 })),
  status: Type.Optional(Status),
  taxCategory: Type.Optional(
    Type.Union([Type.String({ pattern: "^[a-z0-9_.-]{1,60}$" }), Type.Null()]),
  ),
  position: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  deliveryDaysMin: Days,
  deliveryDaysMax: Days,
};

/** The HTTP operations of shipping. */
export function shippingRoutes(shipping: Shipping): readonly Route[] {
  return [
    ...zoneRoutes(shipping),
    ...zoneChangeRoutes(shipping),
    ...methodRoutes(shipping),
    ...methodChangeRoutes(shipping),
  ];
}

function zoneRoutes(shipping: Shipping): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/shipping/zones",
      operationId: "listShippingZones",
      summary: "List shipping zones",
      schemas: { response: Type.Object({ items: Type.Array(ZoneBody) }) },
      async handle({ ctx }) {
        return ok({ body: { items: await shipping.listZones(ctx.tenantId) } });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: "/v1/shipping/zones",
      operationId: "createShippingZone",
      summary: "Make a shipping zone",
      schemas: {
        body: Type.Object({ id: Type.Optional(ZoneId), name: Name, areas: Areas }),
        response: ZoneBody,
      },
      failures: ["shipping.id_taken", "shipping.invalid"],
      async handle({ ctx, body }) {
        const made = await shipping.createZone(ctx, body);
        if (!made.ok) return made;
        return ok({ status: 201, body: made.value, version: made.value.version });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/shipping/zones/{id}",
      operationId: "getShippingZone",
      summary: "Show a shipping zone",
      schemas: { params: ZoneParams, response: ZoneBody },
      failures: ["shipping.zone_not_found"],
      async handle({ ctx, params }) {
        const zone = await shipping.findZone(ctx.tenantId, params.id);
        if (!zone) return fail({ code: "shipping.zone_not_found", zoneId: params.id });
        return ok({ body: zone, version: zone.version });
      },
    }),
  ];
}

function zoneChangeRoutes(shipping: Shipping): readonly Route[] {
  return [
    route({
      ...write,
      method: "PATCH",
      path: "/v1/shipping/zones/{id}",
      operationId: "updateShippingZone",
      summary: "Change a shipping zone",
      schemas: {
        params: ZoneParams,
        body: Type.Object({ name: Type.Optional(Name), areas: Type.Optional(Areas) }),
        response: ZoneBody,
      },
      failures: ["shipping.zone_not_found", "shipping.stale", "shipping.invalid"],
      async handle({ ctx, params, body, ifMatch }) {
        const target = { id: params.id, expectedVersion: ifMatch };
        const changed = await shipping.updateZone(ctx, target, body);
        return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/shipping/zones/{id}",
      operationId: "deleteShippingZone",
      summary: "Delete a shipping zone that no method has a rate in",
      schemas: { params: ZoneParams },
      failures: ["shipping.zone_not_found", "shipping.zone_in_use"],
      async handle({ ctx, params }) {
        const gone = await shipping.deleteZone(ctx, params.id);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}

function methodRoutes(shipping: Shipping): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/shipping/methods",
      operationId: "listShippingMethods",
      summary: "List shipping methods with their rates, in order of offer",
      schemas: { response: Type.Object({ items: Type.Array(MethodBody) }) },
      async handle({ ctx }) {
        return ok({ body: { items: await shipping.listMethods(ctx.tenantId) } });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: "/v1/shipping/methods",
      operationId: "createShippingMethod",
      summary: "Make a shipping method with its rates",
      schemas: {
        body: Type.Object({
          id: Type.Optional(MethodId),
          name: Name,
          rates: Rates,
          ...methodFields,
        }),
        response: MethodBody,
      },
      failures: ["shipping.zone_not_found", "shipping.id_taken", "shipping.invalid"],
      async handle({ ctx, body }) {
        const command = { ...body, rates: body.rates.map(withFreeAbove) };
        const made = await shipping.createMethod(ctx, command);
        if (!made.ok) return made;
        return ok({ status: 201, body: made.value, version: made.value.version });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/shipping/methods/{id}",
      operationId: "getShippingMethod",
      summary: "Show a shipping method",
      schemas: { params: MethodParams, response: MethodBody },
      failures: ["shipping.method_not_found"],
      async handle({ ctx, params }) {
        const method = await shipping.findMethod(ctx.tenantId, params.id);
        if (!method) return fail({ code: "shipping.method_not_found", methodId: params.id });
        return ok({ body: method, version: method.version });
      },
    }),
  ];
}

function methodChangeRoutes(shipping: Shipping): readonly Route[] {
  return [
    route({
      ...write,
      method: "PATCH",
      path: "/v1/shipping/methods/{id}",
      operationId: "updateShippingMethod",
      summary: "Change a shipping method; rates are replaced as a whole",
      schemas: {
        params: MethodParams,
        body: Type.Object({
          name: Type.Optional(Name),
          rates: Type.Optional(Rates),
          ...methodFields,
        }),
        response: MethodBody,
      },
      failures: [
        "shipping.method_not_found",
        "shipping.zone_not_found",
        "shipping.stale",
        "shipping.invalid",
      ],
      async handle({ ctx, params, body, ifMatch }) {
        const target = { id: params.id, expectedVersion: ifMatch };
        const { rates, ...rest } = body;
        const patch = { ...rest, ...(rates ? { rates: rates.map(withFreeAbove) } : {}) };
        const changed = await shipping.updateMethod(ctx, target, patch);
        return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/shipping/methods/{id}",
      operationId: "deleteShippingMethod",
      summary: "Delete a shipping method",
      schemas: { params: MethodParams },
      failures: ["shipping.method_not_found"],
      async handle({ ctx, params }) {
        const gone = await shipping.deleteMethod(ctx, params.id);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}

type RateInput = Omit<ShippingRate, "freeAboveMinor"> & Partial<ShippingRate>;

function withFreeAbove(rate: RateInput): ShippingRate {
  return { ...rate, freeAboveMinor: rate.freeAboveMinor ?? null };
}
