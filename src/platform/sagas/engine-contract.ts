import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import type { Failure, Result } from "../../kernel/result.ts";
import type { TenantTx } from "../db/transaction.ts";
import type {
  AnyNewSaga,
  NewSaga,
  SagaDefinition,
  SagaEnding,
  SagaId,
  SagaOrigin,
  SagaOutcome,
  SagaRun,
  SagaStatus,
} from "./saga.ts";

/** Which runs to list. */
export interface SagaFilter {
  readonly status?: SagaStatus;
  readonly name?: string;
  /** Runs that began before this one: the last id of the page before. */
  readonly before?: string;
  /** 1 to 100. */
  readonly limit: number;
}

/** The runs of this process, and the commands on all runs. */
export interface Sagas {
  /** Makes definitions known; before `start`. */
  register(...definitions: readonly SagaDefinition<never, unknown>[]): void;
  /**
   * Begins runs in the caller's transaction: one statement, sent without waiting. After the commit
   * this process runs them at once, without claiming them first.
   */
  startSagas(tx: TenantTx, origin: SagaOrigin, sagas: readonly AnyNewSaga[]): void;
  /** Begins one run. */
  startSaga<Input>(tx: TenantTx, origin: SagaOrigin, saga: NewSaga<Input>): void;
  /**
   * Ends runs in the caller's transaction: one statement.
   *
   * @returns ids of the runs that ended; a run that is missing was taken over by another node:
   *   apply nothing for it
   */
  completeSagas(tx: TenantTx, endings: readonly SagaEnding[]): Promise<ReadonlySet<SagaId>>;
  /**
   * What a run of this process comes to: in memory, without asking the database.
   *
   * @returns undefined when this process does not run it (any more): use {@link waitFor}
   */
  outcomeOf(id: SagaId): Promise<SagaOutcome> | undefined;
  /** Waits until a run has ended or stuck. @returns undefined when it has not within the time */
  waitFor(
    tenantId: TenantId,
    id: SagaId,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<SagaRun | undefined>;
  /** One run with its steps. */
  find(tenantId: TenantId, id: SagaId): Promise<SagaRun | undefined>;
  /** Runs of a tenant, newest first. */
  list(tenantId: TenantId, filter: SagaFilter): Promise<Page<SagaRun>>;
  /** Takes a stuck run up again: its undos are tried anew. */
  retry(tenantId: TenantId, id: SagaId): Promise<Result<null, SagaNotStuck>>;
  /** Runs under way in this process. */
  running(): number;
  start(): void;
  /** Lets steps under way finish within the time, then gives the leases back. */
  stop(options?: { readonly withinMs?: number }): Promise<void>;
}

/** Refusal: the run is not stuck, or does not exist. */
export interface SagaNotStuck extends Failure {
  readonly code: "sagas.not_stuck";
  readonly sagaId: SagaId;
}
