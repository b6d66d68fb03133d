import type { Charge } from "./bank.ts";
import { type Behaviour, readCard, testCards } from "./cards.ts";
import { type Knobs, turnKnobs } from "./knobs.ts";
import type { BankLedger } from "./ledger.ts";
import { answeredPage, confirmationPage } from "./pages.ts";
import { snapshotOf } from "./webhooks.ts";

/** A request, read. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly isTrusted: boolean;
  /** Parsed JSON or form body; empty when there is none. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is answered; `lost` never reaches the caller. */
export type ApiAnswer =
  | {
      readonly status: number;
      readonly json?: unknown;
      readonly html?: string;
      readonly text?: string;
      readonly location?: string;
    }
  | "lost";

/** What the API works on. */
export interface ApiDeps {
  readonly ledger: BankLedger;
  readonly knobs: () => Knobs;
  readonly setKnobs: (knobs: Knobs) => void;
  readonly webhooksWaiting: () => number;
  /** Requests that are held back. */
  readonly requestsWaiting: () => number;
  readonly now: () => Date;
  readonly random: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** Address of the bank as browsers see it. */
  readonly publicUrl: () => string;
}

const paymentPath = /^\/v1\/accounts\/([^/]{1,64})\/payments(?:\/([^/]{1,64})(\/operations)?)?$/;
const confirmPath = /^\/confirm\/([A-Za-z0-9_-]{1,64})$/;

/** Makes the bank's answers. */
export function createApi(deps: ApiDeps): (request: ApiRequest) => Promise<ApiAnswer> {
  const lostOnce = new Set<string>();
  return async (request) => {
    const { method, path } = request;
    if (path === "/health") return { status: 200, json: { status: "ok" } };
    if (path === "/cards" && method === "GET") return { status: 200, json: { cards: testCards } };
    if (path === "/tokens" && method === "POST") return addToken(deps, request);
    const confirmation = confirmPath.exec(path);
    if (confirmation) return confirm(deps, request, confirmation[1] ?? "");
    if (!request.isTrusted) return { status: 401, json: { code: "unauthorized" } };
    if (path === "/control") return control(deps, request);
    if (path === "/log" && method === "GET") {
      return { status: 200, text: await deps.ledger.readLog() };
    }
    const match = paymentPath.exec(path);
    if (!match) return { status: 404, json: { code: "not_found" } };
    const [, account = "", paymentId, operations] = match.map(
      (part) => part && decodeURIComponent(part),
    );
    if (paymentId === undefined) return charge(deps, lostOnce, account, request);
    if (operations) return operate(deps, { account, paymentId }, request);
    const payment = deps.ledger.find(account, paymentId);
    // After reading: what is shown must be durable, and what came since is not shown.
    await deps.ledger.settled();
    if (!payment) return { status: 404, json: { code: "unknown_payment" } };
    return { status: 200, json: snapshotOf(payment) };
  };
}

async function addToken(deps: ApiDeps, { body }: ApiRequest): Promise<ApiAnswer> {
  const card = readCard(
    {
      number: String(body["number"] ?? ""),
      expMonth: Number(body["expMonth"]),
      expYear: Number(body["expYear"]),
      cvc: String(body["cvc"] ?? ""),
    },
    deps.now(),
  );
  if ("refused" in card) return { status: 422, json: { code: card.refused } };
  const { token, brand, last4 } = await deps.ledger.addToken(card);
  return { status: 201, json: { token, brand, last4 } };
}

async function confirm(
  deps: ApiDeps,
  { method, body }: ApiRequest,
  reference: string,
): Promise<ApiAnswer> {
  const payment = deps.ledger.findByReference(reference);
  await deps.ledger.settled();
  if (!payment) return { status: 404, json: { code: "unknown_payment" } };
  if (method !== "POST") return { status: 200, html: confirmationPage(payment) };
  const isApproved = body["decision"] === "approve";
  const after = await deps.ledger.confirm(payment, isApproved);
  if (!after.returnUrl) return { status: 200, html: answeredPage(isApproved) };
  const location = new URL(after.returnUrl);
  location.searchParams.set("payment", after.paymentId);
  return { status: 303, location: location.href };
}

function control(deps: ApiDeps, { method, body }: ApiRequest): ApiAnswer {
  if (method === "PATCH") {
    const turned = turnKnobs(deps.knobs(), body);
    if ("refused" in turned)
      return { status: 422, json: { code: "bad_knob", knob: turned.refused } };
    deps.setKnobs(turned);
  }
  return {
    status: 200,
    json: {
      knobs: deps.knobs(),
      webhooksWaiting: deps.webhooksWaiting(),
      requestsWaiting: deps.requestsWaiting(),
    },
  };
}

async function charge(
  deps: ApiDeps,
  lostOnce: Set<string>,
  account: string,
  { body }: ApiRequest,
): Promise<ApiAnswer> {
  const order = readCharge(account, body);
  const card = deps.ledger.findToken(String(body["token"] ?? ""));
  if (!order) return { status: 422, json: { code: "bad_charge" } };
  if (!card) return { status: 422, json: { code: "unknown_token" } };
  const key = `${account}/${order.paymentId}`;
  const isFirst = !lostOnce.has(key);
  if (card.behaviour === "request_lost") lostOnce.add(key);
  const isLost = card.behaviour === "request_lost" && isFirst;
  if (isLost || deps.random() < deps.knobs().requestLossRate) return "lost";
  await delay(deps, card.behaviour);
  const isKnown = deps.ledger.find(account, order.paymentId) !== undefined;
  const answer = await deps.ledger.charge(order, {
    card,
    isDeclined: deps.random() < deps.knobs().declineRate,
    confirmationUrl: (reference) => `${deps.publicUrl()}/confirm/${reference}`,
  });
  if (isAnswerLost(deps, isKnown ? "approved" : card.behaviour)) return "lost";
  if ("code" in answer) return { status: answer.status, json: { code: answer.code } };
  return { status: isKnown ? 200 : 201, json: snapshotOf(answer) };
}

function readCharge(account: string, body: ApiRequest["body"]): Charge | undefined {
  const { paymentId, amountMinor, currency, captureMode = "automatic", returnUrl } = body;
  if (typeof paymentId !== "string" || paymentId === "" || paymentId.length > 64) return undefined;
  if (!isAmount(amountMinor) || amountMinor === 0) return undefined;
  if (typeof currency !== "string" || !/^[A-Z]{3}$/.test(currency)) return undefined;
  if (captureMode !== "automatic" && captureMode !== "manual") return undefined;
  const base: Charge = { account, paymentId, amountMinor, currency, captureMode };
  if (returnUrl === undefined) return base;
  if (typeof returnUrl !== "string" || !/^https?:\/\//.test(returnUrl)) return undefined;
  return URL.canParse(returnUrl) ? { ...base, returnUrl } : undefined;
}

async function operate(
  deps: ApiDeps,
  target: { readonly account: string; readonly paymentId: string },
  { body }: ApiRequest,
): Promise<ApiAnswer> {
  const { key, kind, amountMinor } = body;
  const isKind = kind === "capture" || kind === "void" || kind === "refund";
  const isKey = typeof key === "string" && key !== "" && key.length <= 64;
  if (!isKind || !isKey || !isAmount(amountMinor) || (kind === "void") !== (amountMinor === 0)) {
    return { status: 422, json: { code: "bad_operation" } };
  }
  if (deps.random() < deps.knobs().requestLossRate) return "lost";
  await delay(deps, "approved");
  const answer = await deps.ledger.operate(target, { key, kind, amountMinor });
  if (isAnswerLost(deps, "approved")) return "lost";
  if ("code" in answer) return { status: answer.status, json: { code: answer.code } };
  return { status: 200, json: snapshotOf(answer) };
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

async function delay(deps: ApiDeps, behaviour: Behaviour): Promise<void> {
  const { latencyMs, latencyJitterMs, slowMs, lateMs } = deps.knobs();
  const own = behaviour === "slow" ? slowMs : behaviour === "charged_late" ? lateMs : 0;
  const total = own + latencyMs + deps.random() * latencyJitterMs;
  if (total > 0) await deps.wait(total);
}

function isAnswerLost(deps: ApiDeps, behaviour: Behaviour): boolean {
  if (behaviour === "answer_lost" || behaviour === "charged_late") return true;
  return deps.random() < deps.knobs().answerLossRate;
}
