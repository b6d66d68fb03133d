import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis } from "../../testing/redis.ts";
import { leaseStoreSuite } from "./lease-store.fixture.ts";
import { createLocks, createRedisLeaseStore } from "./locks.ts";

const skip = skipWithout("Redis");

async function openNodes(count: number) {
  const servers = await Promise.all(Array.from({ length: count }, startRedis));
  const store = () => createRedisLeaseStore({ nodes: servers.map((server) => server.connect()) });
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  return { servers, store, stop };
}

if (skip) {
  it("leases in Redis", { skip }, () => {});
} else {
  for (const count of [1, 3]) {
    leaseStoreSuite(`${count} Redis`, async () => {
      const { store, stop } = await openNodes(count);
      return { store: store(), other: store(), stop };
    });
  }
}

describe("locks over three Redis servers", { skip }, async () => {
  const { servers, store, stop } = skip ? ({} as never) : await openNodes(3);
  after(() => (skip ? undefined : stop()));
  const setup = () => {
    const request = { name: newId(), holder: newId(), leaseMs: 60_000 };
    return { request, rival: { ...request, holder: newId() }, leases: store() };
  };

  it("are had while one server is killed, paused or empty", async () => {
    const { request, rival, leases } = setup();
    const [first, second] = servers;
    assert(first && second);
    const lease = await leases.take(request);
    assert(lease);
    await first.kill();
    assert.equal(await leases.take(rival), undefined);
    assert(await leases.extend(request));
    await first.start();
    await connected(leases);
    // The server that was killed has forgotten; the other two remember.
    assert.equal(await leases.take(rival), undefined);
    assert.equal(await leases.release(request), true);
    second.pause();
    const next = await leases.take(rival);
    assert(next && next.token > lease.token);
    assert.equal(await leases.release(rival), true);
    second.resume();
  });

  it("are refused, not given twice, while a majority is away", async () => {
    const { request, leases } = setup();
    const [first, second] = servers;
    assert(first && second);
    await connected(leases);
    first.pause();
    second.pause();
    await assert.rejects(leases.take(request), { code: "ERR_LOCK_UNAVAILABLE" });
    const locks = createLocks({ store: leases, pollMs: 10 });
    const waiting = locks.acquire(request.name);
    first.resume();
    second.resume();
    // What was sent to the paused ones was given up or ends; whoever waits has it then.
    const lock = await waiting;
    assert(lock.isHeld());
    await locks.stop();
  });

  it("give later holders larger tokens, even when servers forget all they knew", async () => {
    const { request, leases } = setup();
    let last = 0;
    for (let round = 0; round < 9; round++) {
      const server = servers[round % 3];
      await server?.kill();
      const wanted = { ...request, holder: newId() };
      const lease = await untilTaken(() => leases.take(wanted));
      assert(lease.token > last, `${lease.token} after ${last}`);
      last = lease.token;
      await leases.release(wanted);
      await server?.start();
    }
  });

  /** All servers answer again. */
  async function connected(leases: ReturnType<typeof store>): Promise<void> {
    const probe = { name: newId(), holder: newId(), leaseMs: 60_000 };
    await untilTaken(() => leases.take(probe));
    await leases.release(probe);
  }
});

async function untilTaken<Lease>(take: () => Promise<Lease | undefined>): Promise<Lease> {
  for (;;) {
    const lease = await take().catch(() => undefined);
    if (lease) return lease;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
