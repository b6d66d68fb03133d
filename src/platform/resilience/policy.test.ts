import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Call, Work } from "./call.ts";
import { createPolicy, type PolicyConfig } from "./policy.ts";
import { createManualTimers } from "./timers.fixture.ts";

const away = () => Object.assign(new Error("away"), { code: "ECONNREFUSED" });
const forever = () => new Promise<never>(() => {});

function setup(config: Partial<PolicyConfig> = {}) {
  const timers = createManualTimers();
  const policy = createPolicy({
    name: "bank",
    timers,
    random: () => 1,
    timeoutMs: 100,
    retry: { attemptsMax: 3, backoff: { baseMs: 10, maxMs: 10 } },
    breaker: { failuresInARow: 5, openMs: 1_000 },
    bulkhead: { concurrencyMax: 2, queueMax: 2 },
    ...config,
  });
  return { timers, policy };
}

describe("a policy", () => {
  it("with nothing in it does the work", async () => {
    assert.equal(await createPolicy({ name: "none" }).run(async () => 1), 1);
  });

  it("counts every attempt for its breaker, and stops trying when that opens", async () => {
    const { timers, policy } = setup();
    let seen = 0;
    const work: Work<never> = async () => {
      seen++;
      throw away();
    };
    const codes: unknown[] = [];
    for (let call = 0; call < 4; call++) {
      const done = policy.run(work).catch((error) => codes.push(error.code));
      await timers.advance(100);
      await done;
    }
    assert.equal(seen, 5);
    assert.deepEqual(codes, [
      "ECONNREFUSED",
      // Its third attempt found the breaker open.
      "ERR_BREAKER_OPEN",
      "ERR_BREAKER_OPEN",
      "ERR_BREAKER_OPEN",
    ]);
    const figures = policy.figures();
    assert.deepEqual(
      [figures.calls, figures.retries, figures.rejected, figures.breaker],
      [4, 4, 3, "open"],
    );
  });

  it("holds no place while it pauses, and gives the work a deadline of its own", async () => {
    const { timers, policy } = setup({ bulkhead: { concurrencyMax: 1, queueMax: 0 } });
    const seen: number[] = [];
    const retried = policy.run(async (call: Call) => {
      seen.push(call.attempt, call.remainingMs());
      if (call.attempt === 1) throw away();
      return "done";
    });
    await timers.advance(1);
    assert.equal(await policy.run(async () => "between"), "between");
    await timers.advance(10);
    assert.equal(await retried, "done");
    assert.deepEqual(seen, [1, 100, 2, 100]);
  });

  it("gives a place back when work is given up that does not listen", async () => {
    const { timers, policy } = setup({ bulkhead: { concurrencyMax: 1, queueMax: 1 } });
    const [stuck, next] = [policy.run(forever), policy.run(async () => "next")];
    const late = assert.rejects(stuck, { code: "ERR_CALL_TIMEOUT" });
    await timers.advance(100);
    await late;
    assert.equal(await next, "next");
    assert.equal(policy.figures().timeouts, 1);
  });

  it("lets nobody wait for a place only to be refused", async () => {
    const { timers, policy } = setup({
      breaker: { failuresInARow: 1, openMs: 1_000 },
      bulkhead: { concurrencyMax: 2, queueMax: 2 },
    });
    const stuck = policy.run(forever).catch(() => {});
    await assert.rejects(
      policy.run(async () => Promise.reject(new Error("a bug"))),
      /a bug/,
    );
    const lost = policy.run(async () => Promise.reject(away()), {
      deadlineMs: timers.now() + 5,
    });
    await assert.rejects(lost, { code: "ECONNREFUSED" });
    await assert.rejects(policy.run(forever), { code: "ERR_BREAKER_OPEN" });
    await timers.advance(100);
    await stuck;
  });

  it("gives the next best thing when all has failed, and nothing to callers that left", async () => {
    const { timers, policy } = setup();
    const older = policy.runOr<string>(
      async () => Promise.reject(away()),
      (error) => `older, since it was ${(error as Error).message}`,
    );
    await timers.advance(100);
    assert.equal(await older, "older, since it was away");
    const gone = policy.runOr(forever, () => assert.fail("nobody waits"), {
      signal: AbortSignal.abort(),
    });
    await assert.rejects(gone, { code: "ERR_CALL_ABORTED" });
    assert.equal(policy.figures().fallbacks, 1);
  });

  it("hedges inside a retry, one of them for each attempt", async () => {
    const { timers, policy } = setup({ hedge: { after: 20 } });
    let seen = 0;
    const answer = policy.run(
      async () => {
        seen++;
        return seen === 2 ? "second" : forever();
      },
      { isRepeatable: true },
    );
    await timers.advance(20);
    assert.equal(await answer, "second");
    assert.equal(policy.figures().hedgesWon, 1);
  });
});
