import { present } from "../../kernel/assert.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import {
  type AttributedEvent,
  type EventOrigin,
  writeEvents,
} from "../../platform/events/events.ts";
import type {
  NewPayment,
  Payment,
  PaymentAdvance,
  PaymentId,
  PaymentJournal,
  PaymentObservation,
  PaymentOperation,
  ProviderPayment,
  SettledPayment,
  SettledRecord,
} from "./contract.ts";
import type { AttributedPaymentJournal, PaymentsDeps } from "./deps.ts";
import { createdEvent, letterEvent, operationFailedEvent, stepEvent } from "./events.ts";
import { captureJournal, explainRefund, refundJournal } from "./journals.ts";
import { merge, type PaymentStep } from "./payment.ts";
import {
  insertDeadLetters,
  insertSettledPayments,
  lockPayments,
  type NewDeadLetter,
  pendingOperations,
  type SettledOperation,
  settleOperations,
  updatePayments,
} from "./store.ts";

/** Everything one batch of observations comes to, gathered before anything is written. */
interface Ledger {
  readonly payments: Map<PaymentId, Payment>;
  readonly changed: Set<PaymentId>;
  readonly pending: Map<string, PaymentOperation>;
  readonly settled: SettledOperation[];
  readonly journals: AttributedPaymentJournal[];
  readonly events: AttributedEvent[];
  readonly letters: NewDeadLetter[];
}

/** See `Payments.recordSettled`. */
export function recordSettled(
  clock: Clock,
  tx: TenantTx,
  settled: readonly SettledPayment[],
): readonly SettledRecord[] {
  if (settled.length === 0) return [];
  const now = clock();
  const fresh = settled.map(({ payment, origin }) => newPayment(payment, origin.occurredAt ?? now));
  const ledger = emptyLedger(new Map(fresh.map((payment) => [payment.id, payment])));
  writeEvents(
    tx,
    settled.map(({ payment, origin }) => ({ origin, event: createdEvent(payment) })),
  );
  const journals = settled.map(({ observation, origin }) => {
    const before = ledger.journals.length;
    observe(ledger, observation, origin, origin.occurredAt ?? now);
    return ledger.journals.slice(before).map(({ journal }) => journal);
  });
  const records = settled.map(({ payment }, index) => ({
    payment: present(ledger.payments.get(payment.id), "a payment of the batch"),
    journals: journals[index] ?? [],
  }));
  insertSettledPayments(
    tx,
    settled.map(({ payment }, index) => ({
      payment,
      state: (records[index] as SettledRecord).payment,
    })),
  );
  if (ledger.letters.length > 0) insertDeadLetters(tx, ledger.letters);
  writeEvents(tx, ledger.events);
  return records;
}

/** A payment as it is before anything is known of it. */
function newPayment(payment: NewPayment, at: Date): Payment {
  return {
    id: payment.id,
    orderId: payment.orderId,
    attempt: payment.attempt ?? 1,
    provider: payment.provider,
    captureMode: payment.captureMode ?? "automatic",
    status: "created",
    currency: payment.currency,
    amountMinor: payment.amountMinor,
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    isVoided: false,
    createdAt: at,
    updatedAt: at,
    version: 1,
  };
}

function emptyLedger(
  payments: Map<PaymentId, Payment>,
  pending: readonly PaymentOperation[] = [],
): Ledger {
  return {
    payments,
    changed: new Set(),
    pending: new Map(pending.map((operation) => [operation.id, operation])),
    settled: [],
    journals: [],
    events: [],
    letters: [],
  };
}

/** See `Payments.advancePayments`. */
export async function advancePayments(
  deps: Pick<PaymentsDeps, "postJournals"> & { readonly clock: Clock },
  tx: TenantTx,
  ctx: EventOrigin,
  observations: readonly PaymentObservation[],
): Promise<readonly PaymentAdvance[]> {
  if (observations.length === 0) return [];
  const ids = [...new Set(observations.map(({ snapshot }) => snapshot.paymentId))].sort();
  const operated = observations.filter(({ snapshot }) => snapshot.operations.length > 0);
  const operatedIds = [...new Set(operated.map(({ snapshot }) => snapshot.paymentId))].sort();
  const [payments, pending] = await Promise.all([
    lockPayments(tx, ids),
    // Sent behind the lock, in the same round trip: it sees what the lock waited for.
    operatedIds.length > 0 ? pendingOperations(tx, operatedIds) : [],
  ]);
  const ledger = emptyLedger(new Map(payments), pending);
  const now = deps.clock();
  const advances = observations.map((observation) => {
    const origin = observation.origin ?? ctx;
    // Imported history moves as of its own time.
    return observe(ledger, observation, origin, origin.occurredAt ?? now);
  });
  await write(deps, tx, ledger);
  return advances;
}

function observe(
  ledger: Ledger,
  { snapshot, calls }: PaymentObservation,
  origin: EventOrigin,
  now: Date,
): PaymentAdvance {
  const { paymentId } = snapshot;
  const before = ledger.payments.get(paymentId);
  if (!before) {
    const detail = { reason: "not_recorded", snapshot };
    raise(ledger, origin, { paymentId, kind: "unknown_payment", detail });
    return { outcome: "unknown_payment", paymentId };
  }
  const merged = merge(before, counted(ledger, before, snapshot), now);
  if (merged.trouble) raise(ledger, origin, { paymentId, ...merged.trouble });
  const after = merged.payment;
  ledger.payments.set(paymentId, after);
  if (merged.isChanged) ledger.changed.add(paymentId);
  const isBelieved = merged.isChanged || !merged.trouble;
  const settled = isBelieved ? settle(ledger, after, { snapshot, origin, now }) : [];
  for (const step of merged.steps) {
    ledger.events.push({ origin, event: stepEvent(after, step, calls) });
    const journals = journalsOf(after, step, settled, now);
    ledger.journals.push(...journals.map((journal) => ({ origin, journal })));
  }
  const isNews = merged.isChanged || settled.length > 0;
  return { outcome: isNews ? "advanced" : "unchanged", before, after };
}

/** The totals of a provider that keeps none: ours, and what it has done of what we wait for. */
function counted(ledger: Ledger, before: Payment, seen: ProviderPayment): ProviderPayment {
  if (!seen.keepsNoTotals) return seen;
  const done = (kind: "capture" | "refund") =>
    seen.operations
      .filter((operation) => operation.kind === kind && operation.status === "succeeded")
      .filter(({ key }) => ledger.pending.has(key))
      .reduce((sum, { amountMinor }) => sum + amountMinor, 0);
  return {
    ...seen,
    authorisedMinor: before.authorisedMinor,
    capturedMinor: before.capturedMinor + done("capture"),
    refundedMinor: before.refundedMinor + done("refund"),
  };
}

/** What was heard, from whom, and as of when. */
interface Hearing {
  readonly snapshot: ProviderPayment;
  readonly origin: EventOrigin;
  readonly now: Date;
}

/** Matches the provider's operations to ours that still wait. @returns ours that ended now, well or not */
function settle(
  ledger: Ledger,
  payment: Payment,
  { snapshot, origin, now }: Hearing,
): PaymentOperation[] {
  const ended: PaymentOperation[] = [];
  for (const { key, status, reference, failureCode } of snapshot.operations) {
    const ours = ledger.pending.get(key);
    if (!ours) continue;
    ledger.pending.delete(key);
    const reason = failureCode === undefined ? {} : { failureCode };
    ledger.settled.push({ id: ours.id, status, reference, settledAt: now, ...reason });
    const operation = { ...ours, status, ...reason };
    ended.push(operation);
    if (status === "failed") {
      ledger.events.push({ origin, event: operationFailedEvent(payment, operation) });
    }
  }
  return ended;
}

function journalsOf(
  payment: Payment,
  step: PaymentStep,
  settled: readonly PaymentOperation[],
  now: Date,
): PaymentJournal[] {
  if (step.step === "captured") return [captureJournal(payment, step.amountMinor, now)];
  if (step.step !== "refunded") return [];
  const refunds = settled.filter(({ kind, status }) => kind === "refund" && status === "succeeded");
  return explainRefund(step.amountMinor, refunds).map((part) => refundJournal(payment, part, now));
}

function raise(ledger: Ledger, origin: EventOrigin, letter: NewDeadLetter): void {
  ledger.letters.push(letter);
  ledger.events.push({ origin, event: letterEvent(letter) });
}

async function write(
  deps: Pick<PaymentsDeps, "postJournals">,
  tx: TenantTx,
  ledger: Ledger,
): Promise<void> {
  const changed = [...ledger.payments.values()].filter(({ id }) => ledger.changed.has(id));
  if (changed.length > 0) updatePayments(tx, changed);
  if (ledger.settled.length > 0) settleOperations(tx, ledger.settled);
  if (ledger.letters.length > 0) insertDeadLetters(tx, ledger.letters);
  writeEvents(tx, ledger.events);
  if (ledger.journals.length > 0) await deps.postJournals(tx, ledger.journals);
}
