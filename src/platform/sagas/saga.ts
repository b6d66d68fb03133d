import type { Backoff } from "../../kernel/backoff.ts";
import type { Context } from "../../kernel/context.ts";
import type { Id, TenantId } from "../../kernel/ids.ts";
import type { JsonValue } from "../../kernel/json.ts";
import type { Failure, Result } from "../../kernel/result.ts";
import type { TenantTx } from "../db/transaction.ts";

/** Names one run of a saga. */
export type SagaId = Id<"saga">;

/** Who started a run; a {@link Context} is one. */
export type SagaOrigin = Pick<Context, "requestId" | "actor" | "traceparent">;

/**
 * State of a run: `running`, `compensating` (its undos run), and the ends `completed`,
 * `compensated`, `stuck` (an undo failed for good: a person has to look, then `retry`).
 */
export type SagaStatus = "running" | "compensating" | "completed" | "compensated" | "stuck";

/** A durable function: runs again from its recorded steps after a crash, on any node. */
export interface SagaDefinition<Input = unknown, Output = unknown> {
  /** `<module>.<what_it_does>`: `checkout.pay`. */
  readonly name: string;
  /** Raised when the steps change; runs under way finish with the version they began with. */
  readonly version: number;
  /** Longest a run may take before it is compensated, milliseconds; default 1 hour. */
  readonly timeoutMs?: number;
  /**
   * The flow. Everything outside steps must be deterministic: it is executed again on resume.
   * What it throws starts the compensation. `Input` and `Output` must survive JSON.
   */
  readonly run: (saga: Saga, input: Input) => Promise<Output>;
}

/** Declares a saga with the types of its input and output. */
export function defineSaga<Input, Output>(
  definition: SagaDefinition<Input, Output>,
): SagaDefinition<Input, Output> {
  return definition;
}

/** What a step is told. */
export interface StepContext {
  /** The same at every attempt of this step of this run: pass it to whatever is called. */
  readonly idempotencyKey: string;
  readonly ctx: Context;
  /** Aborts at the step's timeout, at the run's deadline, and when the lease is lost. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt of this process. */
  readonly attempt: number;
}

/** How often something is tried. */
export interface RetryPolicy extends Backoff {
  /** Attempts at most, the first included. */
  readonly attemptsMax: number;
}

/** How a step runs; every field has a default. */
export interface StepOptions<Value> {
  /**
   * Takes the step's effect back. Must be idempotent.
   *
   * `value` is undefined when the step's outcome is unknown (it timed out, failed, or the node died
   * in it): find out by the idempotency key of the step, given as `step.idempotencyKey`.
   */
  readonly undo?: (value: Value | undefined, step: StepContext) => Promise<void>;
  /** Default 3 attempts, 100 ms to 2 s. An error with `retryable: false` is not tried again. */
  readonly retry?: Partial<RetryPolicy>;
  /** Longest one attempt may take, milliseconds; default 30,000. */
  readonly timeoutMs?: number;
}

/** How a step inside the database is taken back. */
export interface TransactOptions<Value> {
  /** Runs in one transaction with the record that it was undone: takes effect exactly once. */
  readonly undo?: (tx: TenantTx, value: Value) => Promise<void>;
}

/** A run, as its own function sees it. */
export interface Saga {
  readonly id: SagaId;
  readonly tenantId: TenantId;
  /** Acts as whoever started the run. */
  readonly ctx: Context;
  /**
   * Runs `work` and remembers its value: at least once, with a stable idempotency key.
   *
   * The record is durable before the next step begins, or in the commit of the next `transact` or
   * `finish`.
   * @param name unique within the run
   * @returns a value that survives JSON
   */
  step<Value>(
    name: string,
    work: (step: StepContext) => Promise<Value>,
    options?: StepOptions<Value>,
  ): Promise<Value>;
  /**
   * Runs `work` in one transaction together with its record: its effects happen exactly once.
   * A refusal rolls back, and is remembered and returned.
   */
  transact<Value, F extends Failure>(
    name: string,
    work: (tx: TenantTx) => Promise<Result<Value, F>>,
    options?: TransactOptions<Value>,
  ): Promise<Result<Value, F>>;
  /**
   * Ends the run inside a transaction of the caller's, which may end many runs at once: `submit`
   * must see to it that `completeSagas(tx, [ending])` is called in that transaction, and apply the
   * run's last effects only if it is among those returned. Nothing may follow but the return.
   */
  finish<Value>(submit: (ending: SagaEnding) => Promise<Value>): Promise<Value>;
}

/** A run that is about to end; made by {@link Saga.finish}. */
export interface SagaEnding {
  readonly id: SagaId;
  readonly tenantId: TenantId;
  /** Fencing token: a run that another node took over is not ended. */
  readonly token: number;
  /** Records that are not durable yet. */
  readonly steps: SagaSteps;
  /** What the run came to, for its view; set by whoever ends it. */
  readonly output?: JsonValue;
  /** Called once the end is durable. */
  readonly ended: () => void;
}

/** What is remembered of one step. */
export interface StepRecord {
  /** Order in the run, from 1. */
  readonly seq: number;
  readonly kind: "step" | "transact";
  readonly status: "done" | "failed" | "undone";
  /** Whether it has an undo. */
  readonly undoable?: boolean | undefined;
  /** Attempts of the last process that ran it. */
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly value?: JsonValue;
  readonly error?: StepError;
  /** Attempts and last error of its undo. */
  readonly undoAttempts?: number;
  readonly undoError?: StepError;
}

/** An error in a record. */
export interface StepError {
  readonly code: string;
  readonly message: string;
}

/** Steps of a run by name. */
export type SagaSteps = Readonly<Record<string, StepRecord>>;

/** A run to start. */
export interface NewSaga<Input = unknown> {
  readonly saga: SagaDefinition<Input, unknown>;
  /** Made by the caller, UUIDv7, so that a retry is the same run. */
  readonly id: SagaId;
  readonly input: Input;
  /** Run by this process right after the commit; default true. False leaves it to any node. */
  readonly runLocally?: boolean;
  /** Whose it is, where a batch has several. */
  readonly origin?: SagaOrigin;
}

/** A run of any saga: every {@link NewSaga} is one. */
export type AnyNewSaga = Omit<NewSaga, "saga"> & {
  readonly saga: SagaDefinition<never, unknown>;
};

/** What a run came to. */
export interface SagaOutcome {
  readonly status: "completed" | "compensated" | "stuck";
  /** What the function returned, when it completed. */
  readonly output?: unknown;
  /** Why it was compensated. */
  readonly failure?: StepError;
}

/** A run as it stands. */
export interface SagaRun {
  readonly id: SagaId;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly version: number;
  readonly status: SagaStatus;
  readonly input: JsonValue;
  readonly output: JsonValue;
  readonly failure: StepError | null;
  readonly steps: SagaSteps;
  readonly origin: SagaOrigin;
  readonly startedAt: Date;
  readonly deadlineAt: Date;
  readonly finishedAt: Date | null;
  /** From when on another node may take it. */
  readonly dueAt: Date;
  readonly holder: string | null;
}
