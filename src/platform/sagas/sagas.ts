/** Front door of sagas. */

export type { SagaFilter, SagaNotStuck, Sagas } from "./engine-contract.ts";
export {
  defineSaga,
  type NewSaga,
  type RetryPolicy,
  type Saga,
  type SagaDefinition,
  type SagaEnding,
  type SagaId,
  type SagaOrigin,
  type SagaRun,
  type SagaStatus,
  type SagaSteps,
  type StepContext,
  type StepError,
  type StepOptions,
  type StepRecord,
  type TransactOptions,
} from "./saga.ts";
