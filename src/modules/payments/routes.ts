import { Type } from "typebox";
import { type Context, systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { readCursor, signCursor } from "../../platform/http/cursor.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { readAll } from "./body.ts";
import {
  type OperationOutcome,
  type PaymentDeadLetterId,
  type PaymentId,
  type PaymentOperationId,
  type Payments,
  paymentStatuses,
} from "./contract.ts";
import {
  DeadLetterBody,
  deadLetterBody,
  OperationBody,
  operationBody,
  PaymentBody,
  PaymentDetailBody,
  paymentBody,
  StandingBody,
} from "./shapes.ts";

const tag = "Payments";
const limitDefault = 20;
const strict = { additionalProperties: false };
const Uuid = Type.String({ format: "uuid" });
const IdParams = Type.Object({ id: Uuid });
const Amount = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: limitDefault })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
};
const Basis = Type.Union(
  [Type.Literal("return"), Type.Literal("cancellation"), Type.Literal("goodwill")],
  { default: "goodwill" },
);
const OutcomeBody = Type.Object({ payment: PaymentBody, operation: OperationBody });
const operationFailures = [
  "payments.not_found",
  "payments.wrong_state",
  "payments.bad_amount",
  "payments.amount_exceeded",
  "payments.id_reused",
  "payments.refused",
] as const;
const webhookBytesMax = 256 * 1024;

/** The HTTP operations of payments. */
export function paymentRoutes(payments: Payments): readonly Route[] {
  return [
    listRoute(payments),
    listDeadLettersRoute(payments),
    retryDeadLetterRoute(payments),
    resolveDeadLetterRoute(payments),
    getRoute(payments),
    refreshRoute(payments),
    captureRoute(payments),
    voidRoute(payments),
    refundRoute(payments),
    webhookRoute(payments),
  ];
}

function listRoute(payments: Payments): Route {
  return route({
    method: "GET",
    path: "/v1/payments",
    operationId: "listPayments",
    summary: "List payments, newest first",
    tag,
    access: "secret",
    permission: "payments:read",
    schemas: {
      query: Type.Object(
        {
          ...pageFields,
          orderId: Type.Optional(Uuid),
          status: Type.Optional(Type.Union(paymentStatuses.map((status) => Type.Literal(status)))),
        },
        strict,
      ),
      response: Type.Object({
        items: Type.Array(PaymentBody),
        nextCursor: Type.Optional(Type.String()),
      }),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const { limit = limitDefault, cursor, orderId, status } = query;
      const scope = { tenantId: ctx.tenantId, list: "payments", filter: { orderId, status } };
      const from = cursor === undefined ? ok([]) : readCursor(scope, cursor);
      if (!from.ok) return from;
      const [before] = from.value;
      const page = await payments.listPayments(ctx, {
        limit,
        ...(orderId ? { orderId: orderId as never } : {}),
        ...(status ? { status } : {}),
        ...(before ? { before: before as PaymentId } : {}),
      });
      const next = page.nextCursor && { nextCursor: signCursor(scope, [page.nextCursor]) };
      return ok({ body: { items: page.items.map(paymentBody), ...next } });
    },
  });
}

function getRoute(payments: Payments): Route {
  return route({
    method: "GET",
    path: "/v1/payments/{id}",
    operationId: "getPayment",
    summary: "Read a payment with its captures, voids and refunds",
    tag,
    access: "secret",
    permission: "payments:read",
    schemas: { params: IdParams, response: PaymentDetailBody },
    failures: ["payments.not_found"],
    async handle({ ctx, params }) {
      const found = await payments.getPayment(ctx, params.id as PaymentId);
      if (!found.ok) return found;
      const { payment, operations } = found.value;
      const body = {
        ...paymentBody(payment),
        operations: operations.map((operation) => operationBody(operation, payment.currency)),
      };
      return ok({ body, version: payment.version });
    },
  });
}

function refreshRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/{id}/refresh",
    operationId: "refreshPayment",
    limits: "strict",
    summary: "Ask the provider how a payment stands",
    description:
      "For the page a buyer returns to after confirming at the provider. It may be called any " +
      "number of times; notices of the provider lead to the same state.",
    tag,
    access: "publishable",
    idempotency: "none",
    schemas: { params: IdParams, response: StandingBody },
    failures: ["payments.not_found", "payments.provider_unavailable"],
    async handle({ ctx, params }) {
      const refreshed = await payments.refreshPayment(ctx, params.id as PaymentId);
      if (!refreshed.ok) return refreshed;
      const { id, orderId, status, failureCode, nextActionUrl } = refreshed.value;
      return ok({
        body: {
          id,
          orderId,
          status,
          ...(failureCode ? { failureCode } : {}),
          ...(nextActionUrl ? { nextActionUrl } : {}),
        },
      });
    },
  });
}

function captureRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/{id}/capture",
    operationId: "capturePayment",
    limits: "strict",
    summary: "Capture authorised money, in part or in full",
    description: "202 means that the provider has not answered yet; the capture goes on by itself.",
    tag,
    access: "secret",
    permission: "payments:write",
    schemas: {
      params: IdParams,
      body: Type.Object(
        { operationId: Type.Optional(Uuid), amountMinor: Type.Optional(Amount) },
        strict,
      ),
      response: OutcomeBody,
    },
    failures: operationFailures,
    async handle({ ctx, params, body }) {
      const { operationId = newId(), amountMinor } = body;
      const captured = await payments.capturePayment(ctx, {
        paymentId: params.id as PaymentId,
        operationId: operationId as PaymentOperationId,
        ...(amountMinor === undefined ? {} : { amountMinor }),
      });
      return captured.ok ? ok(outcomeReply(captured.value, 200)) : captured;
    },
  });
}

function voidRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/{id}/void",
    operationId: "voidPayment",
    limits: "strict",
    summary: "Give up what is authorised and not captured",
    tag,
    access: "secret",
    permission: "payments:write",
    schemas: {
      params: IdParams,
      body: Type.Object({ operationId: Type.Optional(Uuid) }, strict),
      response: OutcomeBody,
    },
    failures: operationFailures,
    async handle({ ctx, params, body }) {
      const { operationId = newId() } = body;
      const voided = await payments.voidPayment(ctx, {
        paymentId: params.id as PaymentId,
        operationId: operationId as PaymentOperationId,
      });
      return voided.ok ? ok(outcomeReply(voided.value, 200)) : voided;
    },
  });
}

function refundRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/{id}/refunds",
    operationId: "refundPayment",
    limits: "strict",
    summary: "Give captured money back, in part or in full",
    description:
      "The same id is the same refund, however often it is sent. 202 means that the provider has " +
      "not answered yet; the refund goes on by itself.",
    tag,
    access: "secret",
    permission: "payments:write",
    schemas: {
      params: IdParams,
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          amountMinor: Type.Optional(Amount),
          basis: Type.Optional(Basis),
          reason: Type.Optional(Type.String({ maxLength: 500 })),
        },
        strict,
      ),
      response: OutcomeBody,
    },
    failures: operationFailures,
    async handle({ ctx, params, body }) {
      const { id = newId(), amountMinor, basis = "goodwill", reason } = body;
      const refunded = await payments.refundPayment(ctx, {
        paymentId: params.id as PaymentId,
        operationId: id as PaymentOperationId,
        basis,
        ...(amountMinor === undefined ? {} : { amountMinor }),
        ...(reason === undefined ? {} : { reason }),
      });
      return refunded.ok ? ok(outcomeReply(refunded.value, 201)) : refunded;
    },
  });
}

function outcomeReply({ payment, operation }: OperationOutcome, done: 200 | 201) {
  const body = {
    payment: paymentBody(payment),
    operation: operationBody(operation, payment.currency),
  };
  const status: 200 | 201 | 202 = operation.status === "pending" ? 202 : done;
  return { status, body, version: payment.version };
}

function listDeadLettersRoute(payments: Payments): Route {
  return route({
    method: "GET",
    path: "/v1/payments/dead-letters",
    operationId: "listPaymentDeadLetters",
    summary: "List payments that a person has to look at, newest first",
    tag,
    access: "secret",
    permission: "payments:read",
    schemas: {
      query: Type.Object(pageFields, strict),
      response: Type.Object({
        items: Type.Array(DeadLetterBody),
        nextCursor: Type.Optional(Type.String()),
      }),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query: { limit = limitDefault, cursor } }) {
      const scope = { tenantId: ctx.tenantId, list: "payment dead letters" };
      const from = cursor === undefined ? ok([]) : readCursor(scope, cursor);
      if (!from.ok) return from;
      const [before] = from.value;
      const page = await payments.listDeadLetters(ctx, {
        limit,
        ...(before ? { before: before as PaymentDeadLetterId } : {}),
      });
      const next = page.nextCursor && { nextCursor: signCursor(scope, [page.nextCursor]) };
      return ok({ body: { items: page.items.map(deadLetterBody), ...next } });
    },
  });
}

function retryDeadLetterRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/dead-letters/{id}/retry",
    operationId: "retryPaymentDeadLetter",
    summary: "Ask the provider again about a payment that a person had to look at",
    tag,
    access: "secret",
    permission: "payments:write",
    idempotency: "none",
    schemas: { params: IdParams, response: DeadLetterBody },
    failures: [
      "payments.dead_letter_not_found",
      "payments.provider_unavailable",
      "payments.still_unresolved",
    ],
    async handle({ ctx, params }) {
      const retried = await payments.retryDeadLetter(ctx, params.id as PaymentDeadLetterId);
      return retried.ok ? ok({ body: deadLetterBody(retried.value) }) : retried;
    },
  });
}

function resolveDeadLetterRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/payments/dead-letters/{id}/resolve",
    operationId: "resolvePaymentDeadLetter",
    summary: "Close a payment problem by a person's decision",
    tag,
    access: "secret",
    permission: "payments:write",
    schemas: {
      params: IdParams,
      body: Type.Object({ resolution: Type.String({ minLength: 1, maxLength: 500 }) }, strict),
      response: DeadLetterBody,
    },
    failures: ["payments.dead_letter_not_found"],
    async handle({ ctx, params, body }) {
      const id = params.id as PaymentDeadLetterId;
      const resolved = await payments.resolveDeadLetter(ctx, id, body.resolution);
      return resolved.ok ? ok({ body: deadLetterBody(resolved.value) }) : resolved;
    },
  });
}

function webhookRoute(payments: Payments): Route {
  return route({
    method: "POST",
    path: "/v1/webhooks/payments/{provider}/{tenantId}",
    operationId: "receivePaymentWebhook",
    summary: "Accept a notice of a payment provider",
    description:
      "For providers. A notice is believed because of its signature over the exact body; the same " +
      "notice again is acknowledged and changes nothing.",
    tag,
    access: "public",
    idempotency: "none",
    rawBody: true,
    bodyBytesMax: webhookBytesMax,
    schemas: {
      params: Type.Object({ provider: Type.String({ maxLength: 32 }), tenantId: Uuid }),
    },
    failures: [
      "payments.unknown_provider",
      "payments.bad_signature",
      "payments.bad_webhook",
      "payments.webhook_too_large",
    ],
    async handle({ ctx, params, rawBody, header }) {
      const body = rawBody && (await readAll(rawBody, webhookBytesMax));
      if (!body) return fail({ code: "payments.webhook_too_large" });
      // Nobody is logged in: the signature, which covers the account, is the credential.
      const own: Context = {
        ...systemContext(params.tenantId.toLowerCase() as TenantId, ctx.requestId),
        ...(ctx.traceparent ? { traceparent: ctx.traceparent } : {}),
        ...(ctx.deadlineMs === undefined ? {} : { deadlineMs: ctx.deadlineMs }),
      };
      const { provider } = params;
      const received = await payments.receiveWebhook(own, { provider, body, header });
      return received.ok ? ok({ status: 204 }) : received;
    },
  });
}
