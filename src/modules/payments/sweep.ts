import type { Context } from "../../kernel/context.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { enquire, operate } from "./calls.ts";
import { derivedId, misconfigured, pursueOperation, raiseLetters, recordWith } from "./commands.ts";
import {
  type Payment,
  type PaymentId,
  type PaymentObservation,
  type PaymentOperation,
  type PaymentOperationId,
  PaymentProviderError,
  type SweepReport,
} from "./contract.ts";
import type { Kit } from "./deps.ts";
import { merge } from "./payment.ts";
import { findPayment, listPendingOperations, listWaiting } from "./queries.ts";
import { forgetOldEvents, markChecked, type NewDeadLetter, pendingOperations } from "./store.ts";

/** See `Payments.resolveUnknownPayments`. */
export async function resolveUnknownPayments(
  kit: Kit,
  ctx: Context,
  limit: number,
): Promise<SweepReport> {
  const before = new Date(kit.clock().getTime() - kit.bounds.graceMs);
  const [waiting, operations] = await kit.db.read(ctx.tenantId, (tx) =>
    Promise.all([listWaiting(tx, before, limit), listPendingOperations(tx, before, limit)]),
  );
  const asked = await inParallel(waiting, kit.bounds.sweepParallelMax, (payment) =>
    ask(kit, ctx, payment),
  );
  const advanced = await recordAnswers(kit, ctx, asked);
  const pursued = await inParallel(operations, kit.bounds.sweepParallelMax, (operation) =>
    pursue(kit, ctx, operation),
  );
  const letters = [...asked, ...pursued].flatMap(({ letter }) => letter ?? []);
  if (letters.length > 0) await raiseLetters(kit, ctx, letters);
  await kit.db.commit(ctx.tenantId, async (tx: TenantTx) => {
    const paymentIds = waiting.map(({ id }) => id);
    markChecked(tx, paymentIds, idsOf(operations));
    await forgetOldEvents(tx);
  });
  return {
    asked: asked.length,
    advanced,
    resent: pursued.filter(({ isSettled }) => isSettled).length,
    abandoned: asked.filter(({ isAbandoned }) => isAbandoned).length,
    failed: [...asked, ...pursued].filter(({ error }) => error).length,
  };
}

/**
 * Settles one payment: asks about it, and goes on with its pending operations.
 *
 * @throws PaymentProviderError while something is still unknown: the caller tries again later
 */
export async function settlePayment(kit: Kit, ctx: Context, paymentId: PaymentId): Promise<void> {
  const found = await kit.db.read(ctx.tenantId, (tx) =>
    Promise.all([findPayment(tx, paymentId), pendingOperations(tx, [paymentId])]),
  );
  const [payment, operations] = found;
  if (!payment) return;
  const errors: PaymentProviderError[] = [];
  if (isWaiting(payment)) {
    const answer = await ask(kit, ctx, payment);
    await recordAnswers(kit, ctx, [answer]);
    if (answer.error) errors.push(answer.error);
  }
  for (const operation of operations) {
    const { error } = await pursueOperation(kit, ctx, payment, operation);
    if (error) errors.push(error);
  }
  const [first] = errors;
  if (first) throw first;
}

/** Whether a payment's outcome is still to come. */
export function isWaiting({ status, captureMode }: Payment): boolean {
  if (status === "authorised") return captureMode === "automatic";
  return status === "created" || status === "requires_action";
}

interface Answer {
  readonly observation?: PaymentObservation;
  readonly isAbandoned?: boolean;
  readonly error?: PaymentProviderError;
  readonly letter?: NewDeadLetter;
}

/** Asks about a payment; gives its id up when it has waited too long and nothing came of it. */
async function ask(kit: Kit, ctx: Context, payment: Payment): Promise<Answer> {
  const ageMs = kit.clock().getTime() - payment.createdAt.getTime();
  try {
    const observation = await enquire(kit, ctx, payment);
    const after = observation ? merge(payment, observation.snapshot, kit.clock()).payment : payment;
    if (!isWaiting(after) || ageMs < kit.bounds.abandonMs) {
      return observation ? { observation } : {};
    }
    const giveUp = { id: derivedId(payment.id, "void"), kind: "void", amountMinor: 0 } as const;
    const given = await operate(kit, ctx, payment, giveUp);
    return { observation: given, isAbandoned: true };
  } catch (error) {
    return explain(kit, payment, error, ageMs);
  }
}

async function pursue(
  kit: Kit,
  ctx: Context,
  operation: PaymentOperation,
): Promise<Answer & { readonly isSettled?: boolean }> {
  const payment = await kit.db.read(ctx.tenantId, (tx) => findPayment(tx, operation.paymentId));
  if (!payment) return {};
  const pursued = await pursueOperation(kit, ctx, payment, operation);
  if (!pursued.error) return { isSettled: pursued.operation.status !== "pending" };
  const ageMs = kit.clock().getTime() - operation.requestedAt.getTime();
  return explain(kit, payment, pursued.error, ageMs);
}

/** What a provider's failure means for a payment of this age. @throws what is no provider's failure */
function explain(kit: Kit, payment: Payment, error: unknown, ageMs: number): Answer {
  if (!(error instanceof PaymentProviderError)) throw error;
  if (!error.retryable) return { error, letter: misconfigured(payment, error) };
  if (ageMs < kit.bounds.unresolvedMs) return { error };
  const detail = { provider: payment.provider, status: payment.status, message: error.message };
  return { error, letter: { paymentId: payment.id, kind: "unresolved", detail } };
}

/** Records answers together; if that fails, one by one, so that one bad answer holds up no other. */
async function recordAnswers(kit: Kit, ctx: Context, answers: readonly Answer[]): Promise<number> {
  const observations = answers.flatMap(({ observation }) => observation ?? []);
  const recordAll = (batch: readonly PaymentObservation[]) =>
    recordWith(kit, ctx, batch, async (_, advances) =>
      advances.reduce((sum, { outcome }) => sum + (outcome === "advanced" ? 1 : 0), 0),
    );
  if (observations.length === 0) return 0;
  try {
    return await recordAll(observations);
  } catch (error) {
    if (observations.length === 1) throw error;
  }
  let advanced = 0;
  const errors: unknown[] = [];
  for (const observation of observations) {
    advanced += await recordAll([observation]).catch((error) => {
      errors.push(error);
      return 0;
    });
  }
  if (errors.length > 0) throw new AggregateError(errors, "some payments could not be recorded");
  return advanced;
}

function idsOf(operations: readonly PaymentOperation[]): PaymentOperationId[] {
  return operations.map(({ id }) => id);
}

async function inParallel<Item, Value>(
  items: readonly Item[],
  parallelMax: number,
  work: (item: Item) => Promise<Value>,
): Promise<Value[]> {
  const results: Value[] = new Array(items.length);
  const entries = items.entries();
  const lane = async () => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, lane));
  return results;
}
