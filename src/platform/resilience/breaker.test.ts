import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BreakerConfig, createBreaker } from "./breaker.ts";
import { ResilienceError } from "./errors.ts";
import type { ResilienceEvent } from "./events.ts";
import { createManualTimers } from "./timers.fixture.ts";

const away = () => Object.assign(new Error("away"), { code: "ECONNREFUSED" });

function setup(config: Partial<BreakerConfig> = {}) {
  const timers = createManualTimers();
  const events: ResilienceEvent[] = [];
  const breaker = createBreaker({
    name: "test",
    failuresInARow: 3,
    openMs: 100,
    openMaxMs: 400,
    random: () => 1,
    timers,
    onEvent: (event) => events.push(event),
    ...config,
  });
  const good = () => breaker.run(async () => "done");
  const bad = (error: unknown = away()) =>
    breaker
      .run(async () => {
        throw error;
      })
      .catch((caught: unknown) => caught);
  const trip = async () => {
    for (let n = 0; n < 3; n++) await bad();
    assert.equal(breaker.state(), "open");
  };
  return { timers, events, breaker, good, bad, trip };
}

describe("a breaker", () => {
  it("opens after failures in a row, and only in a row", async () => {
    const { breaker, good, bad } = setup();
    await bad();
    await bad();
    await good();
    await bad();
    await bad();
    assert.equal(breaker.state(), "closed");
    await bad();
    assert.equal(breaker.state(), "open");
  });

  it("refuses at once while it is open, without doing the work", async () => {
    const { breaker, trip, events } = setup();
    await trip();
    const work = async () => assert.fail("it was done");
    await assert.rejects(breaker.run(work), { code: "ERR_BREAKER_OPEN", maybeDone: false });
    assert.equal(breaker.refuses(), true);
    assert.deepEqual(events.at(-1), { kind: "rejected", name: "test", by: "breaker" });
  });

  it("does not count the caller's mistakes, absence or impatience", async () => {
    const { breaker, bad } = setup();
    for (let n = 0; n < 5; n++) {
      await bad(new TypeError("a bug"));
      await bad(AbortSignal.abort().reason);
      await bad(new ResilienceError("ERR_CALL_DEADLINE", "a millisecond was given"));
    }
    assert.equal(breaker.state(), "closed");
    for (let n = 0; n < 3; n++) await bad(new ResilienceError("ERR_CALL_TIMEOUT", "late"));
    assert.equal(breaker.state(), "open");
  });

  it("lets one try when its time is up, refuses the others, and closes when that went well", async () => {
    const { timers, breaker, good, trip, events } = setup();
    await trip();
    await timers.advance(99);
    await assert.rejects(good());
    await timers.advance(1);
    const probe = Promise.withResolvers<string>();
    const probing = breaker.run(() => probe.promise);
    assert.equal(breaker.state(), "half_open");
    await assert.rejects(good(), { code: "ERR_BREAKER_OPEN" });
    probe.resolve("done");
    assert.equal(await probing, "done");
    assert.equal(breaker.state(), "closed");
    await good();
    const states = events.flatMap((event) => (event.kind === "breaker" ? [event.state] : []));
    assert.deepEqual(states, ["open", "half_open", "closed"]);
  });

  it("stays open twice as long each time the one that tries fails, up to a bound", async () => {
    const { timers, breaker, bad, trip } = setup();
    await trip();
    for (const openMs of [100, 200, 400, 400]) {
      await timers.advance(openMs - 1);
      assert.equal(breaker.refuses(), true);
      await timers.advance(1);
      assert.equal(breaker.refuses(), false);
      await bad();
      assert.equal(breaker.state(), "open");
    }
  });

  it("takes half of its open time from chance", async () => {
    const { timers, breaker, trip } = setup({ random: () => 0 });
    await trip();
    await timers.advance(50);
    assert.equal(breaker.refuses(), false);
  });

  it("begins with the short time again once it was closed", async () => {
    const { timers, breaker, good, bad, trip } = setup();
    await trip();
    await timers.advance(100);
    await bad();
    await timers.advance(200);
    await good();
    await trip();
    await timers.advance(100);
    assert.equal(breaker.refuses(), false);
  });

  it("asks for as many good calls as may try", async () => {
    const { timers, breaker, good, trip } = setup({ probes: 2 });
    await trip();
    await timers.advance(100);
    await good();
    assert.equal(breaker.state(), "half_open");
    await good();
    assert.equal(breaker.state(), "closed");
  });

  it("gives the place of one that tried and said nothing to the next", async () => {
    const { timers, breaker, good, bad, trip } = setup();
    await trip();
    await timers.advance(100);
    await bad(AbortSignal.abort().reason);
    assert.equal(breaker.state(), "half_open");
    await good();
    assert.equal(breaker.state(), "closed");
  });

  it("is not kept open for ever by one that tried and never came back", async () => {
    const { timers, breaker, good, trip } = setup();
    await trip();
    await timers.advance(100);
    void breaker.run(() => new Promise(() => {}));
    await timers.advance(399);
    await assert.rejects(good());
    await timers.advance(1);
    assert.equal(await good(), "done");
    assert.equal(breaker.state(), "closed");
  });

  it("is told nothing by calls that began before it last changed", async () => {
    const { timers, breaker, good, trip } = setup();
    const old = Array.from({ length: 5 }, () => Promise.withResolvers<never>());
    const late = old.map(({ promise }) => breaker.run(() => promise).catch(() => {}));
    await trip();
    await timers.advance(100);
    await good();
    assert.equal(breaker.state(), "closed");
    for (const { reject } of old) reject(away());
    await Promise.all(late);
    assert.equal(breaker.state(), "closed");
  });

  it("opens by the share of failures, once it has seen enough of them", async () => {
    const failureRate = { ratio: 0.5, windowMs: 1_000, callsMin: 10 };
    const { breaker, good, bad } = setup({ failuresInARow: Number.POSITIVE_INFINITY, failureRate });
    for (let n = 0; n < 4; n++) {
      await bad();
      await good();
    }
    await good();
    assert.equal(breaker.state(), "closed");
    await bad();
    assert.equal(breaker.state(), "open");
  });

  it("forgets failures that are older than its window", async () => {
    const failureRate = { ratio: 0.5, windowMs: 1_000, callsMin: 4 };
    const { timers, breaker, good, bad } = setup({ failuresInARow: 99, failureRate });
    for (let n = 0; n < 3; n++) await bad();
    await timers.advance(1_000);
    for (let n = 0; n < 3; n++) await good();
    await bad();
    assert.equal(breaker.state(), "closed");
    await timers.advance(5_000);
    for (let n = 0; n < 4; n++) await bad();
    assert.equal(breaker.state(), "open");
  });

  it("closes when somebody else says that the dependency is well", async () => {
    const { breaker, good, trip, events } = setup();
    await trip();
    breaker.reset();
    assert.equal(await good(), "done");
    breaker.reset();
    const states = events.flatMap((event) => (event.kind === "breaker" ? [event.state] : []));
    assert.deepEqual(states, ["open", "closed"]);
  });

  it("counts answers that say the peer is not well", async () => {
    const { breaker } = setup({ isBadAnswer: (status) => Number(status) >= 500 });
    for (let n = 0; n < 3; n++) assert.equal(await breaker.run(async () => 500), 500);
    assert.equal(breaker.state(), "open");
  });
});
