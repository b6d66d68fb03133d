import type { Id } from "../../kernel/ids.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

/** Names an order: a UUIDv7 whose time is the moment the order was placed (see `orderIdSkewMaxMs`). */
export type OrderId = Id<"order">;
/** Names a fulfilment: one parcel, or one handing over. */
export type FulfilmentId = Id<"fulfilment">;
/** Names a return of goods. */
export type ReturnId = Id<"return">;
/** Names a batch of changes that runs as a background job. */
export type OrderBatchId = Id<"order_batch">;

/** Where an order can stand, in the order it usually goes through. */
export const orderStatuses = [
  "pending",
  "confirmed",
  "paid",
  "fulfilled",
  "completed",
  "cancelled",
  "refunded",
] as const;

/** Where an order stands. */
export type OrderStatus = (typeof orderStatuses)[number];

/** Statuses a new order may begin in; `paid` is for imports, where the money has moved already. */
export type InitialOrderStatus = "pending" | "confirmed" | "paid";

/** Most lines one order may have. */
export const orderLinesMax = 2_000;
/** Most lines that `orders.order_placed` carries: an event has an upper size. */
export const placedLinesMax = 1_000;
/** Most changes one batch may ask for. */
export const orderBatchMax = 10_000;
/** Farthest an order's id may be from its `placedAt`, milliseconds: time filters become id ranges. */
export const orderIdSkewMaxMs = 60 * 60 * 1_000;

/** Something of a batch together with who asked for it: its events carry their own origin. */
export interface Asked<Item> {
  readonly origin: EventOrigin;
  readonly item: Item;
}

/** A postal address as it was when the order was placed. */
export interface OrderAddress {
  readonly name?: string | undefined;
  readonly company?: string | undefined;
  readonly line1?: string | undefined;
  readonly line2?: string | undefined;
  readonly city?: string | undefined;
  readonly region?: string | undefined;
  readonly postalCode?: string | undefined;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countryCode?: string | undefined;
  readonly phone?: string | undefined;
}

/** The shipping method as it was when the order was placed. */
export interface OrderShippingMethod {
  readonly id?: string | undefined;
  readonly name: string;
  readonly priceMinor: number;
}

/**
 * What an order comes to, in minor units of its currency, each 0 or more:
 * `total = subtotal - discount + shipping (+ tax, unless prices include it)`.
 */
export interface OrderTotals {
  /** Sum of quantity times unit price, before discounts. */
  readonly subtotalMinor: number;
  readonly discountMinor: number;
  readonly shippingMinor: number;
  /** All tax, shipping's included. */
  readonly taxMinor: number;
  readonly totalMinor: number;
}

/** One line to be written with a new order; amounts in minor units of the order's currency. */
export interface NewOrderLine {
  /** Null for a charge that is no product. */
  readonly variantId: string | null;
  readonly sku: string;
  readonly title: string;
  /** 1 or more. */
  readonly quantity: number;
  readonly unitPriceMinor: number;
  /** Decimal in major units, where the source has more decimals than the currency: `0.425`. */
  readonly unitPriceExact?: string;
  readonly discountMinor: number;
  readonly taxMinor: number;
  /** What the customer pays for the line. */
  readonly totalMinor: number;
}

/** An order to be written; priced, taxed and numbered already. */
export interface NewOrder {
  readonly id: OrderId;
  /** From `OrderNumbers.take`. */
  readonly number: number;
  /** Default: pending. */
  readonly status?: InitialOrderStatus;
  readonly currency: string;
  readonly totals: OrderTotals;
  readonly priceIncludesTax: boolean;
  readonly customerId?: string | null;
  readonly email?: string | null;
  /** The number the order had where it was imported from. */
  readonly externalReference?: string | null;
  readonly shippingAddress?: OrderAddress | null;
  readonly billingAddress?: OrderAddress | null;
  readonly shippingMethod?: OrderShippingMethod | null;
  readonly couponCodes?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly placedAt: Date;
  /** 1 to {@link orderLinesMax}; numbered from 1 in this order. */
  readonly lines: readonly NewOrderLine[];
}

/** The part of an order that decisions are taken on; read under its row lock. */
export interface OrderState {
  readonly id: OrderId;
  readonly number: number;
  readonly status: OrderStatus;
  readonly version: number;
  readonly currency: string;
  readonly totalMinor: number;
  readonly refundedMinor: number;
  readonly customerId: string | null;
}

/** One line of an order, with what became of it. */
export interface OrderLine extends NewOrderLine {
  readonly lineNo: number;
  readonly fulfilledQuantity: number;
  readonly returnedQuantity: number;
  /** What was given back for the returned units. */
  readonly returnedMinor: number;
}

/** An order without its lines, as lists show it. */
export interface OrderSummary extends OrderState {
  readonly totals: OrderTotals;
  readonly priceIncludesTax: boolean;
  /** Units over all lines. */
  readonly itemQuantity: number;
  readonly email: string | null;
  readonly externalReference: string | null;
  readonly placedAt: Date;
  readonly updatedAt: Date;
}

/** A whole order. */
export interface Order extends OrderSummary {
  readonly shippingAddress: OrderAddress | null;
  readonly billingAddress: OrderAddress | null;
  readonly shippingMethod: OrderShippingMethod | null;
  readonly couponCodes: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly lines: readonly OrderLine[];
}

/** A fulfilment to be written. */
export interface NewFulfilment {
  readonly id: FulfilmentId;
  readonly orderId: OrderId;
  readonly carrier?: string;
  readonly trackingCode?: string;
  readonly trackingUrl?: string;
  /** Units per line; left out: everything that is still open. */
  readonly lines?: readonly LineQuantity[];
  readonly expectedVersion?: number;
  /** When it happened; default: now, by the database's clock. */
  readonly createdAt?: Date;
}

/** Some units of an order's line. */
export interface LineQuantity {
  readonly lineNo: number;
  /** 1 or more. */
  readonly quantity: number;
}

/** A fulfilment as recorded. */
export interface Fulfilment {
  readonly id: FulfilmentId;
  readonly orderId: OrderId;
  readonly carrier: string | null;
  readonly trackingCode: string | null;
  readonly trackingUrl: string | null;
  readonly lines: readonly LineQuantity[];
  readonly createdAt: Date;
}

/** Units that come back against a line of the order. */
export interface NewReturnLine {
  readonly lineNo: number;
  readonly quantity: number;
  /** What is given back for them; default: the line's total in proportion, never more in sum. */
  readonly refundMinor?: number;
  /** Whether they go back on the shelf; default true. */
  readonly restock?: boolean;
}

/** Units that come back without a receipt. */
export interface NewReturnLineWithoutReceipt {
  readonly variantId: string | null;
  readonly sku: string;
  readonly quantity: number;
  readonly refundMinor: number;
  readonly restock?: boolean;
}

/** A return to be written: of an order's lines, or without a receipt. */
export type NewReturn = {
  readonly id: ReturnId;
  readonly reason?: string;
  readonly externalReference?: string;
  /** Default: now. */
  readonly createdAt?: Date;
} & (
  | {
      readonly orderId: OrderId;
      readonly lines: readonly NewReturnLine[];
      readonly expectedVersion?: number;
    }
  | {
      readonly orderId: null;
      readonly currency: string;
      /** Who brought them, where that is known. */
      readonly customerId?: string | null;
      readonly lines: readonly NewReturnLineWithoutReceipt[];
    }
);

/** One line of a recorded return. */
export interface ReturnLine {
  readonly lineNo: number;
  readonly orderLineNo: number | null;
  readonly variantId: string | null;
  readonly sku: string;
  readonly quantity: number;
  readonly refundMinor: number;
  readonly restock: boolean;
}

/** A return as recorded. */
export interface OrderReturn {
  readonly id: ReturnId;
  readonly orderId: OrderId | null;
  /** Who brought them; null where nobody knows. */
  readonly customerId: string | null;
  readonly currency: string;
  readonly refundMinor: number;
  readonly reason: string | null;
  readonly externalReference: string | null;
  readonly lines: readonly ReturnLine[];
  readonly createdAt: Date;
}

/** Asks for one step of the state machine. */
export interface OrderChange {
  readonly orderId: OrderId;
  readonly to: OrderStatus;
  /** Refuses with `orders.version_conflict` when the order has another version. */
  readonly expectedVersion?: number;
  readonly reason?: string;
  /** When it happened; default: now, by the database's clock. Imports set it. */
  readonly at?: Date;
}

/** Records that money went back; the order becomes refunded when all of it has. */
export interface OrderRefund {
  readonly orderId: OrderId;
  /** More than 0, in the order's currency. */
  readonly amountMinor: number;
  readonly reason?: string;
  /** When it happened; default: now, by the database's clock. */
  readonly at?: Date;
}

/** What may be edited by hand; a field left out stays as it is. */
export interface OrderPatch {
  readonly email?: string | null;
  readonly shippingAddress?: OrderAddress | null;
  readonly billingAddress?: OrderAddress | null;
  /** Replaces the whole object. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface Refusal<Code extends string> {
  readonly code: Code;
  readonly orderId: string;
}

/** There is no such order in this tenant. */
export type OrderNotFound = Refusal<"orders.not_found">;

/** The state machine has no such step. */
export interface IllegalTransition extends Refusal<"orders.illegal_transition"> {
  readonly from: OrderStatus;
  readonly to: OrderStatus;
}

/** The order has changed since the caller read it. */
export interface VersionConflict extends Refusal<"orders.version_conflict"> {
  readonly expectedVersion: number;
  readonly version: number;
}

/** `If-Match` named another version than the order has. */
export interface StaleVersion extends Refusal<"orders.stale_version"> {
  readonly version: number;
}

/** The order is too far along for this edit. */
export interface NotEditable extends Refusal<"orders.not_editable"> {
  readonly status: OrderStatus;
  readonly field: string;
}

/** The order has no such line. */
export interface UnknownLine extends Refusal<"orders.unknown_line"> {
  readonly lineNo: number;
}

/** More units than the line has left to fulfil or to return. */
export interface TooManyUnits extends Refusal<"orders.too_many_units"> {
  readonly lineNo: number;
  readonly remaining: number;
}

/** Every unit has been fulfilled already, or no line was named. */
export type NothingToDo = Refusal<"orders.nothing_to_do">;

/** More money than the order has left to give back. */
export interface RefundExceedsTotal extends Refusal<"orders.refund_exceeds_total"> {
  readonly refundableMinor: number;
}

/** The caller's id is taken by another fulfilment or return of this tenant. */
export interface DuplicateId {
  readonly code: "orders.duplicate_id";
  readonly id: string;
}

/** The batch does not exist in this tenant. */
export interface BatchNotFound {
  readonly code: "orders.batch_not_found";
  readonly batchId: string;
}

/** Only a signed-in customer has a history. */
export interface NotACustomer {
  readonly code: "orders.not_a_customer";
}

/** Why a step of the state machine was refused. */
export type TransitionFailure = OrderNotFound | IllegalTransition | VersionConflict;
/** Why a fulfilment was refused. */
export type FulfilmentFailure =
  | TransitionFailure
  | UnknownLine
  | TooManyUnits
  | NothingToDo
  | DuplicateId;
/** Why a return was refused. */
export type ReturnFailure =
  | OrderNotFound
  | VersionConflict
  | IllegalTransition
  | UnknownLine
  | TooManyUnits
  | NothingToDo
  | RefundExceedsTotal
  | DuplicateId;
/** Why a refund was refused. */
export type RefundFailure = OrderNotFound | IllegalTransition | RefundExceedsTotal;
/** Why an edit was refused. */
export type PatchFailure = OrderNotFound | StaleVersion | VersionConflict | NotEditable;

/** Everything this module can refuse with. */
export type OrdersFailure =
  | FulfilmentFailure
  | ReturnFailure
  | RefundFailure
  | PatchFailure
  | BatchNotFound
  | NotACustomer;

/** HTTP status of every failure. */
export const ordersFailureStatuses: FailureStatuses<OrdersFailure> = {
  "orders.not_found": 404,
  "orders.illegal_transition": 409,
  "orders.version_conflict": 409,
  "orders.stale_version": 412,
  "orders.not_editable": 409,
  "orders.unknown_line": 422,
  "orders.too_many_units": 409,
  "orders.nothing_to_do": 409,
  "orders.refund_exceeds_total": 409,
  "orders.duplicate_id": 409,
  "orders.batch_not_found": 404,
  "orders.not_a_customer": 403,
};

/** One line in `orders.order_placed`. */
export interface OrderPlacedLine {
  readonly variantId: string | null;
  readonly sku: string;
  readonly quantity: number;
  readonly totalMinor: number;
}

/** What every event of a step of the state machine says. */
export interface OrderStepData {
  readonly orderId: OrderId;
  readonly number: number;
  readonly from: OrderStatus;
  /** Version of the order after the step. */
  readonly orderVersion: number;
  readonly currency: string;
  readonly totalMinor: number;
  readonly customerId: string | null;
  readonly reason?: string;
}

/**
 * Events of the stream `order:<id>` and the shape of their data, all version 1. They carry no
 * personal data beyond the customer's id.
 */
export interface OrderEvents {
  readonly "orders.order_placed": {
    readonly orderId: OrderId;
    readonly number: number;
    readonly status: InitialOrderStatus;
    readonly currency: string;
    readonly totals: OrderTotals;
    readonly customerId: string | null;
    readonly lineCount: number;
    /** Empty where there are more than {@link placedLinesMax}: read them from the order. */
    readonly lines: readonly OrderPlacedLine[];
  };
  readonly "orders.order_confirmed": OrderStepData;
  readonly "orders.order_paid": OrderStepData;
  readonly "orders.order_fulfilled": OrderStepData;
  readonly "orders.order_completed": OrderStepData;
  readonly "orders.order_cancelled": OrderStepData;
  readonly "orders.order_refunded": OrderStepData;
  /** Part or all of the money went back; the last part is followed by `order_refunded`. */
  readonly "orders.refund_recorded": {
    readonly orderId: OrderId;
    readonly currency: string;
    readonly amountMinor: number;
    readonly refundedMinor: number;
    readonly reason?: string;
  };
  readonly "orders.order_edited": {
    readonly orderId: OrderId;
    readonly orderVersion: number;
    /** Names of the changed fields; their values are personal data. */
    readonly fields: readonly string[];
  };
  readonly "orders.fulfilment_created": {
    readonly orderId: OrderId;
    readonly fulfilmentId: FulfilmentId;
    readonly lines: readonly LineQuantity[];
    readonly trackingCode: string | null;
  };
  readonly "orders.return_recorded": {
    readonly returnId: ReturnId;
    readonly orderId: OrderId | null;
    readonly currency: string;
    readonly refundMinor: number;
    readonly lines: readonly Omit<ReturnLine, "lineNo" | "orderLineNo">[];
  };
}

/** Names of the events. */
export type OrderEventType = keyof OrderEvents;

/** Every event type, for the reference and its test. */
export const orderEventTypes: readonly OrderEventType[] = [
  "orders.order_placed",
  "orders.order_confirmed",
  "orders.order_paid",
  "orders.order_fulfilled",
  "orders.order_completed",
  "orders.order_cancelled",
  "orders.order_refunded",
  "orders.refund_recorded",
  "orders.order_edited",
  "orders.fulfilment_created",
  "orders.return_recorded",
];
