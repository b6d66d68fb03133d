import { Type } from "typebox";
import { newId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import type { CartId, CartPatch, CartView } from "./contract.ts";
import { cartLinesMax, cartQuantityMax } from "./contract.ts";
import type { Carts } from "./index.ts";

const Uuid = Type.String({ format: "uuid" });
const Nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Quantity = Type.Integer({ minimum: 1, maximum: cartQuantityMax });
const Line = Type.Object({ variantId: Uuid, quantity: Quantity }, { additionalProperties: false });

/** A postal address in requests and answers. */
export const Address = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    line1: Type.String({ minLength: 1, maxLength: 200 }),
    line2: Type.Optional(Type.String({ maxLength: 200 })),
    city: Type.String({ minLength: 1, maxLength: 120 }),
    region: Type.Optional(Type.String({ maxLength: 120 })),
    postalCode: Type.String({ maxLength: 20 }),
    countryCode: Type.String({ pattern: "^[A-Z]{2}$" }),
    phone: Type.Optional(Type.String({ maxLength: 40 })),
  },
  { additionalProperties: false },
);

const patchFields = {
  lines: Type.Optional(Type.Array(Line, { maxItems: cartLinesMax })),
  email: Type.Optional(Nullable(Type.String({ format: "email", maxLength: 254 }))),
  customerId: Type.Optional(Nullable(Uuid)),
  shippingAddress: Type.Optional(Nullable(Address)),
  billingAddress: Type.Optional(Nullable(Address)),
  shippingMethodId: Type.Optional(Nullable(Uuid)),
  couponCodes: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 10 }),
  ),
};

const CreateBody = Type.Object(
  {
    id: Type.Optional(Uuid),
    currency: Type.String({ pattern: "^[A-Z]{3}$" }),
    ...patchFields,
  },
  { additionalProperties: false },
);
const PatchBody = Type.Object(patchFields, { additionalProperties: false });
const Params = Type.Object({ id: Uuid });
const LineParams = Type.Object({ id: Uuid, variantId: Uuid });

const Minor = Type.Integer();
const Problem = Type.Object({ code: Type.String() }, { additionalProperties: true });
const Priced = Type.Object({
  currency: Type.String(),
  lines: Type.Array(
    Type.Object({
      variantId: Uuid,
      productId: Uuid,
      sku: Type.String(),
      title: Type.String(),
      quantity: Type.Integer(),
      unitPriceMinor: Minor,
      compareAtMinor: Nullable(Minor),
      discountMinor: Minor,
      taxMinor: Minor,
      netMinor: Minor,
      totalMinor: Minor,
    }),
  ),
  shipping: Nullable(
    Type.Object({
      methodId: Uuid,
      name: Type.String(),
      priceMinor: Minor,
      netMinor: Minor,
      taxMinor: Minor,
    }),
  ),
  promotions: Type.Array(
    Type.Object({
      promotionId: Uuid,
      couponId: Nullable(Uuid),
      code: Nullable(Type.String()),
      name: Type.String(),
      discountMinor: Minor,
    }),
  ),
  refusedCodes: Type.Array(Type.Object({ code: Type.String(), reason: Type.String() })),
  priceIncludesTax: Type.Boolean(),
  subtotalMinor: Minor,
  discountMinor: Minor,
  shippingMinor: Minor,
  taxMinor: Minor,
  totalMinor: Minor,
});
const CartBody = Type.Object({
  id: Uuid,
  status: Type.Union([Type.Literal("open"), Type.Literal("ordered")]),
  currency: Type.String(),
  lines: Type.Array(Type.Object({ variantId: Uuid, quantity: Type.Integer() })),
  email: Nullable(Type.String()),
  customerId: Nullable(Uuid),
  shippingAddress: Nullable(Address),
  billingAddress: Nullable(Address),
  shippingMethodId: Nullable(Uuid),
  couponCodes: Type.Array(Type.String()),
  orderId: Nullable(Uuid),
  version: Type.Integer(),
  prices: Nullable(Priced),
  problem: Nullable(Problem),
});

const OptionsBody = Type.Object({
  items: Type.Array(
    Type.Object({
      methodId: Uuid,
      name: Type.String(),
      description: Type.String(),
      currency: Type.String(),
      amountMinor: Minor,
      deliveryDaysMin: Nullable(Type.Integer()),
      deliveryDaysMax: Nullable(Type.Integer()),
    }),
  ),
});

function reply({ cart, priced, problem }: CartView, status: 200 | 201 = 200): RouteReply {
  return { status, body: { ...cart, prices: priced, problem }, version: cart.version };
}

const changeFailures = [
  "carts.not_found",
  "carts.already_ordered",
  "carts.stale",
  "carts.too_many_lines",
  "carts.bad_quantity",
  "carts.unknown_variant",
  "carts.no_price",
  "carts.unknown_shipping_method",
];

/** The HTTP operations of carts. */
export function cartRoutes(carts: Carts): readonly Route[] {
  return [
    createRoute(carts),
    getRoute(carts),
    patchRoute(carts),
    ...lineRoutes(carts),
    optionsRoute(carts),
  ];
}

function createRoute(carts: Carts): Route {
  return route({
    method: "POST",
    path: "/v1/carts",
    operationId: "createCart",
    summary: "Make a cart",
    description:
      "Everything a cart can hold may be given at once: lines, address, shipping method, codes. " +
      "With an id of your own (UUIDv7) or an Idempotency-Key a retry makes no second cart.",
    tag: "Carts",
    access: "publishable",
    permission: "carts:write",
    schemas: { body: CreateBody, response: CartBody },
    failures: ["carts.exists", ...changeFailures],
    async handle({ ctx, body }) {
      const { id, currency, ...patch } = body;
      const result = await carts.change(ctx, {
        id: (id ?? newId<"cart">()) as CartId,
        create: { currency },
        patch: patch as CartPatch,
      });
      return result.ok ? ok(reply(result.value, 201)) : result;
    },
  });
}

function getRoute(carts: Carts): Route {
  return route({
    method: "GET",
    path: "/v1/carts/{id}",
    operationId: "getCart",
    summary: "Read a cart with its current prices",
    tag: "Carts",
    access: "publishable",
    permission: "carts:read",
    schemas: { params: Params, response: CartBody },
    failures: ["carts.not_found"],
    async handle({ ctx, params }) {
      const result = await carts.get(ctx, params.id as CartId);
      return result.ok ? ok(reply(result.value)) : result;
    },
  });
}

function patchRoute(carts: Carts): Route {
  return route({
    method: "PATCH",
    path: "/v1/carts/{id}",
    operationId: "changeCart",
    summary: "Change a cart",
    description:
      "Fields left out stay; null clears. `If-Match` refuses a change to another version.",
    tag: "Carts",
    access: "publishable",
    permission: "carts:write",
    schemas: { params: Params, body: PatchBody, response: CartBody },
    failures: changeFailures,
    async handle({ ctx, params, body, ifMatch }) {
      const result = await carts.change(ctx, {
        id: params.id as CartId,
        patch: body as CartPatch,
        ...(ifMatch === undefined ? {} : { expectedVersion: ifMatch }),
      });
      return result.ok ? ok(reply(result.value)) : result;
    },
  });
}

function lineRoutes(carts: Carts): readonly Route[] {
  const common = {
    tag: "Carts",
    access: "publishable",
    permission: "carts:write",
    failures: changeFailures,
  } as const;
  const change = async (ctx: Parameters<Carts["change"]>[0], id: string, patch: CartPatch) => {
    const result = await carts.change(ctx, { id: id as CartId, patch });
    return result.ok ? ok(reply(result.value)) : result;
  };
  return [
    route({
      ...common,
      method: "POST",
      path: "/v1/carts/{id}/lines",
      operationId: "addCartLine",
      summary: "Add units of a variant to a cart",
      schemas: { params: Params, body: Line, response: CartBody },
      handle: ({ ctx, params, body }) => change(ctx, params.id, { addLines: [body] }),
    }),
    route({
      ...common,
      method: "PUT",
      path: "/v1/carts/{id}/lines/{variantId}",
      operationId: "setCartLine",
      summary: "Set how many units of a variant are in a cart",
      schemas: {
        params: LineParams,
        body: Type.Object({ quantity: Quantity }, { additionalProperties: false }),
        response: CartBody,
      },
      handle: ({ ctx, params, body }) =>
        change(ctx, params.id, {
          setLines: [{ variantId: params.variantId, quantity: body.quantity }],
        }),
    }),
    route({
      ...common,
      method: "DELETE",
      path: "/v1/carts/{id}/lines/{variantId}",
      operationId: "removeCartLine",
      summary: "Take a variant out of a cart",
      schemas: { params: LineParams, response: CartBody },
      handle: ({ ctx, params }) =>
        change(ctx, params.id, { setLines: [{ variantId: params.variantId, quantity: 0 }] }),
    }),
  ];
}

function optionsRoute(carts: Carts): Route {
  return route({
    method: "GET",
    path: "/v1/carts/{id}/shipping-options",
    operationId: "listShippingOptions",
    summary: "List the ways to ship a cart, with prices",
    tag: "Carts",
    access: "publishable",
    permission: "carts:read",
    schemas: { params: Params, response: OptionsBody },
    failures: ["carts.not_found", "carts.unknown_variant", "carts.no_price"],
    async handle({ ctx, params }) {
      const result = await carts.shippingOptions(ctx, params.id as CartId);
      if (!result.ok) return result;
      const items = result.value.map(
        ({ methodId, name, description, currency, amountMinor, ...rest }) => ({
          methodId,
          name,
          description,
          currency,
          amountMinor,
          deliveryDaysMin: rest.deliveryDaysMin,
          deliveryDaysMax: rest.deliveryDaysMax,
        }),
      );
      return ok({ body: { items } });
    },
  });
}
