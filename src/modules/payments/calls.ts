import type { Context } from "../../kernel/context.ts";
import {
  type NewPayment,
  type Payment,
  type PaymentObservation,
  type PaymentOperation,
  PaymentProviderError,
  type ProviderCall,
  type ProviderPayment,
} from "./contract.ts";
import { configuredProvider, type Kit } from "./deps.ts";
import type { PaymentProvider } from "./provider.ts";

/** What to call a provider about, and how to recognise that it has been done. */
interface Errand {
  readonly call: Exclude<ProviderCall["call"], "find" | "webhook">;
  readonly send: () => Promise<ProviderPayment>;
  readonly find: () => Promise<ProviderPayment | undefined>;
  /** Whether what the provider shows includes what was sent. */
  readonly isDone: (seen: ProviderPayment) => boolean;
}

/** See `Payments.charge`. */
export async function charge(
  kit: Kit,
  ctx: Context,
  payment: NewPayment,
): Promise<PaymentObservation> {
  const provider = configuredProvider(kit, payment.provider);
  const request = { ...limitsOf(ctx), tenantId: ctx.tenantId, payment };
  const isAutomatic = (payment.captureMode ?? "automatic") === "automatic";
  return runErrand(kit, {
    call: isAutomatic ? "charge" : "authorise",
    send: () => (isAutomatic ? provider.charge(request) : provider.authorise(request)),
    find: () => provider.find({ ...request, paymentId: payment.id }),
    isDone: () => true,
  });
}

/** Asks for a capture, void or refund whose intent is recorded. */
export async function operate(
  kit: Kit,
  ctx: Context,
  payment: Payment,
  operation: Pick<PaymentOperation, "id" | "kind" | "amountMinor" | "basis">,
): Promise<PaymentObservation> {
  const provider = configuredProvider(kit, payment.provider);
  const { kind, amountMinor, basis } = operation;
  const request = {
    ...limitsOf(ctx),
    tenantId: ctx.tenantId,
    payment,
    operationId: operation.id,
    amountMinor,
    ...(basis ? { basis } : {}),
  };
  return runErrand(kit, {
    call: kind,
    send: () => provider[kind](request),
    find: () => provider.find({ ...request, paymentId: payment.id }),
    isDone: (seen) => seen.operations.some(({ key }) => key === operation.id),
  });
}

/** Asks how a payment stands. @returns undefined when the provider never saw it */
export async function enquire(
  kit: Kit,
  ctx: Context,
  payment: Pick<Payment, "id" | "provider">,
): Promise<PaymentObservation | undefined> {
  const provider: PaymentProvider = configuredProvider(kit, payment.provider);
  const calls: ProviderCall[] = [];
  const request = { ...limitsOf(ctx), tenantId: ctx.tenantId, paymentId: payment.id };
  const seen = await timed(calls, "find", () => provider.find(request));
  return seen && { snapshot: seen, calls };
}

/**
 * Sends, and when nobody knows what became of it, asks; when the provider never got it, sends again
 * with the same id. The provider's word decides, never the timeout.
 */
async function runErrand(kit: Kit, errand: Errand): Promise<PaymentObservation> {
  const calls: ProviderCall[] = [];
  for (let sends = 1; ; sends++) {
    await kit.reach("payments.before_call");
    const sent = await timed(calls, errand.call, errand.send).catch(unknownOutcome);
    await kit.reach("payments.after_call");
    if (!(sent instanceof PaymentProviderError)) return { snapshot: sent, calls };
    const seen = await timed(calls, "find", errand.find).catch((error) => {
      throw stillUnknown(error);
    });
    if (seen && errand.isDone(seen)) return { snapshot: seen, calls };
    if (sends >= kit.bounds.sendsMax) throw sent;
  }
}

/** Lets pass as a value the one error after which the provider has to be asked. */
function unknownOutcome(error: unknown): PaymentProviderError {
  if (error instanceof PaymentProviderError && error.code === "ERR_PAYMENT_OUTCOME_UNKNOWN") {
    return error;
  }
  throw error;
}

/** It was sent and the provider cannot be asked: unavailable, but by no means nothing done. */
function stillUnknown(error: unknown): unknown {
  if (!(error instanceof PaymentProviderError) || !error.retryable) return error;
  return new PaymentProviderError("ERR_PAYMENT_OUTCOME_UNKNOWN", error.message, error);
}

async function timed<Seen extends ProviderPayment | undefined>(
  calls: ProviderCall[],
  call: ProviderCall["call"],
  work: () => Promise<Seen>,
): Promise<Seen> {
  const startedAt = performance.now();
  const note = (outcome: ProviderCall["outcome"]) => {
    calls.push({ call, outcome, elapsedMs: Math.round(performance.now() - startedAt) });
  };
  try {
    const seen = await work();
    note(seen === undefined ? "not_found" : "answered");
    return seen;
  } catch (error) {
    const isUnknown =
      error instanceof PaymentProviderError && error.code === "ERR_PAYMENT_OUTCOME_UNKNOWN";
    note(isUnknown ? "timeout" : "unavailable");
    throw error;
  }
}

function limitsOf(ctx: Context): { readonly deadlineMs?: number; readonly signal?: AbortSignal } {
  return {
    ...(ctx.deadlineMs === undefined ? {} : { deadlineMs: ctx.deadlineMs }),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  };
}
