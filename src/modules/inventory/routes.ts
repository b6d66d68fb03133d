import { Type } from "typebox";
import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import type { VariantId } from "../catalog/contract.ts";
import {
  adjustmentReasons,
  backorderUnlimited,
  type Location,
  type LocationId,
  linesMax,
  type Movement,
  quantityMax,
  type Reservation,
  type ReservationId,
  type StockCommandId,
  ttlMsMax,
} from "./contract.ts";
import type { Inventory } from "./index.ts";
import { shelfRoute } from "./shelf-routes.ts";

const tag = "Inventory";
const strict = { additionalProperties: false };
// PostgreSQL answers in lower case: an id in upper case would never be found again.
const Uuid = Type.String({ format: "uuid", pattern: "^[0-9a-f-]+$" });
const Units = Type.Integer();
const Quantity = Type.Integer({ minimum: 1, maximum: quantityMax });
const Change = Type.Integer({ minimum: -quantityMax, maximum: quantityMax });
const Reference = Type.String({ minLength: 1, maxLength: 200 });
const Id = Type.Object({ id: Uuid });
/** Items of a page when the caller does not say. */
const limitDefault = 20;
const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
};

const LocationBody = Type.Object({
  id: Uuid,
  code: Type.String(),
  name: Type.String(),
  priority: Units,
  active: Type.Boolean(),
});
const StockBody = Type.Object({
  variantId: Uuid,
  locationId: Uuid,
  onHand: Units,
  reserved: Units,
  available: Units,
  backorderLimit: Units,
  lowAt: Type.Optional(Units),
  version: Units,
});
const ReservationBody = Type.Object({
  id: Uuid,
  reference: Type.Optional(Type.String()),
  state: Type.String(),
  expiresAt: Type.Optional(Type.String({ format: "date-time" })),
  allocations: Type.Array(Type.Object({ variantId: Uuid, locationId: Uuid, quantity: Units })),
});
const SettlementBody = Type.Object({ id: Uuid, state: Type.String(), repeated: Type.Boolean() });
const MovementBody = Type.Object({
  id: Uuid,
  variantId: Uuid,
  locationId: Uuid,
  quantity: Units,
  reason: Type.String(),
  reference: Type.Optional(Type.String()),
  recordedAt: Type.String({ format: "date-time" }),
});
const pageOf = <S extends Type.TSchema>(item: S) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });

/** The HTTP operations of inventory. */
export function inventoryRoutes(inventory: Inventory): readonly Route[] {
  return [
    ...locationRoutes(inventory),
    listStockRoute(inventory),
    shelfRoute(inventory),
    setStockRoute(inventory),
    adjustRoute(inventory),
    transferRoute(inventory),
    movementsRoute(inventory),
    reserveRoute(inventory),
    findReservationRoute(inventory),
    ...settleRoutes(inventory),
  ];
}

function locationRoutes(inventory: Inventory): readonly Route[] {
  const list = route({
    method: "GET",
    path: "/v1/locations",
    operationId: "listLocations",
    summary: "List the places that hold stock, first asked first",
    tag,
    access: "secret",
    permission: "inventory:read",
    schemas: { response: Type.Object({ items: Type.Array(LocationBody) }) },
    handle: async ({ ctx }) => ok({ body: { items: await inventory.listLocations(ctx.tenantId) } }),
  });
  const create = route({
    method: "POST",
    path: "/v1/locations",
    operationId: "createLocation",
    summary: "Add a place that holds stock",
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: {
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          code: Type.String({ pattern: "^[a-z0-9][a-z0-9_-]{0,39}$" }),
          name: Type.String({ minLength: 1, maxLength: 200 }),
          priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, default: 100 })),
        },
        strict,
      ),
      response: LocationBody,
    },
    failures: ["inventory.location_taken"],
    async handle({ ctx, body }) {
      const id = (body.id ?? newId()) as LocationId;
      const { code, name, priority = 100 } = body;
      const location: Location = { id, code, name, priority, active: true };
      const made = await inventory.createLocation(ctx, location);
      return made.ok ? ok({ status: 201, body: made.value }) : made;
    },
  });
  return [list, create];
}

function listStockRoute(inventory: Inventory): Route {
  return route({
    method: "GET",
    path: "/v1/stock",
    operationId: "listStock",
    summary: "List stock by variant and location",
    tag,
    access: "secret",
    permission: "inventory:read",
    schemas: {
      query: Type.Object(
        {
          variantId: Type.Optional(Uuid),
          locationId: Type.Optional(Uuid),
          low: Type.Optional(Type.Boolean()),
          ...pageFields,
        },
        strict,
      ),
      response: pageOf(StockBody),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const { variantId, locationId, limit = limitDefault, ...rest } = query;
      const page = await inventory.listStock(ctx.tenantId, {
        ...rest,
        limit,
        variantIds: variantId === undefined ? undefined : [variantId as VariantId],
        locationId: locationId as LocationId | undefined,
      });
      return page.ok ? ok({ body: page.value }) : page;
    },
  });
}

const stockFailures = [
  "inventory.invalid_lines",
  "inventory.location_not_found",
  "inventory.insufficient_stock",
];

function setStockRoute(inventory: Inventory): Route {
  return route({
    method: "PUT",
    path: "/v1/stock",
    operationId: "setStock",
    summary: "Set counted stock, backorder limits and low-stock marks in bulk",
    description: "A count that differs from the books is recorded as a movement. All or nothing.",
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: {
      body: Type.Object(
        {
          items: Type.Array(
            Type.Object(
              {
                variantId: Uuid,
                locationId: Uuid,
                onHand: Type.Optional(Type.Integer({ minimum: 0, maximum: quantityMax })),
                backorderLimit: Type.Optional(
                  Type.Integer({ minimum: 0, maximum: backorderUnlimited }),
                ),
                lowAt: Type.Optional(
                  Type.Union([Type.Integer({ minimum: 0, maximum: quantityMax }), Type.Null()]),
                ),
              },
              strict,
            ),
            { minItems: 1, maxItems: 10_000 },
          ),
        },
        strict,
      ),
      response: Type.Object({ changed: Units }),
    },
    failures: stockFailures,
    bodyBytesMax: 4 * 1024 * 1024,
    async handle({ ctx, body }) {
      const items = body.items.map((item) => ({
        ...item,
        variantId: item.variantId as VariantId,
        locationId: item.locationId as LocationId,
      }));
      const set = await inventory.setStock(ctx, items);
      return set.ok ? ok({ body: set.value }) : set;
    },
  });
}

function adjustRoute(inventory: Inventory): Route {
  return route({
    method: "POST",
    path: "/v1/stock/adjustments",
    operationId: "adjustStock",
    summary: "Change stock by hand, with a reason",
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: {
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          reason: Type.Union(adjustmentReasons.map((reason) => Type.Literal(reason))),
          reference: Type.Optional(Reference),
          lines: Type.Array(
            Type.Object({ variantId: Uuid, locationId: Uuid, quantity: Change }, strict),
            { minItems: 1, maxItems: linesMax },
          ),
        },
        strict,
      ),
      response: Id,
    },
    failures: [...stockFailures, "inventory.command_differs"],
    async handle({ ctx, body }) {
      const adjusted = await inventory.adjust(ctx, {
        ...body,
        id: (body.id ?? newId()) as StockCommandId,
        lines: body.lines.map((line) => ({
          variantId: line.variantId as VariantId,
          locationId: line.locationId as LocationId,
          quantity: line.quantity,
        })),
      });
      return adjusted.ok ? ok({ status: 201, body: adjusted.value }) : adjusted;
    },
  });
}

function transferRoute(inventory: Inventory): Route {
  return route({
    method: "POST",
    path: "/v1/stock/transfers",
    operationId: "transferStock",
    summary: "Move stock between two locations",
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: {
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          from: Uuid,
          to: Uuid,
          reference: Type.Optional(Reference),
          lines: Type.Array(Type.Object({ variantId: Uuid, quantity: Quantity }, strict), {
            minItems: 1,
            maxItems: linesMax,
          }),
        },
        strict,
      ),
      response: Id,
    },
    failures: [...stockFailures, "inventory.command_differs"],
    async handle({ ctx, body }) {
      const moved = await inventory.transfer(ctx, {
        ...body,
        id: (body.id ?? newId()) as StockCommandId,
        from: body.from as LocationId,
        to: body.to as LocationId,
        lines: body.lines.map((line) => ({ ...line, variantId: line.variantId as VariantId })),
      });
      return moved.ok ? ok({ status: 201, body: moved.value }) : moved;
    },
  });
}

function movementsRoute(inventory: Inventory): Route {
  return route({
    method: "GET",
    path: "/v1/stock/movements",
    operationId: "listStockMovements",
    summary: "List why stock changed, newest first",
    tag,
    access: "secret",
    permission: "inventory:read",
    schemas: {
      query: Type.Object(
        { variantId: Type.Optional(Uuid), locationId: Type.Optional(Uuid), ...pageFields },
        strict,
      ),
      response: pageOf(MovementBody),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const { variantId, locationId, limit = limitDefault, ...rest } = query;
      const page = await inventory.listMovements(ctx.tenantId, {
        ...rest,
        limit,
        variantId: variantId as VariantId | undefined,
        locationId: locationId as LocationId | undefined,
      });
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(movementBody) } });
    },
  });
}

function reserveRoute(inventory: Inventory): Route {
  return route({
    method: "POST",
    path: "/v1/reservations",
    operationId: "reserveStock",
    summary: "Reserve units of one or more variants, all or nothing",
    description:
      "Strategies: `atomic` (default), `optimistic` (may answer inventory.conflict), `pessimistic`, " +
      "`flash` (concurrent callers of one SKU share a transaction).",
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: {
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          reference: Type.Optional(Reference),
          lines: Type.Array(
            Type.Object(
              { variantId: Uuid, quantity: Quantity, locationId: Type.Optional(Uuid) },
              strict,
            ),
            { minItems: 1, maxItems: linesMax },
          ),
          ttlMs: Type.Optional(Type.Integer({ minimum: 1, maximum: ttlMsMax })),
          strategy: Type.Optional(
            Type.Union(
              (["atomic", "optimistic", "pessimistic", "flash"] as const).map((name) =>
                Type.Literal(name),
              ),
            ),
          ),
        },
        strict,
      ),
      response: ReservationBody,
    },
    failures: [
      "inventory.out_of_stock",
      "inventory.invalid_lines",
      "inventory.reservation_differs",
      "inventory.reservation_closed",
      "inventory.conflict",
    ],
    async handle({ ctx, body }) {
      const { strategy, ...wish } = body;
      const request = {
        ...wish,
        id: (body.id ?? newId()) as ReservationId,
        lines: body.lines.map(({ variantId, quantity, locationId }) => ({
          variantId: variantId as VariantId,
          quantity,
          ...(locationId === undefined ? {} : { locationId: locationId as LocationId }),
        })),
      };
      const reserved = await inventory.reserve(ctx, request, strategy);
      return reserved.ok ? ok({ status: 201, body: reservationBody(reserved.value) }) : reserved;
    },
  });
}

function findReservationRoute(inventory: Inventory): Route {
  return route({
    method: "GET",
    path: "/v1/reservations/{id}",
    operationId: "getReservation",
    summary: "Show a reservation",
    tag,
    access: "secret",
    permission: "inventory:read",
    schemas: { params: Id, response: ReservationBody },
    failures: ["inventory.reservation_not_found"],
    async handle({ ctx, params }) {
      const id = params.id as ReservationId;
      const reservation = await inventory.findReservation(ctx.tenantId, id);
      if (!reservation) return fail({ code: "inventory.reservation_not_found", id });
      return ok({ body: reservationBody(reservation) });
    },
  });
}

function settleRoutes(inventory: Inventory): readonly Route[] {
  const shared = {
    tag,
    access: "secret",
    permission: "inventory:write",
    schemas: { params: Id, response: SettlementBody },
    failures: ["inventory.reservation_not_found", "inventory.reservation_closed"],
  } as const;
  const release = route({
    ...shared,
    method: "DELETE",
    path: "/v1/reservations/{id}",
    operationId: "releaseReservation",
    summary: "Give reserved units back",
    async handle({ ctx, params }) {
      const released = await inventory.releaseReservation(ctx, params.id as ReservationId);
      return released.ok ? ok({ body: released.value }) : released;
    },
  });
  const commit = route({
    ...shared,
    method: "POST",
    path: "/v1/reservations/{id}/commit",
    operationId: "commitReservation",
    summary: "Turn a reservation into a sale",
    async handle({ ctx, params }) {
      const committed = await inventory.commitReservation(ctx, params.id as ReservationId);
      return committed.ok ? ok({ body: committed.value }) : committed;
    },
  });
  return [release, commit];
}

function reservationBody({ expiresAt, ...reservation }: Reservation) {
  return { ...reservation, ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) };
}

function movementBody({ recordedAt, ...movement }: Movement) {
  return { ...movement, recordedAt: recordedAt.toISOString() };
}
