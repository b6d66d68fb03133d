import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRetryBudget } from "./budget.ts";
import { type CallOptions, openCall } from "./call.ts";
import { ResilienceError } from "./errors.ts";
import type { ResilienceEvent } from "./events.ts";
import { createRetry, type RetryConfig } from "./retry.ts";
import { createManualTimers } from "./timers.fixture.ts";

const refused = () => Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
const broken = () => Object.assign(new Error("broken"), { code: "ECONNRESET" });

/** Work that fails with these errors, one after the other, and then answers. */
function setup(errors: readonly Error[], config: Partial<RetryConfig> = {}) {
  const timers = createManualTimers();
  const events: ResilienceEvent[] = [];
  const attempts: number[] = [];
  const retry = createRetry({
    name: "test",
    timers,
    random: () => 1,
    backoff: { baseMs: 10, maxMs: 1_000 },
    onEvent: (event) => events.push(event),
    ...config,
  });
  const run = (options: CallOptions = {}) =>
    retry.run(
      async ({ attempt }) => {
        attempts.push(attempt);
        const error = errors[attempts.length - 1];
        if (error) throw error;
        return "done";
      },
      openCall(options, timers),
    );
  return { timers, events, attempts, retry, run };
}

describe("a retry", () => {
  it("tries transient failures again, with pauses that double", async () => {
    const { timers, events, attempts, run } = setup([refused(), refused()]);
    const done = run();
    await timers.advance(9);
    assert.deepEqual(attempts, [1]);
    await timers.advance(1);
    assert.deepEqual(attempts, [1, 2]);
    await timers.advance(20);
    assert.equal(await done, "done");
    assert.deepEqual(attempts, [1, 2, 3]);
    const waits = events.map((event) => event.kind === "retry" && event.waitMs);
    assert.deepEqual(waits, [10, 20]);
  });

  it("repeats what may have been done only if the call says that it is repeatable", async () => {
    const once = setup([broken()]);
    const failed = assert.rejects(once.run(), { code: "ECONNRESET" });
    await once.timers.advance(1_000);
    await failed;
    assert.deepEqual(once.attempts, [1]);
    const twice = setup([broken()]);
    const done = twice.run({ isRepeatable: true });
    await twice.timers.advance(10);
    assert.equal(await done, "done");
  });

  it("never repeats a timed-out write", async () => {
    const late = new ResilienceError("ERR_CALL_TIMEOUT", "late", { maybeDone: true });
    const { timers, attempts, run } = setup([late]);
    const failed = assert.rejects(run({ isRepeatable: false }), { code: "ERR_CALL_TIMEOUT" });
    await timers.advance(1_000);
    await failed;
    assert.deepEqual(attempts, [1]);
  });

  it("never repeats what failed for good, nor what it does not know, nor a refusal", async () => {
    const open = new ResilienceError("ERR_BREAKER_OPEN", "open");
    for (const error of [new Error("a bug"), new TypeError("another"), open]) {
      const { attempts, run } = setup([error]);
      await assert.rejects(run({ isRepeatable: true }), error);
      assert.deepEqual(attempts, [1]);
    }
  });

  it("gives up after its attempts, with the last error", async () => {
    const { timers, attempts, run } = setup([refused(), refused(), refused(), refused()]);
    const done = assert.rejects(run(), { code: "ECONNREFUSED" });
    await timers.advance(1_000);
    await done;
    assert.equal(attempts.length, 3);
  });

  it("says that it may have been done when any of its attempts may", async () => {
    const { timers, run } = setup([broken(), refused(), refused()]);
    const done = assert.rejects(run({ isRepeatable: true }), { code: "ECONNRESET" });
    await timers.advance(1_000);
    await done;
  });

  it("does not pause beyond the deadline", async () => {
    const { timers, events, attempts, run } = setup([refused()]);
    await assert.rejects(run({ deadlineMs: timers.now() + 10 }), { code: "ECONNREFUSED" });
    assert.deepEqual(attempts, [1]);
    assert.deepEqual(events, [{ kind: "retry_withheld", name: "test", why: "deadline" }]);
  });

  it("waits as long as the peer asks, and not at all when that is too long", async () => {
    let askedMs = 500;
    const { timers, attempts, run } = setup([refused(), refused()], {
      retryAfterMs: () => askedMs,
      pauseMaxMs: 1_000,
    });
    const done = assert.rejects(run(), { code: "ECONNREFUSED" });
    await timers.advance(499);
    assert.equal(attempts.length, 1);
    askedMs = 2_000;
    await timers.advance(1);
    await done;
    assert.equal(attempts.length, 2);
  });

  it("spends at most a tenth of the calls, and what was saved up", async () => {
    const { timers, retry } = setup([], { backoff: { baseMs: 0, maxMs: 0 } });
    let seen = 0;
    for (let call = 0; call < 200; call++) {
      const work = async () => {
        seen++;
        throw refused();
      };
      const done = retry.run(work, openCall({}, timers)).catch(() => {});
      await timers.advance(1);
      await done;
    }
    // 200 first attempts, 10 saved up, one more for every ten calls.
    assert.ok(seen >= 228 && seen <= 231, `${seen} attempts`);
  });

  it("shares a budget with others", async () => {
    const budget = createRetryBudget(0, 1);
    const [first, second] = [setup([refused()], { budget }), setup([refused()], { budget })];
    const done = first.run();
    await first.timers.advance(10);
    await done;
    await assert.rejects(second.run());
    assert.deepEqual(second.events, [{ kind: "retry_withheld", name: "test", why: "budget" }]);
  });

  it("stops when the caller goes away during a pause", async () => {
    const { timers, attempts, run } = setup([refused()]);
    const caller = new AbortController();
    const done = assert.rejects(run({ signal: caller.signal }), {
      code: "ERR_CALL_ABORTED",
      cause: "gone",
    });
    await timers.advance(5);
    caller.abort("gone");
    await done;
    await timers.advance(100);
    assert.deepEqual(attempts, [1]);
    assert.equal(timers.waiting, 0);
  });

  it("says that it may have been done to a caller that leaves after such an attempt", async () => {
    const { run } = setup([broken()]);
    const caller = new AbortController();
    const done = run({ signal: caller.signal, isRepeatable: true });
    await new Promise(setImmediate);
    caller.abort();
    await assert.rejects(done, { code: "ERR_CALL_ABORTED", maybeDone: true });
  });

  it("tries again after answers that are none, and gives the last one back", async () => {
    const timers = createManualTimers();
    const retry = createRetry({
      name: "test",
      timers,
      classifyAnswer: (status) => (status === 503 ? "timeout" : undefined),
    });
    const answers = [503, 503, 503, 200];
    const ask = () =>
      retry.run(async () => answers.shift(), openCall({ isRepeatable: true }, timers));
    const first = ask();
    await timers.advance(1_000);
    assert.equal(await first, 503);
    assert.equal(await ask(), 200);
  });

  it("gives the outcome of the attempt before when a repetition finds no time left", async () => {
    const unbegun = new ResilienceError("ERR_CALL_DEADLINE", "passed");
    const { timers, run } = setup([broken(), unbegun]);
    const done = assert.rejects(run({ isRepeatable: true }), { code: "ECONNRESET" });
    await timers.advance(100);
    await done;
  });
});
