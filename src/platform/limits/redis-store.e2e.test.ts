import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis } from "../../testing/redis.ts";
import { limitStoreSuite } from "./limit-store.fixture.ts";
import { createRedisLimitStore } from "./limits.ts";
import type { LimitPolicy } from "./policy.ts";

const skip = skipWithout("Redis");

async function openNodes(count: number) {
  const servers = await Promise.all(Array.from({ length: count }, startRedis));
  const store = () => createRedisLimitStore({ nodes: servers.map((server) => server.connect()) });
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  return { servers, store, stop };
}

if (skip) {
  it("limits in Redis", { skip }, () => {});
} else {
  for (const count of [1, 3]) {
    limitStoreSuite(`${count} Redis`, async () => {
      const { store, stop } = await openNodes(count);
      return { store: store(), other: store(), stop };
    });
  }
}

describe("limits in Redis", { skip }, async () => {
  const { servers, stop } = skip ? ({} as never) : await openNodes(1);
  after(() => (skip ? undefined : stop()));
  const policy: LimitPolicy = { name: "a", algorithm: "fixed_window", limit: 2, windowMs: 60_000 };
  const take = (key: string) =>
    ({ verb: "take", policy, key, cost: 1, upTo: 1, ticket: 0 }) as const;

  it("are forgotten by the server when their whole limit is there again", async () => {
    const [server] = servers;
    const client = server?.connect();
    assert(client);
    const store = createRedisLimitStore({ nodes: [client] });
    await store.apply([[take("x")]]);
    const [key = ""] = await client.keys("*");
    assert.equal(key, "brandos:limit:{0}:a:fixed_window:x");
    const ttlMs = await client.pttl(key);
    assert(ttlMs > 59_000 && ttlMs <= 60_000, `${ttlMs} ms`);
  });

  it("of a cluster have one hash tag in a call, whatever keys come together", async () => {
    const [server] = servers;
    const client = server?.connect();
    assert(client);
    const tagsOfCalls: ReadonlySet<string>[] = [];
    const watch =
      (send: (text: string, count: number, ...args: never[]) => Promise<unknown>) =>
      (text: string, count: number, ...args: readonly unknown[]) => {
        const keys = args.slice(0, count).map(String);
        tagsOfCalls.push(new Set(keys.map((key) => /\{(\d+)\}/.exec(key)?.[1] ?? "none")));
        return send(text, count, ...(args as never[]));
      };
    const node = {
      eval: watch((text, count, ...args) => client.eval(text, count, ...args)),
      evalsha: watch((sha, count, ...args) => client.evalsha(sha, count, ...args)),
    };
    const store = createRedisLimitStore({ nodes: [node], isCluster: true });
    const keys = Array.from({ length: 50 }, () => newId());
    const answers = await store.apply([
      ...keys.map((key) => [take(key)]),
      keys.slice(0, 5).map(take),
      keys.slice(0, 5).map(take),
    ]);
    const [together, refused] = answers.slice(-2);
    assert(together?.every(({ isGranted }) => isGranted));
    assert(refused?.every(({ granted }) => granted === 0));
    assert(tagsOfCalls.every((tags) => tags.size === 1 && !tags.has("none")));
    assert(new Set(tagsOfCalls.flatMap((tags) => [...tags])).size > 10, "they are spread");
  });
});
