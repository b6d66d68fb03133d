/** Shapes of answers that the API description leaves open. */

/** A brand at a glance. */
export interface Overview {
  readonly today: readonly { currency: string; orders: number; revenueMinor: number }[];
  readonly statuses: Readonly<Record<string, number>>;
  /** Orders in each of the last 60 minutes, oldest first. */
  readonly perMinute: readonly number[];
}

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
  readonly at: string;
  readonly kind: TimelineKind;
  readonly title: string;
  readonly requestId: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** An event of the log. */
export interface LoggedEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly stream: string;
  readonly position: number;
  readonly recordedAt: string;
  readonly occurredAt: string;
  readonly requestId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A job, wherever it stands. */
export interface Job {
  readonly id: string;
  readonly state: "ready" | "scheduled" | "running" | "dead" | "done";
  readonly queue: string;
  readonly kind: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly attempt: number;
  readonly enqueuedAt: string;
  readonly at?: string;
  readonly detail?: string;
  readonly progress?: number;
  readonly note?: string;
}

/** A job that will not run again by itself. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly attempt: number;
  readonly reason: "exhausted" | "refused" | "lost";
  readonly lastError: string;
  readonly enqueuedAt: string;
  readonly diedAt: string;
}

/** Depth and age of a queue. */
export interface Queue {
  readonly queue: string;
  readonly isPaused: boolean;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly dead: number;
  readonly oldestSeconds: number;
}

/** What is remembered of a saga's step. */
export interface SagaStep {
  readonly seq: number;
  readonly kind: string;
  readonly status: "done" | "failed" | "undone";
  readonly attempts: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message?: string };
  readonly undoError?: { readonly code: string; readonly message?: string };
}

/** A run of a saga. */
export interface SagaRun {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly status: "running" | "compensating" | "completed" | "compensated" | "stuck";
  readonly input: unknown;
  readonly output?: unknown;
  readonly failure?: unknown;
  readonly steps: Readonly<Record<string, SagaStep>>;
  readonly startedAt: string;
  readonly finishedAt?: string;
}

/** How far a reader of the event log is. */
export interface Subscription {
  readonly name: string;
  readonly database: string;
  readonly paused: boolean;
  readonly lagEvents: number;
  readonly lagSeconds: number;
  readonly dead: number;
  readonly waiting: number;
  readonly partitions: readonly { readonly partition: number; readonly lagEvents: number }[];
}

/** An event that a reader could not handle. */
export interface DeadEvent {
  readonly subscription: string;
  readonly eventId: string;
  readonly stream: string;
  readonly state: string;
  readonly attempts: number;
  readonly error?: unknown;
  readonly parkedAt?: string;
  readonly type?: string;
}
