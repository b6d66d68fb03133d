import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, openCall } from "./call.ts";
import type { ResilienceEvent } from "./events.ts";
import { createTimeout } from "./timeout.ts";
import { createManualTimers } from "./timers.fixture.ts";

const forever = () => new Promise<never>(() => {});

function setup(timeoutMs = 100) {
  const timers = createManualTimers();
  const events: ResilienceEvent[] = [];
  const timeout = createTimeout({
    name: "test",
    timeoutMs,
    timers,
    onEvent: (event) => events.push(event),
  });
  return { timers, events, timeout };
}

describe("a timeout", () => {
  it("lets work through that ends in time", async () => {
    const { timers, timeout, events } = setup();
    assert.equal(await timeout.run(async () => 1, openCall({}, timers)), 1);
    await assert.rejects(
      timeout.run(
        () => {
          throw new RangeError("before the first await");
        },
        openCall({}, timers),
      ),
      RangeError,
    );
    await timers.advance(1_000);
    assert.deepEqual(events, []);
  });

  it("gives up on work that does not listen, and aborts the signal of work that does", async () => {
    const { timers, timeout, events } = setup();
    const deaf = assert.rejects(timeout.run(forever, openCall({}, timers)), {
      code: "ERR_CALL_TIMEOUT",
      maybeDone: true,
      retryable: true,
    });
    let seen: unknown;
    const listening = timeout.run(
      (call) =>
        new Promise((_, reject) => {
          call.signal.addEventListener("abort", () => {
            seen = call.signal.reason;
            reject(seen);
          });
        }),
      openCall({}, timers),
    );
    const heard = assert.rejects(listening, { code: "ERR_CALL_TIMEOUT" });
    await timers.advance(99);
    assert.equal(events.length, 0);
    await timers.advance(1);
    await Promise.all([deaf, heard]);
    assert.equal((seen as { code: string }).code, "ERR_CALL_TIMEOUT");
    assert.equal(events.length, 2);
  });

  it("ends at the caller's deadline when that comes first", async () => {
    const { timers, timeout } = setup();
    const call = openCall({ deadlineMs: timers.now() + 30 }, timers);
    let remainingMs = 0;
    const late = assert.rejects(
      timeout.run((part) => {
        remainingMs = part.remainingMs();
        return forever();
      }, call),
      { code: "ERR_CALL_DEADLINE", maybeDone: true },
    );
    assert.equal(remainingMs, 30);
    await timers.advance(30);
    await late;
  });

  it("does not begin after the deadline, or when the caller is gone", async () => {
    const { timers, timeout } = setup();
    const work = async () => assert.fail("it began");
    await assert.rejects(timeout.run(work, openCall({ deadlineMs: timers.now() }, timers)), {
      code: "ERR_CALL_DEADLINE",
      maybeDone: false,
    });
    await assert.rejects(timeout.run(work, openCall({ signal: AbortSignal.abort() }, timers)), {
      code: "ERR_CALL_ABORTED",
      maybeDone: false,
    });
  });

  it("ends when the caller goes away, and listens no longer than the call lasts", async () => {
    const { timers, timeout } = setup();
    const caller = new AbortController();
    const call = openCall({ signal: caller.signal }, timers);
    let inner: Call | undefined;
    const gone = assert.rejects(
      timeout.run((part) => {
        inner = part;
        return forever();
      }, call),
      { code: "ERR_CALL_ABORTED", maybeDone: true },
    );
    caller.abort(new Error("left"));
    await gone;
    assert.equal(inner?.isAborted, true);
    assert.equal(inner?.signal.aborted, true);
  });

  it("keeps one timer for all calls, those with nearer deadlines aside", async () => {
    const { timers, timeout } = setup();
    const ends: string[] = [];
    const start = (name: string, deadlineMs?: number) =>
      timeout.run(forever, openCall({ deadlineMs }, timers)).catch(() => ends.push(name));
    const first = start("first");
    assert.equal(timers.waiting, 1);
    await timers.advance(10);
    const rest = Array.from({ length: 50 }, (_, at) => start(`later ${at}`));
    assert.equal(timers.waiting, 1);
    const near = start("near", timers.now() + 5);
    assert.equal(timers.waiting, 2);
    await timers.advance(5);
    assert.deepEqual(ends, ["near"]);
    await timers.advance(85);
    assert.deepEqual(ends, ["near", "first"]);
    await timers.advance(10);
    assert.equal(ends.length, 52);
    await Promise.all([first, near, ...rest]);
    assert.equal(timers.waiting, 0);
  });

  it("is on time for a near deadline after far ones that are gone", async () => {
    const { timers, timeout } = setup();
    await timeout.run(async () => "gone", openCall({}, timers));
    const late = assert.rejects(
      timeout.run(forever, openCall({ deadlineMs: timers.now() + 10 }, timers)),
      { code: "ERR_CALL_DEADLINE" },
    );
    await timers.advance(10);
    await late;
    assert.equal(timers.waiting, 0);
  });

  it("may be shorter for one call", async () => {
    const { timers, timeout } = setup();
    const late = assert.rejects(timeout.run(forever, openCall({}, timers), 20), /within 20 ms/);
    await timers.advance(20);
    await late;
  });
});
