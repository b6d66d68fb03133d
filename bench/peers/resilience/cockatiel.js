// cockatiel as its readme shows it: plain JavaScript, because it is not installed where types are
// checked.
import {
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";

/**
 * @param {import("../../resilience.ts").SubjectLimits} limits
 * @returns {Record<string, (work: () => Promise<unknown>) => Promise<unknown>>}
 */
export function createSubjects(limits) {
  const backoff = new ExponentialBackoff({ initialDelay: 1, maxDelay: limits.backoffMaxMs });
  const again = retry(handleAll, { maxAttempts: limits.attemptsMax - 1, backoff });
  const breaker = () =>
    circuitBreaker(handleAll, {
      halfOpenAfter: limits.openMs,
      breaker: new ConsecutiveBreaker(limits.failuresInARow),
    });
  const time = timeout(limits.timeoutMs, TimeoutStrategy.Aggressive);
  const lanes = () => bulkhead(limits.concurrencyMax, limits.queueMax);
  const policies = {
    breaker: breaker(),
    timeout: time,
    bulkhead: lanes(),
    retry: again,
    composed: wrap(again, lanes(), breaker(), time),
  };
  return Object.fromEntries(
    Object.entries(policies).map(([name, policy]) => [name, (work) => policy.execute(work)]),
  );
}
