/** Front door of sagas. */
export { createSagas, type SagasConfig, sagasTopic } from "./engine.ts";
export type { SagaFilter, SagaNotStuck, Sagas } from "./engine-contract.ts";
export { SagaInterruptedError, SagaTimeoutError, StepFailedError } from "./errors.ts";
export {
  type AnyNewSaga,
  defineSaga,
  type NewSaga,
  type RetryPolicy,
  type Saga,
  type SagaDefinition,
  type SagaEnding,
  type SagaId,
  type SagaOrigin,
  type SagaOutcome,
  type SagaRun,
  type SagaStatus,
  type SagaSteps,
  type StepContext,
  type StepError,
  type StepOptions,
  type StepRecord,
  type TransactOptions,
} from "./saga.ts";
export type { SagaEvent } from "./saga-event.ts";
