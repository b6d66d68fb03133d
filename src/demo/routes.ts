import { Type } from "typebox";
import { ok } from "../kernel/result.ts";
import { type Route, route } from "../platform/http/route.ts";
import { testCards } from "../simulator/cards.ts";
import { drawPicture, pictureKinds } from "./pictures.ts";

/** Operations that the demo adds: its pictures, and how its shops can be paid. */
export function demoRoutes(simulatorUrl: string): readonly Route[] {
  return [pictureRoute(), paymentMethodsRoute(simulatorUrl)];
}

function pictureRoute(): Route {
  return route({
    method: "GET",
    path: "/v1/demo/pictures/{kind}/{seed}",
    operationId: "getDemoPicture",
    summary: "A drawn picture of a demo product, SVG",
    tag: "Demo",
    access: "public",
    schemas: {
      params: Type.Object({
        kind: Type.Union(pictureKinds.map((kind) => Type.Literal(kind))),
        seed: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
      }),
    },
    handle: async ({ params }) =>
      ok({
        stream: {
          contentType: "image/svg+xml",
          body: once(drawPicture(params.kind as (typeof pictureKinds)[number], params.seed)),
        },
        headers: { "cache-control": "public, max-age=86400, immutable" },
      }),
  });
}

function paymentMethodsRoute(simulatorUrl: string): Route {
  return route({
    method: "GET",
    path: "/v1/demo/payment-methods",
    operationId: "listDemoPaymentMethods",
    summary: "How a demo order can be paid",
    description: "Card numbers go to `tokeniseUrl` and nowhere else; the shop gets a token.",
    tag: "Demo",
    access: "public",
    schemas: { response: Type.Object({ items: Type.Array(Type.Unknown()) }) },
    handle: async () =>
      ok({
        body: {
          items: [
            {
              provider: "simulator",
              title: "Card",
              tokeniseUrl: `${simulatorUrl}/tokens`,
              testCards: testCards.map(({ number, says }) => ({ number, says })),
            },
            { provider: "manual", title: "Cash on delivery" },
          ],
        },
      }),
  });
}

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}
