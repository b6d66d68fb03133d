import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  createLeadership,
  createLocks,
  createMemoryLeaseStore,
  type LeaseStore,
  type Lock,
  type LockEvent,
} from "./locks.ts";

// The timers of a lock do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const setup = (change: Partial<LeaseStore> = {}) => {
  const store = { ...createMemoryLeaseStore(), ...change };
  const events: LockEvent[] = [];
  const locks = createLocks({ store, onEvent: (event) => events.push(event) });
  const kinds = () => events.map(({ kind }) => kind);
  return { store, locks, events, kinds };
};

describe("locks", () => {
  it("let callers of a process have them in the order they came", async () => {
    const { locks } = setup();
    const order: number[] = [];
    const tokens: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        locks.withLock("a", {}, async ({ token, isHeld }) => {
          assert(isHeld());
          order.push(at);
          tokens.push(token);
        }),
      ),
    );
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, at) => at),
    );
    assert.deepEqual(
      tokens,
      tokens.toSorted((a, b) => a - b),
    );
    await locks.stop();
  });

  it("give up when waiting takes too long, or is called off", async () => {
    const { locks } = setup();
    const lock = await locks.acquire("a");
    await assert.rejects(locks.acquire("a", { waitMs: 0 }), { code: "ERR_LOCK_TIMEOUT" });
    await assert.rejects(locks.acquire("a", { waitMs: 5 }), { code: "ERR_LOCK_TIMEOUT" });
    const called = new AbortController();
    const waiting = locks.acquire("a", { signal: called.signal });
    const behind = locks.acquire("a");
    called.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.equal(await locks.tryAcquire("a"), undefined);
    await lock.release();
    await (await behind).release();
    assert(await locks.tryAcquire("a"));
    await locks.stop();
  });

  it("refuse to let too many wait", async () => {
    const locks = createLocks({ store: createMemoryLeaseStore(), waitingMax: 2 });
    const lock = await locks.acquire("a");
    const waiting = [locks.acquire("a"), locks.acquire("a")];
    await assert.rejects(locks.acquire("a"), { code: "ERR_LOCK_TIMEOUT" });
    await lock.release();
    for (const next of waiting) await (await next).release();
    await locks.stop();
  });

  it("are given back when the work fails", async () => {
    const { locks, kinds } = setup();
    const failing = locks.withLock("a", {}, async () => {
      throw new Error("no");
    });
    await assert.rejects(failing, /no/);
    const lock = await locks.tryAcquire("a");
    assert.equal(await lock?.release(), true);
    assert.equal(await lock?.release(), true);
    assert.deepEqual(kinds(), ["acquired", "released", "acquired", "released"]);
  });

  it("are renewed for as long as they are held, and end when they are not", async () => {
    let renewals = 0;
    const memory = createMemoryLeaseStore();
    const thrice = Promise.withResolvers<void>();
    const { locks, kinds } = setup({
      ...memory,
      async extend(request) {
        if (++renewals === 3) thrice.resolve();
        return memory.extend(request);
      },
    });
    const renewed = await locks.acquire("a", { leaseMs: 100 });
    const left = await locks.acquire("b", { leaseMs: 100, renews: false });
    await Promise.all([thrice.promise, lossOf(left)]);
    assert(renewed.isHeld() && !renewed.signal.aborted);
    assert(!left.isHeld());
    assert.equal(left.signal.reason.code, "ERR_LOCK_LOST");
    await assert.rejects(left.extend(), { code: "ERR_LOCK_LOST" });
    assert.equal(await left.release(), false);
    assert.equal(await renewed.release(), true);
    assert.deepEqual(kinds(), ["acquired", "acquired", "lost", "released"]);
  });

  it("survive a store that fails for less than the lease, and are lost to one that forgets", async () => {
    const memory = createMemoryLeaseStore();
    let state: "up" | "down" | "forgets" = "up";
    const recovered = Promise.withResolvers<void>();
    let failures = 0;
    const { locks, kinds } = setup({
      ...memory,
      async extend(request) {
        if (state === "forgets") return undefined;
        if (state === "down") {
          if (++failures === 2) state = "up";
          throw new Error("away");
        }
        if (failures > 0) recovered.resolve();
        return memory.extend(request);
      },
    });
    const lock = await locks.acquire("a", { leaseMs: 300 });
    state = "down";
    await recovered.promise;
    assert(lock.isHeld());
    state = "forgets";
    await lossOf(lock);
    assert.deepEqual(kinds(), ["acquired", "renewal_failed", "renewal_failed", "lost"]);
    await locks.stop();
  });

  it("are all given back at the end, and nobody waits any longer", async () => {
    const { locks, store } = setup();
    await locks.acquire("a");
    const waiting = assert.rejects(locks.acquire("a"), { code: "ERR_LOCKS_STOPPED" });
    await locks.stop();
    await locks.stop();
    await waiting;
    await assert.rejects(locks.acquire("a"), { code: "ERR_LOCKS_STOPPED" });
    const others = createLocks({ store });
    assert(await others.tryAcquire("a"));
    await others.stop();
  });
});

describe("leadership", () => {
  it("is one candidate's at a time, and the next one's when it ends, with a later term", async () => {
    const store = createMemoryLeaseStore();
    const terms: { readonly who: number; readonly token: number }[] = [];
    const came = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const candidates = [0, 1].map((who) => {
      const locks = createLocks({ store });
      return createLeadership({
        locks,
        name: "group",
        async lead({ token, signal }) {
          terms.push({ who, token });
          came[terms.length - 1]?.resolve();
          await abortOf(signal);
        },
      });
    });
    for (const candidate of candidates) candidate.start();
    await came[0]?.promise;
    assert.equal(candidates.filter((candidate) => candidate.isLeader()).length, 1);
    const leader = candidates[terms[0]?.who ?? 0];
    await leader?.stop();
    assert.equal(leader?.isLeader(), false);
    await came[1]?.promise;
    const [first, second] = terms;
    assert(first && second && first.who !== second.who && second.token > first.token);
    for (const candidate of candidates) await candidate.stop();
  });

  it("is laid down by who fails, and tells why", async () => {
    const errors: unknown[] = [];
    const again = Promise.withResolvers<void>();
    let terms = 0;
    const leadership = createLeadership({
      locks: createLocks({ store: createMemoryLeaseStore() }),
      name: "group",
      restMs: 1,
      async lead() {
        if (++terms === 2) again.resolve();
        throw new Error(`term ${terms}`);
      },
      onError: (error) => errors.push(error),
    });
    leadership.start();
    await again.promise;
    await leadership.stop();
    assert.match(String(errors[0]), /term 1/);
  });
});

function lossOf({ signal }: Lock): Promise<void> {
  return abortOf(signal);
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
