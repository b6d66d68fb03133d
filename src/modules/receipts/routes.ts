import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { findReceipt } from "./queries.ts";

/** The HTTP operation of receipts. */
export function receiptRoutes(db: Db): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/orders/{id}/receipt",
      operationId: "getReceipt",
      summary: "Read the receipt of a paid order, as a page",
      tag: "Orders",
      access: "secret",
      permission: "orders:read",
      schemas: { params: Type.Object({ id: Type.String({ format: "uuid" }) }) },
      failures: ["receipts.not_found"],
      async handle({ ctx, params }) {
        const document = await db.read(ctx.tenantId, (tx) => findReceipt(tx, params.id), {
          name: "receipts.find",
        });
        if (document === undefined) {
          return fail({ code: "receipts.not_found", orderId: params.id });
        }
        return ok({ stream: { contentType: "text/html; charset=utf-8", body: once(document) } });
      },
    }),
  ];
}

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}
