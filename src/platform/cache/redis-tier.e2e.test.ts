import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis, startRedisCluster } from "../../testing/redis.ts";
import { connectRedis, type Redis } from "../redis/redis.ts";
import { createRedisSharedTier } from "./redis-tier.ts";
import { sharedTierSuite } from "./shared-tier.fixture.ts";

const skip = skipWithout("Redis");

async function connected(urls: readonly string[], isCluster = false) {
  const redis = connectRedis({ urls, isCluster });
  await redis.untilReady(5_000);
  return redis;
}

function tierOver({ servers: [node], isCluster }: Redis) {
  assert(node);
  return createRedisSharedTier({ node, isCluster, server: node.name });
}

if (skip) {
  it("a shared tier in Redis", { skip }, () => {});
} else {
  sharedTierSuite("Redis", async () => {
    const server = await startRedis();
    const connections = await Promise.all([connected([server.url]), connected([server.url])]);
    const [tier, other] = connections.map(tierOver);
    assert(tier && other);
    const stop = async () => {
      await Promise.all(connections.map((redis) => redis.stop()));
      await server.stop();
    };
    return { tier, other, stop };
  });

  sharedTierSuite("a Redis Cluster", async () => {
    const cluster = await startRedisCluster();
    const connections = await Promise.all([
      connected(cluster.urls, true),
      connected(cluster.urls.slice(1), true),
    ]);
    const [tier, other] = connections.map(tierOver);
    assert(tier && other);
    const stop = async () => {
      await Promise.all(connections.map((redis) => redis.stop()));
      await cluster.stop();
    };
    return { tier, other, stop };
  });
}

describe("a shared tier in Redis", { skip }, async () => {
  const server = skip ? (undefined as never) : await startRedis();
  const redis = skip ? (undefined as never) : await connected([server.url]);
  after(async () => {
    await redis?.stop();
    await server?.stop();
  });
  const entry = (text: string) => ({ key: newId(), bytes: Buffer.from(text), ttlMs: 60_000 });

  it("says within its time that the server is away, and goes on when it is back", async () => {
    const tier = tierOver(redis);
    const kept = entry("kept");
    await tier.write([kept]);
    server.pause();
    const askedAtMs = performance.now();
    const calls = [
      tier.read([kept.key]),
      tier.write([entry("lost")]),
      tier.remove([kept.key]),
      tier.claim(kept.key, 1_000),
      tier.epochs(["t"]),
    ];
    for (const answer of await Promise.allSettled(calls)) {
      assert(answer.status === "rejected");
      assert.equal(answer.reason.code, "ERR_REDIS_UNAVAILABLE");
    }
    assert(performance.now() - askedAtMs < 2_000);
    server.resume();
    // The paused server does what it was sent, then answers.
    await until(async () => (await tier.read([kept.key]))[0] === undefined);
  });

  it("lets no epoch go back when the server is emptied", async () => {
    const tier = tierOver(redis);
    await until(async () => (await tier.read(["x"])).length === 1);
    for (let round = 0; round < 5; round++) {
      await tier.renew(["flushed"]);
      const [before = 0] = await tier.epochs(["flushed"]);
      await server.flush();
      const [after = 0] = await tier.epochs(["flushed"]);
      assert(after > before);
    }
  });

  it("removes though there is no memory left to write", async () => {
    const tier = tierOver(redis);
    const [old, next] = [entry("old"), entry("new")];
    await tier.write([old]);
    const [node] = redis.servers;
    await node?.call("config", "set", "maxmemory", "1");
    const replacing = tier.write([{ ...next, key: old.key }]);
    const removing = tier.remove([next.key]);
    await assert.rejects(replacing, { code: "ERR_REDIS_UNAVAILABLE" });
    await removing;
    // What was to be replaced is older: it went.
    assert.deepEqual(await tier.read([old.key]), [undefined]);
    await node?.call("config", "set", "maxmemory", "0");
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false)))
    await new Promise((resolve) => setTimeout(resolve, 10));
}
