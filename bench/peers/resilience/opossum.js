// opossum is a breaker that may have a timeout and a capacity; it has neither retry nor queue.
import CircuitBreaker from "opossum";

/**
 * @param {import("../../resilience.ts").SubjectLimits} limits
 * @returns {Record<string, (work: () => Promise<unknown>) => Promise<unknown>>}
 */
export function createSubjects(limits) {
  const make = (options) => {
    const circuit = new CircuitBreaker((work) => work(), {
      timeout: false,
      resetTimeout: limits.openMs,
      // It opens by a share of failures; those of the bench stay below it.
      errorThresholdPercentage: 50,
      // By default it sorts all latencies of its window at every failure: 2 ms each.
      rollingPercentilesEnabled: false,
      ...options,
    });
    return (work) => circuit.fire(work);
  };
  return {
    breaker: make({}),
    timeout: make({ timeout: limits.timeoutMs }),
  };
}
