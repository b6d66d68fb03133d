import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { LeaseStore, TakenLease } from "./store.ts";

/** A store, and another one over the same leases, as a second process has it. */
export interface OpenedStores {
  readonly store: LeaseStore;
  readonly other: LeaseStore;
  stop(): Promise<void>;
}

const long = 60_000;
const short = 100;

const request = (leaseMs: number, lock = newId()) => ({ name: lock, holder: newId(), leaseMs });

/** What every backend of leases must do. */
export function leaseStoreSuite(name: string, open: () => Promise<OpenedStores>): void {
  describe(`leases in ${name}`, async () => {
    const opened = await open();
    after(opened.stop);
    testOneLease(opened);
    testEndOfLease(opened);
    testManyLeases(opened);
  });
}

function testOneLease({ store, other }: OpenedStores): void {
  it("are given to one of many who ask at once", async () => {
    const lock = newId();
    const taken = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        (at % 2 === 0 ? store : other).take(request(long, lock)),
      ),
    );
    assert.equal(taken.filter((lease) => lease !== undefined).length, 1);
  });

  it("last until they are given back, then go on with a larger token", async () => {
    const first = request(long);
    const lease = await store.take(first);
    assert(lease && lease.validUntilMs > performance.now());
    assert(lease.validUntilMs <= performance.now() + long);
    const second = request(long, first.name);
    assert.equal(await other.take(second), undefined);
    assert.equal(await other.release(second), false);
    assert.equal(await other.extend(second), undefined);
    assert.equal(await store.release(first), true);
    assert.equal(await store.release(first), false);
    const next = await other.take(second);
    assert(next && next.token > lease.token);
  });
}

function testEndOfLease({ store, other }: OpenedStores): void {
  it("end by themselves, not too early, and the late holder is told", async () => {
    const first = request(short);
    const askedAtMs = performance.now();
    const lease = await store.take(first);
    assert(lease);
    const second = request(long, first.name);
    const next = await untilTaken(() => other.take(second));
    assert(performance.now() >= askedAtMs + short, "a lease lasts as long as it was asked for");
    assert(lease.validUntilMs < askedAtMs + short, "its holder thinks it shorter than it is");
    assert(next.token > lease.token);
    assert.equal(await store.extend(first), undefined);
    assert.equal(await store.release(first), false);
    const third = request(long, first.name);
    assert.equal(await store.take(third), undefined);
    assert.equal(await other.release(second), true);
  });

  it("last longer when they are extended in time", async () => {
    const first = request(short);
    assert(await store.take(first));
    const until = await store.extend({ ...first, leaseMs: long });
    assert(until !== undefined && until > performance.now() + long / 2);
    // By now the first time is over, for whoever counts it from a lease taken later.
    const clock = request(short);
    assert(await store.take(clock));
    await untilTaken(() => other.take({ ...clock, holder: newId() }));
    assert.equal(await other.take(request(long, first.name)), undefined);
    assert.equal(await store.release(first), true);
  });
}

function testManyLeases({ store, other }: OpenedStores): void {
  it("are taken again by the same holder when its answer was lost", async () => {
    const first = request(long);
    const lease = await store.take(first);
    const again = await store.take(first);
    assert(lease && again && again.token > lease.token);
  });

  it("of different names do not meet", async () => {
    const requests = Array.from({ length: 50 }, () => request(long));
    const taken = await Promise.all(requests.map((each) => store.take(each)));
    assert(taken.every((lease) => lease !== undefined));
    const given = await Promise.all(requests.map((each) => other.release(each)));
    assert(given.every(Boolean));
  });

  it("are had by one at a time, with tokens that grow, however many race", async () => {
    const locks = Array.from({ length: 3 }, () => newId());
    const holders = new Map<string, string>();
    const lastToken = new Map<string, number>();
    let rounds = 0;
    const race = async (from: LeaseStore, at: number) => {
      while (rounds < 200) {
        const wanted = request(long, locks[at++ % locks.length]);
        const lease = await from.take(wanted);
        if (!lease) continue;
        assert.equal(holders.get(wanted.name), undefined);
        assert(lease.token > (lastToken.get(wanted.name) ?? 0));
        holders.set(wanted.name, wanted.holder);
        lastToken.set(wanted.name, lease.token);
        rounds++;
        await from.extend(wanted);
        assert.equal(holders.get(wanted.name), wanted.holder);
        holders.delete(wanted.name);
        assert(await from.release(wanted));
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map((at) => race(at % 2 === 0 ? store : other, at)));
  });
}

/** Asks until the lease is free. */
async function untilTaken(take: () => Promise<TakenLease | undefined>): Promise<TakenLease> {
  for (;;) {
    const lease = await take();
    if (lease) return lease;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
