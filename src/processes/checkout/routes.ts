import { Type } from "typebox";
import { newId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import type { CartId } from "../../modules/carts/contract.ts";
import { Address } from "../../modules/carts/routes.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import { type CheckoutOutcome, type PlaceOrder, settleWaitMs } from "./contract.ts";
import type { Checkout } from "./index.ts";

const Uuid = Type.String({ format: "uuid" });
const Nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

const Payment = Type.Object(
  {
    provider: Type.String({ minLength: 1, maxLength: 40 }),
    instrumentToken: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    returnUrl: Type.Optional(Type.String({ format: "uri", maxLength: 2_000 })),
    captureMode: Type.Optional(Type.Union([Type.Literal("automatic"), Type.Literal("manual")])),
  },
  { additionalProperties: false },
);

const CheckoutBody = Type.Object(
  { orderId: Type.Optional(Uuid), payment: Type.Optional(Payment) },
  { additionalProperties: false },
);

const OrderBody = Type.Object(
  {
    id: Type.Optional(Uuid),
    currency: Type.String({ pattern: "^[A-Z]{3}$" }),
    lines: Type.Array(
      Type.Object(
        { variantId: Uuid, quantity: Type.Integer({ minimum: 1, maximum: 9_999 }) },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 200 },
    ),
    email: Type.String({ format: "email", maxLength: 254 }),
    customerId: Type.Optional(Uuid),
    shippingAddress: Address,
    billingAddress: Type.Optional(Address),
    shippingMethodId: Uuid,
    couponCodes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 10 }),
    ),
    payment: Type.Optional(Payment),
    externalReference: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  },
  { additionalProperties: false },
);

const Outcome = Type.Object({
  orderId: Uuid,
  number: Type.Integer(),
  status: Type.Union(
    ["paid", "authorised", "pending", "action_required", "declined"].map((status) =>
      Type.Literal(status),
    ),
  ),
  currency: Type.String(),
  totalMinor: Type.Integer(),
  paymentId: Nullable(Uuid),
  nextActionUrl: Nullable(Type.String()),
});

const failures = [
  "carts.not_found",
  "carts.already_ordered",
  "carts.unknown_variant",
  "carts.no_price",
  "carts.unknown_shipping_method",
  "inventory.out_of_stock",
  "promotions.used_up",
  "promotions.customer_limit",
  "promotions.no_longer_valid",
  "checkout.empty",
  "checkout.email_missing",
  "checkout.address_missing",
  "checkout.shipping_method_missing",
  "checkout.payment_missing",
  "checkout.unknown_provider",
  "checkout.coupon_refused",
  "checkout.order_exists",
  "checkout.order_id_misdated",
  "checkout.payment_declined",
];

function reply(outcome: CheckoutOutcome): RouteReply {
  const { sagaId: _, failureCode: __, ...body } = outcome;
  return {
    status: outcome.status === "pending" ? 202 : 201,
    body,
    headers: { location: `/v1/orders/${outcome.orderId}` },
  };
}

/** The HTTP operations of checkout. */
export function checkoutRoutes(checkout: Checkout): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/carts/{id}/checkout",
      operationId: "checkoutCart",
      limits: "strict",
      summary: "Order and pay a cart",
      description:
        "One Idempotency-Key makes one order, whatever is retried. 201 when the payment is settled, " +
        "402 when it was declined (the cart is open again), 202 when the provider has not answered yet.",
      tag: "Checkout",
      access: "publishable",
      permission: "checkout:write",
      idempotency: "required",
      schemas: { params: Type.Object({ id: Uuid }), body: CheckoutBody, response: Outcome },
      failures,
      async handle({ ctx, params, body }) {
        const command: PlaceOrder = {
          orderId: (body.orderId ?? newId<"order">()) as OrderId,
          from: { cartId: params.id as CartId },
          payment: body.payment ?? null,
        };
        const result = await checkout.checkout(ctx, command, settleWaitMs);
        return result.ok ? ok(reply(result.value)) : result;
      },
    }),
    route({
      method: "POST",
      path: "/v1/orders",
      operationId: "placeOrder",
      limits: "strict",
      summary: "Place and pay an order without a cart",
      tag: "Checkout",
      access: "secret",
      permission: "orders:write",
      idempotency: "required",
      schemas: { body: OrderBody, response: Outcome },
      failures,
      async handle({ ctx, body }) {
        const command: PlaceOrder = {
          orderId: (body.id ?? newId<"order">()) as OrderId,
          from: {
            basket: {
              currency: body.currency,
              lines: body.lines,
              email: body.email,
              customerId: body.customerId ?? null,
              shippingAddress: body.shippingAddress,
              billingAddress: body.billingAddress ?? null,
              shippingMethodId: body.shippingMethodId,
              couponCodes: body.couponCodes ?? [],
            },
          },
          payment: body.payment ?? null,
          ...(body.externalReference ? { externalReference: body.externalReference } : {}),
        };
        const result = await checkout.checkout(ctx, command, settleWaitMs);
        return result.ok ? ok(reply(result.value)) : result;
      },
    }),
    route({
      method: "GET",
      path: "/v1/checkouts/{orderId}",
      operationId: "getCheckout",
      summary: "Where a checkout stands now",
      description: "For a shop page that waits for the payment, or that the buyer comes back to.",
      tag: "Checkout",
      access: "publishable",
      permission: "checkout:read",
      schemas: { params: Type.Object({ orderId: Uuid }), response: Outcome },
      failures: ["checkout.order_not_found"],
      async handle({ ctx, params }) {
        const status = await checkout.status(ctx, params.orderId as OrderId);
        if (!status.ok) return status;
        const { sagaId: _, failureCode: __, ...body } = status.value;
        return ok({ body });
      },
    }),
  ];
}
