import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createBulkhead } from "./bulkhead.ts";
import { openCall } from "./call.ts";
import { createManualTimers } from "./timers.fixture.ts";

/** A bulkhead, and work that ends when it is told to. */
function setup(concurrencyMax: number, queueMax: number) {
  const timers = createManualTimers();
  const bulkhead = createBulkhead({ name: "test", concurrencyMax, queueMax, timers });
  const begun: string[] = [];
  const start = (name: string, options = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const work = () => {
      begun.push(name);
      return promise;
    };
    const ended = bulkhead.run(work, openCall(options, timers));
    return { ended, end: () => resolve(name), fail: () => reject(new Error(name)) };
  };
  return { timers, bulkhead, begun, start };
}

describe("a bulkhead", () => {
  it("lets so many in at once, and the others in the order in which they came", async () => {
    const { bulkhead, begun, start } = setup(2, 2);
    const calls = ["a", "b", "c", "d"].map((name) => start(name));
    assert.deepEqual(begun, ["a", "b"]);
    assert.deepEqual([bulkhead.active, bulkhead.waiting], [2, 2]);
    calls[1]?.end();
    await calls[1]?.ended;
    await Promise.resolve();
    assert.deepEqual(begun, ["a", "b", "c"]);
    for (const call of calls) call.end();
    assert.deepEqual(await Promise.all(calls.map(({ ended }) => ended)), ["a", "b", "c", "d"]);
    assert.deepEqual([bulkhead.active, bulkhead.waiting], [0, 0]);
  });

  it("refuses at once when too many wait", async () => {
    const { start } = setup(1, 1);
    const [running, waiting] = [start("a"), start("b")];
    await assert.rejects(start("c").ended, { code: "ERR_BULKHEAD_FULL", maybeDone: false });
    running.end();
    waiting.end();
    await waiting.ended;
  });

  it("gives the place back when the work fails", async () => {
    const { bulkhead, begun, start } = setup(1, 1);
    const [first, second] = [start("a"), start("b")];
    first.fail();
    await assert.rejects(first.ended);
    second.end();
    assert.equal(await second.ended, "b");
    assert.deepEqual(begun, ["a", "b"]);
    assert.equal(bulkhead.active, 0);
  });

  it("sends away whoever waits past its deadline, and whose caller leaves", async () => {
    const { timers, bulkhead, begun, start } = setup(1, 5);
    const running = start("a");
    const late = assert.rejects(start("b", { deadlineMs: timers.now() + 10 }).ended, {
      code: "ERR_CALL_DEADLINE",
      maybeDone: false,
    });
    const caller = new AbortController();
    const gone = assert.rejects(start("c", { signal: caller.signal }).ended, {
      code: "ERR_CALL_ABORTED",
    });
    const next = start("d");
    await timers.advance(10);
    await late;
    caller.abort();
    await gone;
    assert.equal(bulkhead.waiting, 1);
    running.end();
    next.end();
    await next.ended;
    assert.deepEqual(begun, ["a", "d"]);
    assert.equal(timers.waiting, 0);
  });

  it("lets nobody slip in between the end of one and the beginning of the next", async () => {
    const { bulkhead, start } = setup(1, 100);
    let [active, most] = [0, 0];
    const work = async () => {
      most = Math.max(most, ++active);
      await Promise.resolve();
      active--;
    };
    const running = start("a");
    running.end();
    const calls = Array.from({ length: 50 }, () => bulkhead.run(work, openCall()));
    await running.ended;
    await Promise.all([
      ...calls,
      ...Array.from({ length: 5 }, () => bulkhead.run(work, openCall())),
    ]);
    assert.equal(most, 1);
  });
});
