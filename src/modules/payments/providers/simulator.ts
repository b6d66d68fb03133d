import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { fail, ok, type Result } from "../../../kernel/result.ts";
import {
  type OutgoingClient,
  OutgoingError,
  type OutgoingResponse,
} from "../../../platform/outgoing/outgoing.ts";
import {
  type PaymentId,
  PaymentProviderError,
  type ProviderPayment,
  type WebhookFailure,
} from "../contract.ts";
import type {
  CallLimits,
  ChargeRequest,
  OperationRequest,
  PaymentProvider,
  ProviderEvent,
  RawWebhook,
} from "../provider.ts";
import { verifySignature } from "../signature.ts";

/** Where the simulated bank is and what it is told. */
export interface SimulatorConfig {
  /** Its address, without a slash at the end. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Secrets its notices may be signed with; several while they rotate. */
  readonly webhookSecrets: readonly string[];
  readonly client: OutgoingClient;
}

const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Text = Type.String({ minLength: 1, maxLength: 200 });
const Snapshot = Type.Object({
  paymentId: Type.Unsafe<PaymentId>(Text),
  reference: Text,
  currency: Type.String({ pattern: "^[A-Z]{3}$" }),
  authorisedMinor: Amount,
  capturedMinor: Amount,
  refundedMinor: Amount,
  isVoided: Type.Boolean(),
  failureCode: Type.Optional(Type.String({ maxLength: 100 })),
  nextActionUrl: Type.Optional(Type.String({ maxLength: 2_000 })),
  instrument: Type.Optional(
    Type.Object({
      brand: Type.String({ maxLength: 32 }),
      last4: Type.String({ pattern: "^[0-9]{4}$" }),
    }),
  ),
  operations: Type.Array(
    Type.Object({
      key: Text,
      kind: Type.Union([Type.Literal("capture"), Type.Literal("void"), Type.Literal("refund")]),
      amountMinor: Amount,
      status: Type.Union([Type.Literal("succeeded"), Type.Literal("failed")]),
      reference: Text,
      failureCode: Type.Optional(Type.String({ maxLength: 100 })),
    }),
  ),
});
const Notice = Type.Object({
  id: Text,
  type: Type.String({ maxLength: 100 }),
  account: Text,
  payment: Snapshot,
});
const snapshotCheck = Compile(Snapshot);
const noticeCheck = Compile(Notice);

/** Speaks with the simulated bank over HTTP; the tenant's id is its account there. */
export function createSimulatorProvider(config: SimulatorConfig): PaymentProvider {
  const call = async (
    account: string,
    limits: CallLimits,
    { path, body }: { readonly path: string; readonly body?: object },
  ): Promise<OutgoingResponse> => {
    const { deadlineMs, signal } = limits;
    try {
      return await config.client.request({
        method: body ? "POST" : "GET",
        url: `${config.baseUrl}/v1/accounts/${encodeURIComponent(account)}/payments${path}`,
        headers: {
          authorization: `Bearer ${config.apiKey}`,
          ...(body ? { "content-type": "application/json" } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        deadlineMs,
        signal,
      });
    } catch (error) {
      throw toProviderError(error);
    }
  };
  const charge = async (
    { tenantId, payment, ...limits }: ChargeRequest,
    captureMode: "automatic" | "manual",
  ): Promise<ProviderPayment> => {
    const { id, amountMinor, currency, instrumentToken, returnUrl } = payment;
    const body = {
      paymentId: id,
      amountMinor,
      currency,
      captureMode,
      token: instrumentToken ?? "",
      ...(returnUrl ? { returnUrl } : {}),
    };
    const answer = await call(tenantId, limits, { path: "", body });
    if (answer.status === 422 && codeOf(answer) === "unknown_token")
      return unusableCard(id, currency);
    return readSnapshot(answer);
  };
  const operate = async (
    { tenantId, payment, operationId, amountMinor, ...limits }: OperationRequest,
    kind: "capture" | "void" | "refund",
  ): Promise<ProviderPayment> => {
    const path = `/${payment.id}/operations`;
    const body = { key: operationId, kind, amountMinor };
    return readSnapshot(await call(tenantId, limits, { path, body }));
  };
  return {
    name: "simulator",
    authorise: (asked) => charge(asked, "manual"),
    charge: (asked) => charge(asked, "automatic"),
    capture: (asked) => operate(asked, "capture"),
    void: (asked) => operate(asked, "void"),
    refund: (asked) => operate(asked, "refund"),
    async find({ tenantId, paymentId, ...limits }) {
      const answer = await call(tenantId, limits, { path: `/${paymentId}` });
      return answer.status === 404 ? undefined : readSnapshot(answer);
    },
    parseWebhook: (webhook) => parseWebhook(webhook, config.webhookSecrets),
  };
}

/** A token the bank does not know is a card that cannot be charged: the buyer's matter, not ours. */
function unusableCard(paymentId: PaymentId, currency: string): ProviderPayment {
  return {
    paymentId,
    reference: `none_${paymentId}`,
    currency,
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    failureCode: "unknown_token",
    operations: [],
  };
}

function readSnapshot(answer: OutgoingResponse): ProviderPayment {
  const { status } = answer;
  if (status === 429 || status === 503) {
    throw new PaymentProviderError("ERR_PAYMENT_PROVIDER_UNAVAILABLE", `it answered ${status}`);
  }
  if (status >= 500) {
    throw new PaymentProviderError("ERR_PAYMENT_OUTCOME_UNKNOWN", `it answered ${status}`);
  }
  if (status >= 300) {
    const message = `it refused the request: ${status} ${codeOf(answer)}`;
    throw new PaymentProviderError("ERR_PAYMENT_PROVIDER_MISCONFIGURED", message);
  }
  const read = parseJson(answer.body);
  if (!snapshotCheck.Check(read)) {
    throw new PaymentProviderError("ERR_PAYMENT_OUTCOME_UNKNOWN", "its answer cannot be read");
  }
  return read;
}

function codeOf(answer: OutgoingResponse): string {
  const read = parseJson(answer.body) as { code?: unknown } | undefined;
  return typeof read?.code === "string" ? read.code.slice(0, 100) : "";
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    // Not JSON: whoever checks the shape says so.
    return undefined;
  }
}

function toProviderError(error: unknown): unknown {
  if (!(error instanceof OutgoingError)) return error;
  const code = error.maybeSent ? "ERR_PAYMENT_OUTCOME_UNKNOWN" : "ERR_PAYMENT_PROVIDER_UNAVAILABLE";
  return new PaymentProviderError(code, error.message, error);
}

function parseWebhook(
  { body, header, now }: RawWebhook,
  secrets: readonly string[],
): Result<ProviderEvent, WebhookFailure> {
  const signature = header("simulator-signature") ?? "";
  if (!verifySignature({ body, signature, now }, secrets)) {
    return fail({ code: "payments.bad_signature" });
  }
  const read = parseJson(body);
  if (!noticeCheck.Check(read)) return fail({ code: "payments.bad_webhook", reason: "shape" });
  return ok({ eventId: read.id, type: read.type, tenantId: read.account, snapshot: read.payment });
}
