import { Type } from "typebox";
import {
  type Payment,
  type PaymentDeadLetter,
  type PaymentOperation,
  paymentStatuses,
} from "./contract.ts";

const Uuid = Type.String({ format: "uuid" });
const Moment = Type.String({ format: "date-time" });
const Money = Type.Object({ amountMinor: Type.Integer(), currency: Type.String() });
const Status = Type.Union(paymentStatuses.map((status) => Type.Literal(status)));

const paymentFields = {
  id: Uuid,
  orderId: Uuid,
  attempt: Type.Integer(),
  provider: Type.String(),
  captureMode: Type.Union([Type.Literal("automatic"), Type.Literal("manual")]),
  status: Status,
  amount: Money,
  authorised: Money,
  captured: Money,
  refunded: Money,
  isVoided: Type.Boolean(),
  instrument: Type.Optional(Type.Object({ brand: Type.String(), last4: Type.String() })),
  providerReference: Type.Optional(Type.String()),
  failureCode: Type.Optional(Type.String()),
  nextActionUrl: Type.Optional(Type.String()),
  createdAt: Moment,
  updatedAt: Moment,
  version: Type.Integer(),
};

/** A payment in answers. */
export const PaymentBody = Type.Object(paymentFields);

/** A capture, void or refund in answers. */
export const OperationBody = Type.Object({
  id: Uuid,
  paymentId: Uuid,
  kind: Type.Union([Type.Literal("capture"), Type.Literal("void"), Type.Literal("refund")]),
  amount: Money,
  status: Type.Union([Type.Literal("pending"), Type.Literal("succeeded"), Type.Literal("failed")]),
  basis: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  failureCode: Type.Optional(Type.String()),
  requestedAt: Moment,
  settledAt: Type.Optional(Moment),
});

/** A payment with its operations. */
export const PaymentDetailBody = Type.Object({
  ...paymentFields,
  operations: Type.Array(OperationBody),
});

/** What a buyer's browser may know of a payment. */
export const StandingBody = Type.Object({
  id: Uuid,
  orderId: Uuid,
  status: Status,
  failureCode: Type.Optional(Type.String()),
  nextActionUrl: Type.Optional(Type.String()),
});

/** A payment problem in answers. */
export const DeadLetterBody = Type.Object({
  id: Uuid,
  paymentId: Uuid,
  kind: Type.String(),
  detail: Type.Object({}, { additionalProperties: true }),
  raisedAt: Moment,
  retries: Type.Integer(),
  resolvedAt: Type.Optional(Moment),
  resolution: Type.Optional(Type.String()),
});

/** Writes a payment for an answer. */
export function paymentBody(payment: Payment) {
  const { currency, amountMinor, authorisedMinor, capturedMinor, refundedMinor, ...rest } = payment;
  return {
    ...rest,
    amount: { amountMinor, currency },
    authorised: { amountMinor: authorisedMinor, currency },
    captured: { amountMinor: capturedMinor, currency },
    refunded: { amountMinor: refundedMinor, currency },
    createdAt: payment.createdAt.toISOString(),
    updatedAt: payment.updatedAt.toISOString(),
  };
}

/** Writes an operation for an answer. */
export function operationBody(operation: PaymentOperation, currency: string) {
  const { amountMinor, requestedAt, settledAt, ...rest } = operation;
  return {
    ...rest,
    amount: { amountMinor, currency },
    requestedAt: requestedAt.toISOString(),
    ...(settledAt ? { settledAt: settledAt.toISOString() } : {}),
  };
}

/** Writes a payment problem for an answer. */
export function deadLetterBody(letter: PaymentDeadLetter) {
  const { raisedAt, resolvedAt, ...rest } = letter;
  return {
    ...rest,
    raisedAt: raisedAt.toISOString(),
    ...(resolvedAt ? { resolvedAt: resolvedAt.toISOString() } : {}),
  };
}
