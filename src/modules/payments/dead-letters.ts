import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import { enquire } from "./calls.ts";
import { pursueOperation, recordWith } from "./commands.ts";
import {
  type DeadLetterFailure,
  type Payment,
  type PaymentDeadLetter,
  type PaymentDeadLetterId,
  type PaymentObservation,
  PaymentProviderError,
} from "./contract.ts";
import type { Kit } from "./deps.ts";
import { merge } from "./payment.ts";
import { findDeadLetter, findPayment } from "./queries.ts";
import { closeDeadLetter, countDeadLetterRetry, pendingOperations } from "./store.ts";

/** See `Payments.resolveDeadLetter`. */
export function resolveDeadLetter(
  kit: Kit,
  ctx: Context,
  id: PaymentDeadLetterId,
  resolution: string,
): Promise<Result<PaymentDeadLetter, DeadLetterFailure | IdempotencyFailure>> {
  const work = async (tx: TenantTx): Promise<Result<PaymentDeadLetter, DeadLetterFailure>> => {
    const closed = await closeDeadLetter(tx, id, resolution);
    return closed ? ok(closed) : fail({ code: "payments.dead_letter_not_found", id });
  };
  return kit.uow.transact(ctx, work, { name: "payments.resolve_dead_letter" });
}

/** See `Payments.retryDeadLetter`. */
export async function retryDeadLetter(
  kit: Kit,
  ctx: Context,
  id: PaymentDeadLetterId,
): Promise<Result<PaymentDeadLetter, DeadLetterFailure>> {
  const letter = await kit.db.commit(ctx.tenantId, async (tx) => {
    countDeadLetterRetry(tx, id);
    return findDeadLetter(tx, id);
  });
  if (!letter || letter.resolvedAt) return fail({ code: "payments.dead_letter_not_found", id });
  const payment = await kit.db.read(ctx.tenantId, (tx) => findPayment(tx, letter.paymentId));
  if (!payment) return fail({ code: "payments.still_unresolved", kind: letter.kind });
  try {
    return await askAgain(kit, ctx, letter, payment);
  } catch (error) {
    if (!(error instanceof PaymentProviderError)) throw error;
    return fail({ code: "payments.provider_unavailable", provider: payment.provider });
  }
}

async function askAgain(
  kit: Kit,
  ctx: Context,
  letter: PaymentDeadLetter,
  payment: Payment,
): Promise<Result<PaymentDeadLetter, DeadLetterFailure>> {
  const unresolved = fail({ code: "payments.still_unresolved", kind: letter.kind } as const);
  const observation = await enquire(kit, ctx, payment);
  const pending = await kit.db.read(ctx.tenantId, (tx) => pendingOperations(tx, [payment.id]));
  for (const operation of pending) {
    const { error } = await pursueOperation(kit, ctx, payment, operation);
    if (error) throw error;
  }
  const observations: readonly PaymentObservation[] = observation ? [observation] : [];
  return recordWith(kit, ctx, observations, async (tx, [advance]) => {
    const after = advance && "after" in advance ? advance.after : payment;
    const trouble = observation && merge(after, observation.snapshot, kit.clock()).trouble;
    if (trouble || isMoneyHeld(letter, after)) return unresolved;
    const closed = await closeDeadLetter(tx, letter.id, "settled by asking the provider again");
    return closed ? ok(closed) : unresolved;
  });
}

/** Money that came after the end is settled only by giving it back, or by a person's word. */
function isMoneyHeld(letter: PaymentDeadLetter, payment: Payment): boolean {
  return letter.kind === "contradiction" && payment.capturedMinor > payment.refundedMinor;
}
