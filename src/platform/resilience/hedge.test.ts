import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, openCall } from "./call.ts";
import type { ResilienceEvent } from "./events.ts";
import { createHedge, type HedgeConfig } from "./hedge.ts";
import { createManualTimers } from "./timers.fixture.ts";

/** A hedge, and attempts that end when they are told to. */
function setup(config: Partial<HedgeConfig> = {}) {
  const timers = createManualTimers();
  const events: ResilienceEvent["kind"][] = [];
  const attempts: (PromiseWithResolvers<string> & { readonly call: Call })[] = [];
  const hedge = createHedge({
    name: "test",
    after: 20,
    timers,
    onEvent: ({ kind }) => events.push(kind),
    ...config,
  });
  const run = (options: { isRepeatable?: boolean; signal?: AbortSignal } = {}) =>
    hedge.run(
      (call) => {
        const attempt = { ...Promise.withResolvers<string>(), call };
        attempts.push(attempt);
        return attempt.promise;
      },
      openCall({ isRepeatable: true, ...options }, timers),
    );
  return { timers, events, attempts, run };
}

describe("a hedge", () => {
  it("does it a second time when the first is slow; the first answer wins, the other is aborted", async () => {
    const { timers, events, attempts, run } = setup();
    const answer = run();
    await timers.advance(19);
    assert.equal(attempts.length, 1);
    await timers.advance(1);
    assert.equal(attempts.length, 2);
    attempts[1]?.resolve("second");
    assert.equal(await answer, "second");
    assert.equal(attempts[0]?.call.isAborted, true);
    assert.equal(attempts[0]?.call.signal.aborted, true);
    assert.equal(attempts[1]?.call.isAborted, false);
    assert.deepEqual(events, ["hedge", "hedge_won"]);
  });

  it("leaves fast calls and those that are not repeatable alone", async () => {
    const { timers, events, attempts, run } = setup();
    const fast = run();
    attempts[0]?.resolve("fast");
    assert.equal(await fast, "fast");
    const write = run({ isRepeatable: false });
    await timers.advance(1_000);
    assert.equal(attempts.length, 2);
    attempts[1]?.resolve("written");
    assert.equal(await write, "written");
    assert.deepEqual(events, []);
  });

  it("waits for the other attempt when one fails, and fails when both do", async () => {
    const { timers, attempts, run } = setup();
    const saved = run();
    await timers.advance(20);
    attempts[1]?.reject(new Error("second"));
    attempts[0]?.resolve("first");
    assert.equal(await saved, "first");
    const lost = assert.rejects(run(), /fourth/);
    await timers.advance(20);
    attempts[2]?.reject(new Error("third"));
    attempts[3]?.reject(new Error("fourth"));
    await lost;
  });

  it("leaves failures before its time to the retry", async () => {
    const { timers, attempts, run } = setup();
    const failed = assert.rejects(run(), /at once/);
    attempts[0]?.reject(new Error("at once"));
    await failed;
    await timers.advance(1_000);
    assert.equal(attempts.length, 1);
  });

  it("spends at most its share of second attempts", async () => {
    const { timers, attempts, run } = setup({ ratio: 0.1, reserve: 2 });
    for (let call = 0; call < 50; call++) {
      const before = attempts.length;
      const answer = run();
      await timers.advance(20);
      attempts[before]?.resolve("slow");
      await answer;
    }
    // 50 first attempts, 2 saved up, one more for every ten calls.
    assert.ok(attempts.length >= 56 && attempts.length <= 57, `${attempts.length} attempts`);
  });

  it("learns from recent calls how long to wait", async () => {
    const { timers, attempts, run } = setup({ after: "p95", afterMinMs: 1 });
    const answer = async (afterMs: number) => {
      const at = attempts.length;
      const done = run();
      await timers.advance(afterMs);
      attempts[at]?.resolve("done");
      await done;
    };
    for (let call = 0; call < 40; call++) await answer(call < 36 ? 0.5 : 30);
    const before = attempts.length;
    const slow = run();
    await timers.advance(29);
    assert.equal(attempts.length, before + 1);
    await timers.advance(1);
    assert.equal(attempts.length, before + 2);
    attempts[before]?.resolve("done");
    await slow;
  });

  it("aborts both when the caller goes away", async () => {
    const { timers, attempts, run } = setup();
    const caller = new AbortController();
    const gone = assert.rejects(run({ signal: caller.signal }), /aborted/);
    await timers.advance(20);
    for (const { call, reject } of attempts) call.onAbort(() => reject(new Error("aborted")));
    caller.abort();
    await gone;
  });
});
