import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { skipWithout } from "../../src/testing/optional.ts";
import { startRedis, type TestRedis } from "../../src/testing/redis.ts";
import { openTestShop, type TestShop } from "../../src/testing/shop.ts";

/** How soon every node has heard of a change, at the latest, milliseconds. */
const heardWithinMs = 1_000;

/** Nodes of one deployment, and a brand to ask them about. */
interface Deployment {
  readonly shop: TestShop;
  readonly nodes: readonly [TestNode, TestNode, TestNode];
}

async function openDeployment(redisUrls: readonly string[]): Promise<Deployment> {
  const shop = await openTestShop();
  const { ownerUrl } = shop.database;
  const env = redisUrls.length > 0 ? { BRANDOS_REDIS_URLS: redisUrls.join(",") } : {};
  const start = () => startNode({ ownerUrl, env: { BRANDOS_RATE_PER_MINUTE: "1000000", ...env } });
  return { shop, nodes: await Promise.all([start(), start(), start()]) };
}

async function close({ shop, nodes }: Deployment): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill()));
  await shop.stop();
}

/** A product as the brand changes it and its shops see it. */
async function openProduct(brand: TestBrand, [node]: Deployment["nodes"]) {
  const { body } = (await ask(node.url, get("/v1/products?limit=1", brand.secretKey))) ?? {};
  const path = `/v1/products/${body.items[0].id}`;
  return {
    path,
    async rename(at: TestNode, title: string): Promise<void> {
      const answer = await ask(at.url, {
        method: "PATCH",
        path,
        key: brand.secretKey,
        idempotencyKey: newId(),
        body: { title },
      });
      assert.equal(answer?.status, 200);
    },
    async title(at: TestNode): Promise<string> {
      const answer = await ask(at.url, get(path, brand.publishableKey));
      assert.equal(answer?.status, 200);
      return answer.body.title;
    },
  };
}

function get(path: string, key: string) {
  return { method: "GET", path, key };
}

/** Asks until the answer is what is wanted. @returns how long that took, milliseconds */
async function untilTrue(isSo: () => Promise<boolean>): Promise<number> {
  const sinceMs = performance.now();
  for (;;) {
    if (await isSo()) return performance.now() - sinceMs;
    const waitedMs = performance.now() - sinceMs;
    assert(waitedMs < 10 * heardWithinMs, "a change was not heard of");
  }
}

describe("answers from memory, over three nodes", () => {
  let deployment: Deployment;
  before(async () => {
    deployment = await openDeployment([]);
  });
  after(() => close(deployment));

  test("change on every node within a second of the change", async (t) => {
    const { nodes, shop } = deployment;
    const brand = await openTestBrand(shop.app);
    const product = await openProduct(brand, nodes);
    const tookMs: number[] = [];
    for (let change = 1; change <= 20; change++) {
      const title = `Title ${change}`;
      // All of them hold the old answer.
      await Promise.all(nodes.map(product.title));
      await product.rename(nodes[0], title);
      const each = nodes.map((node) =>
        untilTrue(async () => (await product.title(node)) === title),
      );
      tookMs.push(...(await Promise.all(each)));
    }
    const sorted = tookMs.toSorted((a, b) => a - b);
    t.diagnostic(`median ${sorted[30]?.toFixed(1)} ms, longest ${sorted.at(-1)?.toFixed(1)} ms`);
    assert((sorted.at(-1) ?? 0) < heardWithinMs);
  });

  test("are refused on every node within a second once a key is revoked", async () => {
    const { nodes, shop } = deployment;
    const brand = await openTestBrand(shop.app);
    const made = await ask(nodes[0].url, {
      method: "POST",
      path: "/v1/api-keys",
      key: brand.secretKey,
      idempotencyKey: newId(),
      body: { id: newId(), kind: "publishable", name: "shop" },
    });
    const { id, key } = made?.body ?? {};
    const status = async (node: TestNode) =>
      (await ask(node.url, get("/v1/products", key)))?.status;
    assert.deepEqual(await Promise.all(nodes.map(status)), [200, 200, 200]);
    const path = `/v1/api-keys/${id}`;
    const revoked = await ask(nodes[0].url, { method: "DELETE", path, key: brand.secretKey });
    assert.equal(revoked?.status, 200);
    assert.equal(await status(nodes[0]), 401, "at once where it was revoked");
    for (const node of nodes) {
      assert((await untilTrue(async () => (await status(node)) === 401)) < heardWithinMs);
    }
    // What was used is known by now or soon, without anybody having waited for it.
    await untilTrue(async () => {
      const keys = await ask(nodes[1].url, get("/v1/api-keys", brand.secretKey));
      return keys?.body.items.some((each: { id: string; lastUsedAt?: string }) =>
        Boolean(each.id === id && each.lastUsedAt),
      );
    });
  });
});

const skip = skipWithout("Redis");

describe("answers that three nodes share in Redis", { skip }, () => {
  let servers: readonly [TestRedis, TestRedis];
  let deployment: Deployment;
  before(async () => {
    servers = await Promise.all([startRedis(), startRedis()]);
    deployment = await openDeployment(servers.map(({ url }) => url));
  });
  after(async () => {
    await close(deployment);
    await Promise.all(servers.map((server) => server.stop()));
  });

  /** Renames on one node and reads on all, for so long; nothing may be older than what was told before. */
  async function tell(brand: TestBrand, title: string): Promise<void> {
    const { nodes } = deployment;
    const product = await openProduct(brand, nodes);
    await product.rename(nodes[0], title);
    for (const node of nodes) {
      const tookMs = await untilTrue(async () => (await product.title(node)) === title);
      assert(tookMs < heardWithinMs, `${tookMs} ms`);
    }
    // Once new, it stays new, wherever the answer comes from.
    for (let round = 0; round < 20; round++) {
      assert.deepEqual(await Promise.all(nodes.map(product.title)), [title, title, title]);
    }
  }

  test("are as new as ever while servers are paused, killed, emptied, and when they are back", async () => {
    const brand = await openTestBrand(deployment.shop.app);
    const [first, second] = servers;
    await tell(brand, "both are there");
    const held = await Promise.all(servers.map((server) => server.connect().dbsize()));
    assert(Math.min(...held) > 0, "answers lie on both servers");
    first.pause();
    await tell(brand, "one is paused");
    second.pause();
    await tell(brand, "both are paused");
    first.resume();
    second.resume();
    await tell(brand, "both have woken up, and missed two changes");
    await first.kill();
    await tell(brand, "one is dead");
    await first.start();
    await second.kill();
    await second.start();
    await tell(brand, "both were emptied");
  });

  test("cost a shop no more than twice the time while Redis is silent", async (t) => {
    const { nodes, shop } = deployment;
    const brand = await openTestBrand(shop.app, { products: 20 });
    const product = await openProduct(brand, nodes);
    let changes = 0;
    const p95 = async () => {
      const tookMs: number[] = [];
      const caller = async (node: TestNode) => {
        for (let at = 0; at < 400; at++) {
          // Every now and then something changes, so that answers are loaded anew.
          if (at % 50 === 0) await product.rename(node, `Title ${++changes}`);
          const sinceMs = performance.now();
          await product.title(node);
          tookMs.push(performance.now() - sinceMs);
        }
      };
      await Promise.all(nodes.flatMap((node) => [caller(node), caller(node)]));
      return tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.95)] ?? 0;
    };
    await p95();
    const healthy = await p95();
    for (const server of servers) server.pause();
    const silent = await p95();
    for (const server of servers) server.resume();
    t.diagnostic(`p95 ${healthy.toFixed(1)} ms with Redis, ${silent.toFixed(1)} ms without`);
    // Of 2 cores and 3 nodes a few milliseconds are noise.
    assert(silent <= 2 * healthy + 5, `${silent} ms against ${healthy} ms`);
  });
});
