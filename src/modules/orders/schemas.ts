import { type TSchema, Type } from "typebox";
import { pageSizeDefault } from "../../platform/http/shapes.ts";
import { orderBatchMax, orderLinesMax, orderStatuses } from "./contract.ts";
import { type ExportFormat, exportFormats } from "./export.ts";

const strict = { additionalProperties: false };

/** Null or a value of one JSON type; a type list serialises faster than a union. */
function nullable<Value>(schema: TSchema & { readonly type: string }) {
  return Type.Unsafe<Value | null>({ ...schema, type: [schema.type, "null"] });
}

/** One of some words. */
function oneOf<const Words extends readonly string[]>(words: Words) {
  return Type.Unsafe<Words[number]>(Type.Union(words.map((word) => Type.Literal(word))));
}

const Uuid = Type.String({
  pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  description: "UUID, lower case",
});
const Moment = Type.String({ format: "date-time" });
const Minor = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Version = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });
const Quantity = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const Status = oneOf(orderStatuses);
const Reason = Type.String({ minLength: 1, maxLength: 500 });
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

/** An amount. */
export const Money = Type.Object({
  amountMinor: Type.Integer(),
  currency: Type.String(),
});

/** Path of one order. */
export const OrderPath = Type.Object({ id: Uuid }, strict);

const Address = Type.Object(
  {
    name: Type.Optional(Text(200)),
    company: Type.Optional(Text(200)),
    line1: Type.Optional(Text(200)),
    line2: Type.Optional(Text(200)),
    city: Type.Optional(Text(200)),
    region: Type.Optional(Text(200)),
    postalCode: Type.Optional(Text(40)),
    countryCode: Type.Optional(Type.String({ pattern: "^[A-Z]{2}$" })),
    phone: Type.Optional(Text(40)),
  },
  strict,
);
const Metadata = Type.Record(Type.String({ maxLength: 100 }), Type.Unknown(), {
  maxProperties: 50,
});

/** A line of an order. */
export const LineBody = Type.Object({
  lineNo: Type.Integer(),
  variantId: nullable<string>(Type.String()),
  sku: Type.String(),
  title: Type.String(),
  quantity: Type.Integer(),
  unitPrice: Money,
  unitPriceExact: Type.Optional(Type.String()),
  discount: Money,
  tax: Money,
  total: Money,
  fulfilledQuantity: Type.Integer(),
  returnedQuantity: Type.Integer(),
  returned: Money,
});

const summaryFields = {
  id: Uuid,
  number: Type.Integer(),
  externalReference: nullable<string>(Type.String()),
  status: Status,
  version: Type.Integer(),
  subtotal: Money,
  discount: Money,
  shipping: Money,
  tax: Money,
  total: Money,
  refunded: Money,
  priceIncludesTax: Type.Boolean(),
  itemQuantity: Type.Integer(),
  customerId: nullable<string>(Type.String()),
  email: nullable<string>(Type.String()),
  placedAt: Moment,
  updatedAt: Moment,
};

/** A page of orders. */
export const OrderPageBody = Type.Object({
  items: Type.Array(Type.Object({ ...summaryFields, lines: Type.Optional(Type.Array(LineBody)) })),
  nextCursor: Type.Optional(Type.String()),
  page: Type.Optional(Type.Integer()),
  total: Type.Optional(Type.Integer()),
});

const FulfilmentBody = Type.Object({
  id: Uuid,
  carrier: nullable<string>(Type.String()),
  trackingCode: nullable<string>(Type.String()),
  trackingUrl: nullable<string>(Type.String()),
  lines: Type.Array(Type.Object({ lineNo: Type.Integer(), quantity: Type.Integer() })),
  createdAt: Moment,
});

/** A return as recorded. */
export const ReturnBody = Type.Object({
  id: Uuid,
  orderId: nullable<string>(Type.String()),
  refund: Money,
  reason: nullable<string>(Type.String()),
  externalReference: nullable<string>(Type.String()),
  lines: Type.Array(
    Type.Object({
      lineNo: Type.Integer(),
      orderLineNo: nullable<number>(Type.Integer()),
      variantId: nullable<string>(Type.String()),
      sku: Type.String(),
      quantity: Type.Integer(),
      refund: Money,
      restock: Type.Boolean(),
    }),
  ),
  createdAt: Moment,
});

/** A whole order. */
export const OrderBody = Type.Object({
  ...summaryFields,
  shippingAddress: nullable<object>(Address),
  billingAddress: nullable<object>(Address),
  shippingMethod: nullable<object>(
    Type.Object({ id: Type.Optional(Type.String()), name: Type.String(), price: Money }),
  ),
  couponCodes: Type.Array(Type.String()),
  metadata: Metadata,
  lines: Type.Array(LineBody),
  fulfilments: Type.Array(FulfilmentBody),
  returns: Type.Array(ReturnBody),
});

const filterFields = {
  status: Type.Optional(Status),
  customerId: Type.Optional(Uuid),
  email: Type.Optional(Text(320)),
  number: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  externalReference: Type.Optional(Text(200)),
  placedFrom: Type.Optional(Moment),
  placedBefore: Type.Optional(Moment),
};

const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: pageSizeDefault })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
};

/** Query of a list. */
export const ListQuery = Type.Object(
  {
    ...filterFields,
    ...pageFields,
    page: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: "instead of a cursor" }),
    ),
    withTotal: Type.Optional(Type.Boolean()),
    withLines: Type.Optional(Type.Boolean()),
  },
  strict,
);

/** Query of a customer's own history. */
export const HistoryQuery = Type.Object(
  { ...pageFields, withLines: Type.Optional(Type.Boolean()) },
  strict,
);

/** Query of an export. */
export const ExportQuery = Type.Object(
  {
    status: filterFields.status,
    customerId: filterFields.customerId,
    placedFrom: filterFields.placedFrom,
    placedBefore: filterFields.placedBefore,
    format: Type.Optional(Type.Unsafe<ExportFormat>({ ...oneOf(exportFormats), default: "csv" })),
  },
  strict,
);

/** An edit by hand. */
export const PatchBody = Type.Object(
  {
    email: Type.Optional(nullable<string>(Type.String({ minLength: 3, maxLength: 320 }))),
    shippingAddress: Type.Optional(nullable<Record<string, string>>(Address)),
    billingAddress: Type.Optional(nullable<Record<string, string>>(Address)),
    metadata: Type.Optional(Metadata),
  },
  { ...strict, minProperties: 1 },
);

/** Why an order is cancelled. */
export const CancelRequest = Type.Object({ reason: Type.Optional(Reason) }, strict);

/** A parcel. */
export const FulfilmentRequest = Type.Object(
  {
    id: Type.Optional(Uuid),
    carrier: Type.Optional(Text(100)),
    trackingCode: Type.Optional(Text(200)),
    trackingUrl: Type.Optional(Type.String({ pattern: "^https?://", maxLength: 1_000 })),
    lines: Type.Optional(
      Type.Array(
        Type.Object(
          { lineNo: Type.Integer({ minimum: 1, maximum: orderLinesMax }), quantity: Quantity },
          strict,
        ),
        { minItems: 1, maxItems: orderLinesMax },
      ),
    ),
  },
  strict,
);

/** Goods of an order that came back. */
export const ReturnRequest = Type.Object(
  {
    id: Type.Optional(Uuid),
    reason: Type.Optional(Reason),
    lines: Type.Array(
      Type.Object(
        {
          lineNo: Type.Integer({ minimum: 1, maximum: orderLinesMax }),
          quantity: Quantity,
          refundMinor: Type.Optional(Minor),
          restock: Type.Optional(Type.Boolean()),
        },
        strict,
      ),
      { minItems: 1, maxItems: orderLinesMax },
    ),
  },
  strict,
);

/** Steps that may be asked for by hand; money moves elsewhere. */
export const manualSteps = ["confirmed", "fulfilled", "completed", "cancelled"] as const;

/** A batch of changes. */
export const BatchRequest = Type.Object(
  {
    changes: Type.Array(
      Type.Object(
        {
          orderId: Uuid,
          to: oneOf(manualSteps),
          expectedVersion: Type.Optional(Version),
          reason: Type.Optional(Reason),
        },
        strict,
      ),
      { minItems: 1, maxItems: orderBatchMax },
    ),
  },
  strict,
);

/** How a batch runs. */
export const BatchQuery = Type.Object({ async: Type.Optional(Type.Boolean()) }, strict);

const Outcome = Type.Object({
  orderId: Uuid,
  ok: Type.Boolean(),
  status: Type.Optional(Status),
  version: Type.Optional(Type.Integer()),
  failure: Type.Optional(Type.Object({ code: Type.String() }, { additionalProperties: true })),
});

/** What became of a batch; with `async` where to follow it. */
export const BatchBody = Type.Object({
  results: Type.Optional(Type.Array(Outcome)),
  refused: Type.Optional(Type.Integer()),
  batchId: Type.Optional(Uuid),
  jobId: Type.Optional(Uuid),
  links: Type.Optional(Type.Object({ batch: Type.String(), job: Type.String() })),
});

/** A background batch. */
export const BatchStateBody = Type.Object({
  id: Uuid,
  total: Type.Integer(),
  done: Type.Integer(),
  refused: Type.Integer(),
  results: Type.Array(Outcome),
  createdAt: Moment,
  finishedAt: nullable<string>(Moment),
});

/** What happened to an order. */
export const TimelineBody = Type.Object({
  items: Type.Array(
    Type.Object({
      at: Moment,
      source: Type.String(),
      type: Type.String(),
      data: Type.Object({}, { additionalProperties: true }),
      requestId: nullable<string>(Type.String()),
      actor: nullable<object>(Type.Object({ kind: Type.String(), id: Type.String() })),
    }),
  ),
});
