import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compose,
  createBreaker,
  createBulkhead,
  createFallback,
  createHedge,
  createRetry,
  createTimeout,
  openCall,
} from "./resilience.ts";

describe("each mechanism", () => {
  const name = "alone";
  const layers = {
    breaker: createBreaker({ name }),
    bulkhead: createBulkhead({ name, concurrencyMax: 1, queueMax: 0 }),
    fallback: createFallback<string>({ name, instead: () => "instead" }),
    hedge: createHedge({ name }),
    retry: createRetry({ name }),
    timeout: createTimeout({ name, timeoutMs: 1_000 }),
    nothing: compose(),
  };
  for (const [what, layer] of Object.entries(layers)) {
    it(`works alone, and tells its work about a call that nobody described: ${what}`, async () => {
      const seen = await layer.run(async (call) => {
        assert.deepEqual([call.attempt, call.isRepeatable, call.signal.aborted], [1, false, false]);
        return "done";
      });
      assert.equal(seen, "done");
    });
  }

  it("hands the caller's deadline and signal through all of them to the work", async () => {
    const { breaker, bulkhead, hedge, retry, timeout } = layers;
    const caller = new AbortController();
    const deadlineMs = performance.now() + 500;
    const call = openCall({ deadlineMs, signal: caller.signal, isRepeatable: true });
    const gone = compose(retry, hedge, bulkhead, breaker, timeout).run(
      (part) =>
        new Promise((_, reject) => {
          assert.ok(part.deadlineMs <= deadlineMs);
          part.signal.addEventListener("abort", () => reject(part.signal.reason));
          caller.abort(new Error("left"));
        }),
      call,
    );
    await assert.rejects(gone, { code: "ERR_CALL_ABORTED" });
    assert.deepEqual([breaker.state(), bulkhead.active], ["closed", 0]);
  });
});
