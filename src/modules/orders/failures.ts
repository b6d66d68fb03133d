import type { FailureStatuses } from "../../platform/http/route.ts";
import type { OrderStatus } from "./status.ts";

/** There is no such order in this tenant. */
export interface OrderNotFound {
  readonly code: "orders.not_found";
  readonly orderId: string;
}

/** The state machine has no such step. */
export interface IllegalTransition {
  readonly code: "orders.illegal_transition";
  readonly orderId: string;
  readonly from: OrderStatus;
  readonly to: OrderStatus;
}

/** The order has changed since the caller read it. */
export interface VersionConflict {
  readonly code: "orders.version_conflict";
  readonly orderId: string;
  readonly expectedVersion: number;
  readonly version: number;
}

/** `If-Match` named another version than the order has. */
export interface StaleVersion {
  readonly code: "orders.stale_version";
  readonly orderId: string;
  readonly version: number;
}

/** The order is too far along for this edit. */
export interface NotEditable {
  readonly code: "orders.not_editable";
  readonly orderId: string;
  readonly status: OrderStatus;
  readonly field: string;
}

/** The order has no such line. */
export interface UnknownLine {
  readonly code: "orders.unknown_line";
  readonly orderId: string;
  readonly lineNo: number;
}

/** More units than the line has left to fulfil or to return. */
export interface TooManyUnits {
  readonly code: "orders.too_many_units";
  readonly orderId: string;
  readonly lineNo: number;
  readonly remaining: number;
}

/** Every unit has been fulfilled already, or no line was named. */
export interface NothingToDo {
  readonly code: "orders.nothing_to_do";
  readonly orderId: string;
}

/** More money than the order has left to give back. */
export interface RefundExceedsTotal {
  readonly code: "orders.refund_exceeds_total";
  readonly orderId: string;
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
