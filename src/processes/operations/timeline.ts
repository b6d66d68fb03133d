import type { PostedJournal } from "../../modules/ledger/contract.ts";
import type { Payment, PaymentOperation } from "../../modules/payments/contract.ts";
import type { StoriedEvent } from "../../platform/events/queries.ts";
import type { SagaRun } from "../../platform/sagas/sagas.ts";

/** What an entry of a timeline tells of. */
export type TimelineKind =
  | "request"
  | "transaction"
  | "event"
  | "saga"
  | "saga_step"
  | "payment"
  | "ledger"
  | "job";

/** One entry of an order's story. */
export interface TimelineEntry {
  readonly at: Date;
  readonly kind: TimelineKind;
  readonly title: string;
  /** Correlation id of the request that caused it, where known. */
  readonly requestId: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A job of an order, wherever it stands. */
export interface TimelineJob {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly at: Date;
  readonly requestId: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** All that is known of one order. */
export interface OrderFacts {
  readonly events: readonly StoriedEvent[];
  readonly saga: SagaRun | undefined;
  readonly payments: readonly {
    readonly payment: Payment;
    readonly operations: readonly PaymentOperation[];
  }[];
  readonly journals: readonly PostedJournal[];
  readonly jobs: readonly TimelineJob[];
}

/** Order in which entries of one moment are told: causes before effects. */
const rank: Readonly<Record<TimelineKind, number>> = {
  request: 0,
  transaction: 1,
  event: 2,
  ledger: 3,
  saga: 4,
  saga_step: 5,
  payment: 6,
  job: 7,
};

/** Tells the story of an order from what the modules know of it: oldest first. */
export function tellTimeline(facts: OrderFacts): readonly TimelineEntry[] {
  const entries = [
    ...requests(facts),
    ...transactions(facts.events),
    ...facts.events.map(eventEntry),
    ...sagaEntries(facts.saga),
    ...facts.payments.flatMap(paymentEntries),
    ...facts.journals.map((journal) => journalEntry(journal, facts.events)),
    ...facts.jobs.map(jobEntry),
  ];
  return entries.toSorted((a, b) => a.at.getTime() - b.at.getTime() || rank[a.kind] - rank[b.kind]);
}

function requests({ events, saga, journals }: OrderFacts): readonly TimelineEntry[] {
  const first = new Map<string, StoriedEvent>();
  for (const event of events) if (!first.has(event.requestId)) first.set(event.requestId, event);
  // Nothing of an order is older than the request that placed it, whatever clock told the time.
  const times = [
    ...journals.map(({ recordedAt }) => recordedAt),
    ...(saga ? [saga.startedAt] : []),
  ];
  const earliest = new Date(
    Math.min(...[...events.map((event) => event.recordedAt), ...times].map(Number)),
  );
  return [...first].map(([requestId, event], index) => ({
    at: index === 0 ? earliest : event.recordedAt,
    kind: "request",
    title: `Asked by ${event.metadata.actor.kind.replace("_", " ")}`,
    requestId,
    detail: {
      actor: event.metadata.actor,
      ...(event.metadata.traceparent ? { traceparent: event.metadata.traceparent } : {}),
    },
  }));
}

function transactions(events: readonly StoriedEvent[]): readonly TimelineEntry[] {
  const groups = Map.groupBy(events, (event) => event.transactionId);
  return [...groups].map(([transactionId, group]) => {
    const first = group[0] as StoriedEvent;
    return {
      at: first.recordedAt,
      kind: "transaction",
      title: `Transaction with ${group.length} ${group.length === 1 ? "event" : "events"}`,
      requestId: first.requestId,
      detail: { transactionId, types: group.map((event) => event.type) },
    };
  });
}

function eventEntry(event: StoriedEvent): TimelineEntry {
  return {
    at: event.recordedAt,
    kind: "event",
    title: event.type,
    requestId: event.requestId,
    detail: {
      id: event.id,
      stream: event.stream,
      position: event.position,
      occurredAt: event.occurredAt,
      data: event.data,
    },
  };
}

function sagaEntries(saga: SagaRun | undefined): readonly TimelineEntry[] {
  if (!saga) return [];
  const { requestId } = saga.origin;
  const steps = Object.entries(saga.steps).map(
    ([name, step]): TimelineEntry => ({
      at: new Date(step.endedAt),
      kind: "saga_step",
      title: `${name}: ${step.status}`,
      requestId,
      detail: {
        attempts: step.attempts,
        elapsedMs: step.endedAt - step.startedAt,
        ...(step.error ? { error: step.error } : {}),
        ...(step.undoError ? { undoError: step.undoError } : {}),
      },
    }),
  );
  const started: TimelineEntry = {
    at: saga.startedAt,
    kind: "saga",
    title: `${saga.name} started`,
    requestId,
    detail: { id: saga.id, version: saga.version },
  };
  if (!saga.finishedAt) return [started, ...steps];
  const ended: TimelineEntry = {
    at: saga.finishedAt,
    kind: "saga",
    title: `${saga.name} ${saga.status}`,
    requestId,
    detail: { id: saga.id, ...(saga.failure ? { failure: saga.failure } : {}) },
  };
  return [started, ...steps, ended];
}

function paymentEntries({ payment, operations }: OrderFacts["payments"][number]): TimelineEntry[] {
  const entry: TimelineEntry = {
    at: payment.updatedAt,
    kind: "payment",
    title: `Payment ${payment.status.replaceAll("_", " ")}`,
    requestId: null,
    detail: {
      id: payment.id,
      provider: payment.provider,
      amountMinor: payment.amountMinor,
      capturedMinor: payment.capturedMinor,
      refundedMinor: payment.refundedMinor,
      currency: payment.currency,
      ...(payment.instrument ? { instrument: payment.instrument } : {}),
      ...(payment.failureCode ? { failureCode: payment.failureCode } : {}),
    },
  };
  const done = operations.map(
    (operation): TimelineEntry => ({
      at: operation.settledAt ?? operation.requestedAt,
      kind: "payment",
      title: `${operation.kind} ${operation.status}`,
      requestId: null,
      detail: {
        id: operation.id,
        amountMinor: operation.amountMinor,
        currency: payment.currency,
        ...(operation.failureCode ? { failureCode: operation.failureCode } : {}),
      },
    }),
  );
  return [entry, ...done];
}

/** A journal is dated by the start of its transaction: it is told with the events of that one. */
function journalEntry(journal: PostedJournal, events: readonly StoriedEvent[]): TimelineEntry {
  const told = events.find(({ recordedAt }) => recordedAt >= journal.recordedAt);
  return {
    at: told?.recordedAt ?? journal.recordedAt,
    kind: "ledger",
    title: journal.kind,
    requestId: told?.requestId ?? null,
    detail: { id: journal.id, description: journal.description, entries: journal.entries },
  };
}

function jobEntry(job: TimelineJob): TimelineEntry {
  return {
    at: job.at,
    kind: "job",
    title: `${job.kind} ${job.state}`,
    requestId: job.requestId,
    detail: { id: job.id, ...job.detail },
  };
}
