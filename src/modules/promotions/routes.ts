import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import {
  IdOf,
  Moment,
  NullableInteger,
  NullableText,
  PageOf,
  pageFields,
  readPage,
  Uuid,
} from "../../platform/http/shapes.ts";
import { couponsPerCallMax, type Promotion } from "./contract.ts";
import type { Promotions } from "./index.ts";

const tag = "Promotions";
const read = { tag, access: "secret", permission: "promotions:read" } as const;
const write = { tag, access: "secret", permission: "promotions:write" } as const;

const PromotionId = IdOf<"promotion">();
const CouponId = IdOf<"coupon">();
const Params = Type.Object({ id: PromotionId });
const CouponParams = Type.Object({ id: CouponId });
const Status = Type.Union([Type.Literal("active"), Type.Literal("disabled")]);
const Trigger = Type.Union([Type.Literal("automatic"), Type.Literal("code")]);
const Stacking = Type.Union([Type.Literal("combinable"), Type.Literal("exclusive")]);
const Ids = Type.Optional(Type.Array(Uuid, { maxItems: 1_000 }));
const Lines = Type.Object({ variantIds: Ids, productIds: Ids, collectionIds: Ids });
const Amounts = Type.Record(
  Type.String({ pattern: "^[A-Z]{3}$" }),
  Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 }),
);
const OffBps = Type.Integer({ minimum: 1, maximum: 10_000 });
const Quantity = Type.Integer({ minimum: 1, maximum: 10_000 });
const Action = Type.Union([
  Type.Object({
    kind: Type.Literal("percentage"),
    offBps: OffBps,
    lines: Type.Optional(Lines),
  }),
  Type.Object({
    kind: Type.Literal("fixed_amount"),
    amountsMinor: Amounts,
    lines: Type.Optional(Lines),
  }),
  Type.Object({ kind: Type.Literal("free_shipping") }),
  Type.Object({
    kind: Type.Literal("buy_x_get_y"),
    buyQuantity: Quantity,
    buyLines: Type.Optional(Lines),
    getQuantity: Quantity,
    getLines: Type.Optional(Lines),
    offBps: OffBps,
    timesMax: Type.Optional(Quantity),
  }),
]);
const Conditions = Type.Object({
  minSubtotalMinor: Type.Optional(Amounts),
  minQuantity: Type.Optional(Quantity),
  lines: Type.Optional(Lines),
  customerIds: Ids,
  countries: Type.Optional(Type.Array(Type.String({ pattern: "^[A-Z]{2}$" }), { maxItems: 300 })),
});
const AnyObject = Type.Unsafe<object>({ type: "object", additionalProperties: true });
const PromotionBody = Type.Object({
  id: Uuid,
  name: Type.String(),
  status: Status,
  trigger: Trigger,
  priority: Type.Integer(),
  stacking: Stacking,
  stackingGroup: NullableText,
  action: AnyObject,
  conditions: AnyObject,
  startsAt: NullableText,
  endsAt: NullableText,
  usageLimit: NullableInteger,
  usageLimitPerCustomer: NullableInteger,
  usedCount: Type.Integer(),
  version: Type.Integer(),
});
const CouponBody = Type.Object({
  id: Uuid,
  promotionId: Uuid,
  code: Type.String(),
  status: Status,
  usageLimit: NullableInteger,
  usedCount: Type.Integer(),
  version: Type.Integer(),
});
const Limit = Type.Optional(
  Type.Union([Type.Integer({ minimum: 1, maximum: 2_000_000_000 }), Type.Null()]),
);
const OptionalMoment = Type.Optional(Type.Union([Moment, Type.Null()]));
const fields = {
  status: Type.Optional(Status),
  priority: Type.Optional(Type.Integer({ minimum: -1_000_000, maximum: 1_000_000 })),
  stacking: Type.Optional(Stacking),
  stackingGroup: Type.Optional(
    Type.Union([Type.String({ minLength: 1, maxLength: 100 }), Type.Null()]),
  ),
  conditions: Type.Optional(Conditions),
  startsAt: OptionalMoment,
  endsAt: OptionalMoment,
  usageLimit: Limit,
  usageLimitPerCustomer: Limit,
};
const Name = Type.String({ minLength: 1, maxLength: 200 });
const NewCouponBody = Type.Object({
  id: Type.Optional(CouponId),
  promotionId: PromotionId,
  code: Type.String({ minLength: 1, maxLength: 64 }),
  status: Type.Optional(Status),
  usageLimit: Limit,
});

/** The HTTP operations of promotions and coupons. */
export function promotionRoutes(promotions: Promotions): readonly Route[] {
  return [
    listRoute(promotions),
    createRoute(promotions),
    getRoute(promotions),
    updateRoute(promotions),
    listCouponsRoute(promotions),
    createCouponsRoute(promotions),
    getCouponRoute(promotions),
    updateCouponRoute(promotions),
  ];
}

function listRoute(promotions: Promotions): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/promotions",
    operationId: "listPromotions",
    summary: "List promotions, newest first",
    schemas: {
      query: Type.Object({
        status: Type.Optional(Status),
        trigger: Type.Optional(Trigger),
        ...pageFields,
      }),
      response: PageOf(PromotionBody),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query: { status, trigger, limit, cursor } }) {
      const page = await readPage(
        { ctx, list: "promotions by id desc", filter: { status, trigger }, limit, cursor },
        {
          read: (after, most) =>
            promotions.list(ctx.tenantId, {
              status,
              trigger,
              after: after?.[0] as string | undefined,
              limit: most,
            }),
          positionOf: ({ id }) => [id],
        },
      );
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(promotionBody) } });
    },
  });
}

function createRoute(promotions: Promotions): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/promotions",
    operationId: "createPromotion",
    summary: "Make a promotion",
    schemas: {
      body: Type.Object({
        id: Type.Optional(PromotionId),
        name: Name,
        trigger: Trigger,
        action: Action,
        ...fields,
      }),
      response: PromotionBody,
    },
    failures: ["promotions.id_taken", "promotions.invalid"],
    async handle({ ctx, body }) {
      const made = await promotions.create(ctx, withDates(body));
      return made.ok ? ok({ ...reply(made.value), status: 201 }) : made;
    },
  });
}

function getRoute(promotions: Promotions): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/promotions/{id}",
    operationId: "getPromotion",
    summary: "Show a promotion",
    schemas: { params: Params, response: PromotionBody },
    failures: ["promotions.not_found"],
    async handle({ ctx, params }) {
      const found = await promotions.find(ctx.tenantId, params.id);
      if (!found) return fail({ code: "promotions.not_found", promotionId: params.id });
      return ok(reply(found));
    },
  });
}

function updateRoute(promotions: Promotions): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/promotions/{id}",
    operationId: "updatePromotion",
    summary: "Change a promotion",
    schemas: {
      params: Params,
      body: Type.Object({
        name: Type.Optional(Name),
        action: Type.Optional(Action),
        ...fields,
      }),
      response: PromotionBody,
    },
    failures: ["promotions.not_found", "promotions.stale", "promotions.invalid"],
    async handle({ ctx, params, body, ifMatch }) {
      const target = { id: params.id, expectedVersion: ifMatch };
      const changed = await promotions.update(ctx, target, withDates(body));
      return changed.ok ? ok(reply(changed.value)) : changed;
    },
  });
}

function listCouponsRoute(promotions: Promotions): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/coupons",
    operationId: "listCoupons",
    summary: "List coupons, newest first",
    schemas: {
      query: Type.Object({
        promotionId: Type.Optional(Uuid),
        code: Type.Optional(Type.String({ maxLength: 64 })),
        ...pageFields,
      }),
      response: PageOf(CouponBody),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query: { promotionId, code, limit, cursor } }) {
      const page = await readPage(
        { ctx, list: "coupons by id desc", filter: { promotionId, code }, limit, cursor },
        {
          read: (after, most) =>
            promotions.listCoupons(ctx.tenantId, {
              promotionId,
              code: code?.trim().toUpperCase(),
              after: after?.[0] as string | undefined,
              limit: most,
            }),
          positionOf: ({ id }) => [id],
        },
      );
      return page.ok ? ok({ body: page.value }) : page;
    },
  });
}

function createCouponsRoute(promotions: Promotions): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/coupons",
    operationId: "createCoupons",
    summary: "Make coupons, all of them or none",
    schemas: {
      body: Type.Object({
        coupons: Type.Array(NewCouponBody, { minItems: 1, maxItems: couponsPerCallMax }),
      }),
      response: Type.Object({ items: Type.Array(CouponBody) }),
    },
    failures: [
      "promotions.not_found",
      "promotions.code_taken",
      "promotions.id_taken",
      "promotions.invalid",
    ],
    async handle({ ctx, body }) {
      const made = await promotions.createCoupons(ctx, body.coupons);
      return made.ok ? ok({ status: 201, body: { items: made.value } }) : made;
    },
  });
}

function getCouponRoute(promotions: Promotions): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/coupons/{id}",
    operationId: "getCoupon",
    summary: "Show a coupon",
    schemas: { params: CouponParams, response: CouponBody },
    failures: ["promotions.coupon_not_found"],
    async handle({ ctx, params }) {
      const coupon = await promotions.findCoupon(ctx.tenantId, params.id);
      if (!coupon) return fail({ code: "promotions.coupon_not_found", coupon: params.id });
      return ok({ body: coupon, version: coupon.version });
    },
  });
}

function updateCouponRoute(promotions: Promotions): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/coupons/{id}",
    operationId: "updateCoupon",
    summary: "Change a coupon",
    schemas: {
      params: CouponParams,
      body: Type.Object({ status: Type.Optional(Status), usageLimit: Limit }),
      response: CouponBody,
    },
    failures: ["promotions.coupon_not_found", "promotions.stale", "promotions.invalid"],
    async handle({ ctx, params, body, ifMatch }) {
      const target = { id: params.id, expectedVersion: ifMatch };
      const changed = await promotions.updateCoupon(ctx, target, body);
      return changed.ok ? ok({ body: changed.value, version: changed.value.version }) : changed;
    },
  });
}

interface DateTexts {
  readonly startsAt?: string | null;
  readonly endsAt?: string | null;
}

function withDates<Body extends DateTexts>({ startsAt, endsAt, ...rest }: Body) {
  const dated = (text: string | null) => (text === null ? null : new Date(text));
  return {
    ...rest,
    ...(startsAt === undefined ? {} : { startsAt: dated(startsAt) }),
    ...(endsAt === undefined ? {} : { endsAt: dated(endsAt) }),
  };
}

function reply(promotion: Promotion): RouteReply {
  return { body: promotionBody(promotion), version: promotion.version };
}

function promotionBody(promotion: Promotion) {
  return {
    ...promotion,
    startsAt: promotion.startsAt?.toISOString() ?? null,
    endsAt: promotion.endsAt?.toISOString() ?? null,
  };
}
