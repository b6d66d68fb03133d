import { Type } from "typebox";
import { ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import type { VariantId } from "../catalog/contract.ts";
import { fewLeftMax } from "./contract.ts";
import type { Inventory } from "./index.ts";
import { shelfOf } from "./shelf.ts";

const oneId = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
/** Variants of one question; a page of products has about as many. */
const shelfMax = 100;

/** What storefronts may ask about stock. */
export function shelfRoute(inventory: Inventory): Route {
  return route({
    method: "GET",
    path: "/v1/availability",
    operationId: "getAvailability",
    summary: "Say whether variants can be had",
    description:
      `For storefronts: \`in_stock\`, \`few_left\` with how many when there are ${fewLeftMax} or fewer, ` +
      "`backorder`, or `sold_out`; over all active locations. A variant nobody knows is sold out.",
    tag: "Inventory",
    access: "publishable",
    permission: "inventory:read",
    schemas: {
      query: Type.Object(
        {
          variantIds: Type.String({
            description: `1 to ${shelfMax} ids of variants, separated by commas`,
            pattern: `^${oneId}(,${oneId}){0,${shelfMax - 1}}$`,
          }),
        },
        { additionalProperties: false },
      ),
      response: Type.Object({
        items: Type.Array(
          Type.Object({
            variantId: Type.String({ format: "uuid" }),
            state: Type.Union(
              (["in_stock", "few_left", "backorder", "sold_out"] as const).map((state) =>
                Type.Literal(state),
              ),
            ),
            left: Type.Optional(Type.Integer({ minimum: 1, maximum: fewLeftMax })),
          }),
        ),
      }),
    },
    async handle({ ctx, query }) {
      const ids = query.variantIds.split(",") as VariantId[];
      const items = (await inventory.availability(ctx.tenantId, ids)).map(shelfOf);
      return ok({ body: { items } });
    },
  });
}
