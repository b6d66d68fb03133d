import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { pageSizeDefault } from "../../platform/http/shapes.ts";
import { batchBody, orderBody, pageBody, returnBody, timelineBody } from "./bodies.ts";
import type { FulfilmentId, OrderChange, OrderId, ReturnId } from "./contract.ts";
import { exportContentTypes } from "./export.ts";
import type { Orders } from "./index.ts";
import type { OrderFilter } from "./queries.ts";
import {
  BatchBody,
  BatchQuery,
  BatchRequest,
  BatchStateBody,
  CancelRequest,
  ExportQuery,
  FulfilmentRequest,
  HistoryQuery,
  ListQuery,
  OrderBody,
  OrderPageBody,
  OrderPath,
  PatchBody,
  ReturnBody,
  ReturnRequest,
  TimelineBody,
} from "./schemas.ts";

const tag = "Orders";
const json = "application/json; charset=utf-8";
const read = { tag, access: "secret", permission: "orders:read" } as const;
const write = { tag, access: "secret", permission: "orders:write" } as const;
const stepFailures = [
  "orders.not_found",
  "orders.illegal_transition",
  "orders.stale_version",
] as const;

/** The HTTP operations of orders. Placing one is a process of its own: checkout. */
export function orderRoutes(orders: Orders): readonly Route[] {
  return [
    listRoute(orders),
    exportRoute(orders),
    batchRoute(orders),
    batchStateRoute(orders),
    getRoute(orders),
    patchRoute(orders),
    cancelRoute(orders),
    stepRoute(orders, "confirm", "confirmed"),
    stepRoute(orders, "complete", "completed"),
    fulfilmentRoute(orders),
    returnRoute(orders),
    timelineRoute(orders),
    historyRoute(orders),
    ownOrderRoute(orders),
  ];
}

/** Query parameters as a filter: times become dates, what is absent stays absent. */
function filterOf(
  query: {
    readonly [Field in keyof OrderFilter]?: OrderFilter[Field] | string | undefined;
  },
): OrderFilter {
  const { status, customerId, email, number, externalReference, placedFrom, placedBefore } = query;
  return Object.fromEntries(
    Object.entries({
      status,
      customerId,
      email,
      number,
      externalReference,
      placedFrom: placedFrom === undefined ? undefined : new Date(placedFrom),
      placedBefore: placedBefore === undefined ? undefined : new Date(placedBefore),
    }).filter(([, value]) => value !== undefined),
  ) as OrderFilter;
}

function listRoute(orders: Orders): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/orders",
    operationId: "listOrders",
    summary: "List orders, newest first",
    description:
      "Pages by cursor cost the same at any depth. `page` and `withTotal` are there for tables of " +
      "people and cost a walk over what they skip or count.",
    schemas: { query: ListQuery, response: OrderPageBody },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const { limit = pageSizeDefault, cursor, page, withTotal, withLines } = query;
      const filter = filterOf(query);
      const wanted = { filter, limit, cursor, page, withTotal };
      if (withLines) {
        const found = await orders.list(ctx, { ...wanted, withLines });
        return found.ok ? ok({ body: pageBody(found.value) }) : found;
      }
      const text = await orders.listAsJson(ctx, wanted);
      return text.ok ? ok({ headers: { "content-type": json }, body: text.value }) : text;
    },
  });
}

function exportRoute(orders: Orders): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/orders/export",
    operationId: "exportOrders",
    isExport: true,
    summary: "Stream orders as CSV or JSON lines, oldest first",
    description:
      "Every order placed before the request, as it is when its part of the stream is read.",
    schemas: { query: ExportQuery },
    async handle({ ctx, query }) {
      const { format = "csv" } = query;
      const body = orders.export(ctx, filterOf(query), format);
      return ok({
        stream: { contentType: exportContentTypes[format], body },
        headers: { "content-disposition": `attachment; filename="orders.${format}"` },
      });
    },
  });
}

function batchRoute(orders: Orders): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/orders/batch",
    operationId: "changeOrders",
    summary: "Change up to 10,000 orders at once",
    description:
      "Each change is accepted or refused for itself; `results` has one entry per change, in " +
      "order. With `async=true` a background job applies them: follow its progress at the links.",
    bodyBytesMax: 4 * 1024 * 1024,
    schemas: { query: BatchQuery, body: BatchRequest, response: BatchBody },
    async handle({ ctx, query, body }) {
      const changes = body.changes.map((change): OrderChange => {
        return { ...change, orderId: change.orderId as OrderId };
      });
      if (query.async !== true) {
        const outcome = await orders.applyChanges(ctx, changes);
        return outcome.ok ? ok({ body: outcome.value }) : outcome;
      }
      const begun = await orders.applyChangesLater(ctx, changes);
      if (!begun.ok) return begun;
      const { batchId, jobId } = begun.value;
      const links = { batch: `/v1/orders/batches/${batchId}`, job: `/v1/jobs/${jobId}` };
      const headers = { location: links.batch };
      return ok({ status: 202, headers, body: { batchId, jobId, links } });
    },
  });
}

function batchStateRoute(orders: Orders): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/orders/batches/{id}",
    operationId: "getOrderBatch",
    summary: "See how far a background batch is, and its results so far",
    schemas: { params: OrderPath, response: BatchStateBody },
    failures: ["orders.batch_not_found"],
    async handle({ ctx, params }) {
      const batch = await orders.getBatch(ctx, params.id);
      return batch.ok ? ok({ body: batchBody(batch.value) }) : batch;
    },
  });
}

function getRoute(orders: Orders): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/orders/{id}",
    operationId: "getOrder",
    summary: "Get an order with its lines, fulfilments and returns",
    schemas: { params: OrderPath, response: OrderBody },
    failures: ["orders.not_found"],
    async handle({ ctx, params }) {
      const found = await orders.get(ctx, params.id as OrderId);
      if (!found.ok) return found;
      return ok({ body: orderBody(found.value), version: found.value.order.version });
    },
  });
}

function patchRoute(orders: Orders): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/orders/{id}",
    operationId: "editOrder",
    summary: "Edit an order's addresses, email or metadata",
    description:
      'Send the version you have seen as `If-Match: "<version>"`: 412 when the order has changed ' +
      "since, 409 when the order is too far along for the edit.",
    ifMatch: "required",
    schemas: { params: OrderPath, body: PatchBody, response: OrderBody },
    failures: ["orders.not_found", "orders.stale_version", "orders.not_editable"],
    async handle({ ctx, params, body, ifMatch }) {
      const orderId = params.id as OrderId;
      const edited = await orders.edit(ctx, { orderId, patch: body, ifMatch });
      if (!edited.ok) return edited;
      return ok({ body: orderBody(edited.value), version: edited.value.order.version });
    },
  });
}

function cancelRoute(orders: Orders): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/orders/{id}/cancel",
    operationId: "cancelOrder",
    summary: "Cancel an order that is not paid",
    description: "Stock and promotions are given back. A paid order is refunded instead.",
    schemas: { params: OrderPath, body: CancelRequest, response: OrderBody },
    failures: stepFailures,
    async handle({ ctx, params, body, ifMatch }) {
      const orderId = params.id as OrderId;
      const moved = await orders.step(ctx, { ...body, orderId, to: "cancelled", ifMatch });
      if (!moved.ok) return moved;
      return ok({ body: orderBody(moved.value), version: moved.value.order.version });
    },
  });
}

function stepRoute(
  orders: Orders,
  verb: "confirm" | "complete",
  to: "confirmed" | "completed",
): Route {
  return route({
    ...write,
    method: "POST",
    path: `/v1/orders/{id}/${verb}`,
    operationId: `${verb}Order`,
    summary: `Make an order ${to}`,
    schemas: { params: OrderPath, response: OrderBody },
    failures: stepFailures,
    async handle({ ctx, params, ifMatch }) {
      const orderId = params.id as OrderId;
      const moved = await orders.step(ctx, { orderId, to, ifMatch });
      if (!moved.ok) return moved;
      return ok({ body: orderBody(moved.value), version: moved.value.order.version });
    },
  });
}

function fulfilmentRoute(orders: Orders): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/orders/{id}/fulfilments",
    operationId: "fulfilOrder",
    summary: "Record a parcel, of some units or of everything that is open",
    schemas: { params: OrderPath, body: FulfilmentRequest, response: OrderBody },
    failures: [
      ...stepFailures,
      "orders.unknown_line",
      "orders.too_many_units",
      "orders.nothing_to_do",
      "orders.duplicate_id",
    ],
    async handle({ ctx, params, body, ifMatch }) {
      const id = (body.id ?? newId()) as FulfilmentId;
      const orderId = params.id as OrderId;
      const done = await orders.fulfil(ctx, { ...body, id, orderId, ifMatch });
      if (!done.ok) return done;
      const { version } = done.value.order;
      return ok({ status: 201, body: orderBody(done.value), version });
    },
  });
}

function returnRoute(orders: Orders): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/orders/{id}/returns",
    operationId: "returnGoods",
    summary: "Record goods that came back",
    description: "Says what is given back for them; the money moves when it is refunded.",
    schemas: { params: OrderPath, body: ReturnRequest, response: ReturnBody },
    failures: [
      ...stepFailures,
      "orders.version_conflict",
      "orders.unknown_line",
      "orders.too_many_units",
      "orders.nothing_to_do",
      "orders.refund_exceeds_total",
      "orders.duplicate_id",
    ],
    async handle({ ctx, params, body, ifMatch }) {
      const id = (body.id ?? newId()) as ReturnId;
      const orderId = params.id as OrderId;
      const expected = ifMatch === undefined ? {} : { expectedVersion: ifMatch };
      const made = await orders.returnGoods(ctx, { ...body, ...expected, id, orderId });
      return made.ok ? ok({ status: 201, body: returnBody(made.value) }) : made;
    },
  });
}

function timelineRoute(orders: Orders): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/orders/{id}/timeline",
    operationId: "getOrderTimeline",
    summary: "See everything that happened to an order, in order of time",
    schemas: { params: OrderPath, response: TimelineBody },
    failures: ["orders.not_found"],
    async handle({ ctx, params }) {
      const entries = await orders.timeline(ctx, params.id as OrderId);
      return entries.ok ? ok({ body: timelineBody(entries.value) }) : entries;
    },
  });
}

function historyRoute(orders: Orders): Route {
  return route({
    tag,
    access: "publishable",
    method: "GET",
    path: "/v1/me/orders",
    operationId: "listMyOrders",
    summary: "List the signed-in customer's orders, newest first",
    schemas: { query: HistoryQuery, response: OrderPageBody },
    failures: ["orders.not_a_customer", "request.bad_cursor"],
    async handle({ ctx, query }) {
      if (ctx.actor.kind !== "customer") return fail({ code: "orders.not_a_customer" });
      const filter = { customerId: ctx.actor.id };
      const { limit = pageSizeDefault } = query;
      const found = await orders.list(ctx, { ...query, limit, filter });
      return found.ok ? ok({ body: pageBody(found.value) }) : found;
    },
  });
}

function ownOrderRoute(orders: Orders): Route {
  return route({
    tag,
    access: "publishable",
    method: "GET",
    path: "/v1/me/orders/{id}",
    operationId: "getMyOrder",
    summary: "Get one of the signed-in customer's orders",
    schemas: { params: OrderPath, response: OrderBody },
    failures: ["orders.not_a_customer", "orders.not_found"],
    async handle({ ctx, params }) {
      if (ctx.actor.kind !== "customer") return fail({ code: "orders.not_a_customer" });
      const found = await orders.get(ctx, params.id as OrderId);
      if (!found.ok) return found;
      const { order } = found.value;
      // Another customer's order is as unknown as one that does not exist.
      if (order.customerId !== ctx.actor.id) {
        return fail({ code: "orders.not_found", orderId: params.id });
      }
      return ok({ body: orderBody(found.value), version: order.version });
    },
  });
}
