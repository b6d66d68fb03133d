import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Random, seededRandom } from "../../kernel/random.ts";
import type { Call } from "./call.ts";
import { ResilienceError } from "./errors.ts";
import { createPolicy } from "./policy.ts";
import { createManualTimers } from "./timers.fixture.ts";

const timeoutMs = 100;
const attemptsMax = 3;
const concurrencyMax = 4;
const calls = 400;

/** A peer with moods: it answers, fails in all ways there are, is slow, or never answers. */
function createPeer(random: Random, timers: ReturnType<typeof createManualTimers>) {
  const peer = { active: 0, mostActive: 0, attempts: 0, writesRepeated: 0, isAway: false };
  const seen = new Set<string>();
  const ask = async (call: Call, id: string): Promise<string> => {
    peer.attempts++;
    // A write that may have been done must not come again.
    if (seen.has(id)) peer.writesRepeated++;
    peer.active++;
    peer.mostActive = Math.max(peer.mostActive, peer.active);
    let ended = false;
    const end = () => {
      if (!ended) peer.active--;
      ended = true;
    };
    call.onAbort(end);
    try {
      const dice = peer.isAway ? 0 : random();
      if (dice < 0.05) throw Object.assign(new Error("away"), { code: "ECONNREFUSED" });
      if (!call.isRepeatable) seen.add(id);
      if (dice < 0.08) throw Object.assign(new Error("broken"), { code: "ECONNRESET" });
      if (dice < 0.1) throw new TypeError("a bug");
      if (dice < 0.13) return await new Promise<string>(() => {});
      await new Promise<void>((resolve) => void timers.after(random() * 60, resolve));
      return id;
    } finally {
      end();
    }
  };
  return { peer, ask };
}

async function simulate(seed: number) {
  const random = seededRandom(seed);
  const timers = createManualTimers();
  const { peer, ask } = createPeer(random, timers);
  const policy = createPolicy({
    name: "peer",
    timers,
    random,
    timeoutMs,
    retry: { attemptsMax, backoff: { baseMs: 5, maxMs: 40 }, ratio: 0.1, reserve: 10 },
    hedge: { after: 40, ratio: 0.1, reserve: 10 },
    breaker: { failuresInARow: 5, openMs: 50, openMaxMs: 200 },
    bulkhead: { concurrencyMax, queueMax: 8 },
  });
  const late: string[] = [];
  const wrong: string[] = [];
  const running: Promise<void>[] = [];
  let settled = 0;
  for (let n = 0; n < calls; n++) {
    peer.isAway = n % 100 > 80;
    const id = `call ${n}`;
    const caller = new AbortController();
    const deadlineMs = random() < 0.5 ? timers.now() + random() * 150 : undefined;
    const isRepeatable = random() < 0.5;
    const options = { deadlineMs, isRepeatable, signal: caller.signal };
    if (random() < 0.05) timers.after(random() * 50, () => caller.abort());
    const call = policy.run((part) => ask(part, id), options);
    const done = call.then(
      (value) => {
        if (value !== id) wrong.push(`${id} got the answer of ${value}`);
      },
      (error: unknown) => {
        const isKnown = error instanceof ResilienceError || error instanceof Error;
        if (!isKnown) wrong.push(`${id} threw ${String(error)}`);
      },
    );
    running.push(
      done.then(() => {
        settled++;
        if (deadlineMs !== undefined && timers.now() > deadlineMs) late.push(id);
      }),
    );
    await timers.advance(random() * 20);
  }
  await timers.advance(10_000);
  return { peer, policy, timers, late, wrong, settled, running };
}

describe("a policy under a peer with moods", () => {
  for (let seed = 1; seed <= 10; seed++) {
    it(`keeps its bounds and loses no call (seed ${seed})`, async () => {
      const { peer, policy, timers, late, wrong, settled, running } = await simulate(seed);
      assert.equal(settled, calls, "every call ends");
      await Promise.all(running);
      assert.deepEqual(wrong, []);
      assert.deepEqual(late, [], "nobody waits beyond its deadline");
      assert.ok(peer.mostActive <= concurrencyMax, `${peer.mostActive} at once`);
      assert.equal(peer.writesRepeated, 0, "what may have been done is not repeated");
      const { retries, hedges, rejected, timeouts } = policy.figures();
      // A tenth of the calls each, and what was saved up.
      assert.ok(retries <= calls / 10 + 10, `${retries} retries`);
      assert.ok(hedges <= calls / 10 + 10, `${hedges} hedges`);
      assert.ok(peer.attempts <= calls + retries + hedges, `${peer.attempts} attempts`);
      for (const [what, times] of Object.entries({ retries, hedges, rejected, timeouts }))
        assert.ok(times > 0, `a run without ${what} proves nothing of them`);
      assert.equal(peer.active, 0);
      assert.equal(timers.waiting, 0, "no timer is left behind");
    });
  }
});
