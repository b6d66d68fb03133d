export {
  type Breaker,
  type BreakerConfig,
  createBreaker,
} from "./breaker.ts";
export { createRetryBudget, type RetryBudget } from "./budget.ts";
export {
  type Bulkhead,
  type BulkheadConfig,
  type BulkheadLimits,
  createBulkhead,
} from "./bulkhead.ts";
export {
  type Call,
  type CallOptions,
  type Layer,
  type OpenCall,
  openCall,
  type Work,
} from "./call.ts";
export { type BreakerLimits, breakerDefaults } from "./circuit.ts";
export { type Classify, classifyError, type ErrorClass } from "./classify.ts";
export { ResilienceError, type ResilienceErrorCode } from "./errors.ts";
export type { BreakerState, OnResilienceEvent, ResilienceEvent } from "./events.ts";
export { createExpiries, type Expiries, type Expiry } from "./expiries.ts";
export type { FailureRateLimits } from "./failure-rate.ts";
export { createFallback, type Fallback, type FallbackConfig } from "./fallback.ts";
export { createTally, type DependencyFigures, type Tally } from "./figures.ts";
export { createHedge, type HedgeConfig, type HedgeLimits, hedgeDefaults } from "./hedge.ts";
export { compose, createPolicy, doorOf, type Policy, type PolicyConfig } from "./policy.ts";
export {
  type BoundedQueue,
  createBoundedQueue,
  type QueueConfig,
  type WhenFull,
} from "./queue.ts";
export { createRetry, type RetryConfig, type RetryLimits, retryDefaults } from "./retry.ts";
export { createTimeout, type Timeout, type TimeoutConfig } from "./timeout.ts";
export { systemTimers, type Timers } from "./timers.ts";
