import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { strictShare } from "../../src/platform/limits/limits.ts";
import { type DependencyId, resilienceMatrix } from "../../src/resilience-matrix.ts";
import { openTestBrand } from "../../src/testing/brand.ts";
import { ask, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { skipWithout } from "../../src/testing/optional.ts";
import { startRedis, type TestRedis } from "../../src/testing/redis.ts";
import { testSecrets, until } from "../../src/testing/shop.ts";
import { startTcpProxy } from "../../src/testing/tcp-proxy.ts";
import { isCommit } from "../../src/testing/wire-messages.ts";
import {
  type FragileNode,
  type Purchase,
  startFragileNode,
  type TimedAnswer,
} from "./resilience.fixture.ts";

let fragile: FragileNode;
before(async () => {
  fragile = await startFragileNode();
});
after(() => fragile.stop());

/** Longest a dependency's return may go unnoticed, milliseconds. */
const backWithinMs = 2_000;
/** What "at once" may take on a busy machine, milliseconds. */
const atOnceMs = 500;

/** A test of each row of docs/reference/resilience.md. A row without one does not compile. */
const proofs: Readonly<Record<DependencyId, () => Promise<void>>> = {
  database: proveDatabase,
  commit: proveCommit,
  directory: proveDirectory,
  wakeup: proveWakeup,
  health: proveHealth,
  owner: proveOwner,
  export: proveExport,
  redis_cache: proveRedisCache,
  redis_limits: proveRedisLimits,
  bank: proveBank,
};

/** Rows of what is used only where it is installed. */
const needsRedis: ReadonlySet<DependencyId> = new Set(["redis_cache", "redis_limits"]);

describe("a node whose dependency is slow or gone: what the resiliency matrix says", () => {
  it("has a test of every row, and no other", () => {
    const rows = resilienceMatrix.map(({ id }) => id);
    assert.deepEqual(Object.keys(proofs).toSorted(), rows.toSorted());
  });
  for (const { id, dependency } of resilienceMatrix) {
    const skip = needsRedis.has(id) && skipWithout("Redis");
    it(dependency, { skip }, async () => {
      assert.equal((await fragile.purchase().send()).status, 201, "all is well before");
      await proofs[id]();
      await isBack();
      assert.ok(fragile.node.isAlive());
      await fragile.checkPromises();
    });
  }
});

function assertUnavailable(answer: TimedAnswer, code: string, withinMs: number): void {
  const told = `${answer.status} ${answer.body.code} after ${answer.tookMs} ms`;
  assert.deepEqual([answer.status, answer.body.code], [503, code], told);
  assert.equal(answer.headers.get("retry-after"), "1", told);
  assert.ok(answer.tookMs <= withinMs, told);
}

/** Everything works again, soon, without anybody doing anything. */
async function isBack(): Promise<void> {
  const startedAt = performance.now();
  await until("it serves again", async () => (await fragile.get("/v1/products")).status === 200);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs <= backWithinMs, `it served again after ${tookMs} ms`);
  await until("it is ready", async () => (await fragile.get("/health/ready")).status === 200);
}

async function proveDatabase(): Promise<void> {
  const { database } = fragile;
  const purchase = fragile.purchase();
  database.refuse(true);
  database.cutAll();
  for (let n = 0; n < 10; n++)
    assertUnavailable(await fragile.get("/v1/products"), "server.unavailable", atOnceMs);
  assertUnavailable(await purchase.send(), "server.unavailable", atOnceMs);
  assert.equal((await fragile.get("/health/live")).status, 200);
  database.refuse(false);
  await isBack();
  assert.equal((await purchase.send()).status, 201);
  assert.equal((await purchase.send()).status, 201);
  assert.deepEqual(await fragile.resultOf(purchase.orderId), { orders: ["paid"], payments: 1 });

  database.pause();
  const hurried = await fragile.get("/v1/products", { "brandos-timeout-ms": "400" });
  assertUnavailable(hurried, "server.deadline", 400 + atOnceMs);
  const patient = Array.from({ length: 15 }, () => fragile.get("/v1/products"));
  for (const answer of await Promise.all(patient)) {
    assert.equal(answer.status, 503);
    assert.ok(answer.tookMs <= 12_000 + backWithinMs, `${answer.tookMs} ms`);
  }
  database.resume();
}

async function proveCommit(): Promise<void> {
  const { database } = fragile;
  const purchase = fragile.purchase();
  let cuts = 0;
  database.decide((message) => (isCommit(message) && ++cuts === 1 ? "cut_after" : "pass"));
  const answer = await purchase.send();
  assert.equal(cuts > 0, true, "a COMMIT's answer was lost");
  assert.equal(answer.status, 201);
  // Nobody can be asked: then the caller is told so, and repeats.
  const doubtful = fragile.purchase();
  cuts = 0;
  database.decide((message) => {
    if (!isCommit(message) || ++cuts !== 1) return "pass";
    database.refuse(true);
    // The idle connections too: over one of them the server could be asked.
    setImmediate(() => database.cutAll());
    return "cut_after";
  });
  assertUnavailable(await doubtful.send(), "server.outcome_unknown", 14_000);
  database.refuse(false);
  database.decide(() => "pass");
  await isBack();
  assert.equal((await doubtful.send()).status, 201);
  for (const { orderId } of [purchase, doubtful]) {
    assert.deepEqual(await fragile.resultOf(orderId), { orders: ["paid"], payments: 1 });
  }
}

async function proveDirectory(): Promise<void> {
  const { home } = fragile;
  home.refuse(true);
  home.cutAll();
  assert.equal((await fragile.get("/v1/products")).status, 200, "what is known is served");
  await until("what was known is old", async () => {
    const { status } = await fragile.get("/v1/products");
    return status !== 200;
  });
  for (let n = 0; n < 10; n++)
    assertUnavailable(await fragile.get("/v1/products"), "server.unavailable", atOnceMs);
  home.refuse(false);
  await isBack();

  home.pause();
  await until("what was known is old", async () => {
    const hurried = await fragile.get("/v1/products", { "brandos-timeout-ms": "300" });
    return hurried.body.code === "server.deadline" && hurried.tookMs <= 300 + atOnceMs;
  });
  assertUnavailable(await fragile.get("/v1/products"), "server.unavailable", 7_000 + backWithinMs);
  home.resume();
}

async function proveWakeup(): Promise<void> {
  const { query } = fragile.shop.database;
  const listening = async () =>
    query<{ pid: number }>(
      "select pid from pg_stat_activity where application_name = 'brandos/wakeup' and datname = current_database()",
    );
  const before = await listening();
  assert.ok(before.length >= 1);
  await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'brandos/wakeup' and datname = current_database()",
  );
  const purchase = fragile.purchase();
  assert.equal((await purchase.send()).status, 201, "nobody notices");
  await until("it listens again", async () => (await listening()).length === before.length);
  assert.deepEqual(await fragile.resultOf(purchase.orderId), { orders: ["paid"], payments: 1 });
}

async function proveHealth(): Promise<void> {
  const { home } = fragile;
  const ready = () => fragile.get("/health/ready");
  home.pause();
  await until("the probe says so", async () => (await ready()).status === 503, 5_000);
  const silent = await ready();
  assert.equal(silent.body.dependencies[0].reason, "timeout");
  assert.ok(silent.tookMs <= 1_250 + atOnceMs, `${silent.tookMs} ms`);
  assert.equal((await fragile.get("/health/live")).status, 200);
  home.resume();
  await until("it is ready again", async () => (await ready()).status === 200, 5_000);
  home.refuse(true);
  home.cutAll();
  await until("the probe says so", async () => (await ready()).status === 503, 5_000);
  assert.equal((await ready()).body.dependencies[0].reason, "unreachable");
  home.refuse(false);
}

async function proveOwner(): Promise<void> {
  const { ownerUrl } = fragile.shop.database;
  const proxy = await startTcpProxy(ownerUrl);
  const start = async () => {
    const startedAt = performance.now();
    // It says why on its way out; that is no news here.
    await assert.rejects(
      startNode({ ownerUrl: proxy.through(ownerUrl), isQuiet: true }),
      /ended before it said its url/,
    );
    return performance.now() - startedAt;
  };
  proxy.refuse(true);
  const goneMs = await start();
  assert.ok(goneMs < 10_000, `${goneMs} ms`);
  proxy.refuse(false);
  proxy.pause();
  const silentMs = await start();
  assert.ok(silentMs >= 10_000 && silentMs < 20_000, `${silentMs} ms`);
  await proxy.stop();
  assert.equal((await fragile.purchase().send()).status, 201, "nodes that run go on");
}

async function proveExport(): Promise<void> {
  const { database, brand, node } = fragile;
  const path = `/v1/tenants/${brand.tenantId}/export`;
  const headers = { authorization: `Bearer ${testSecrets.operatorKey}` };
  const whole = await fetch(node.url + path, { headers });
  assert.match(await whole.text(), /"end":true/);
  // In the middle: between two pages, when nobody waits for the connection.
  let cuts = 0;
  database.decide((message) => {
    const isPage = message.direction === "to_server" && message.bytes.includes("fetch ");
    return isPage && ++cuts === 2 ? "cut_before" : "pass";
  });
  const broken = await fetch(node.url + path, { headers });
  const text = await broken.text().catch(() => "broken off");
  assert.doesNotMatch(text, /"end":true/);
  assert.equal(cuts, 2);
  database.decide(() => "pass");
  for (const breakIt of [() => database.refuse(true), () => database.pause()]) {
    breakIt();
    const startedAt = performance.now();
    const answer = await fetch(node.url + path, { headers });
    assert.equal(answer.status, 503);
    assert.equal(((await answer.json()) as { code: string }).code, "server.unavailable");
    assert.ok(performance.now() - startedAt < 5_000 + backWithinMs);
    database.refuse(false);
    database.resume();
  }
}

async function proveBank(): Promise<void> {
  const { bank } = fragile;
  process.kill(bank.process.pid, "SIGSTOP");
  const [silent, hurried] = [fragile.purchase(), fragile.purchase()];
  const [pending, late] = await Promise.all([
    silent.send(),
    hurried.send({ "brandos-timeout-ms": "600" }),
  ]);
  assertUnavailable(late, "server.deadline", 600 + atOnceMs);
  assert.deepEqual([pending.status, pending.body.status], [202, "pending"]);
  assert.ok(pending.tookMs <= 15_000 + backWithinMs, `${pending.tookMs} ms`);
  assert.equal((await fragile.get("/v1/products")).status, 200, "the rest of the shop is open");
  process.kill(bank.process.pid, "SIGCONT");
  for (const purchase of [silent, hurried]) await ends(purchase);

  await bank.process.kill();
  const lost = fragile.purchase();
  const gone = await lost.send();
  assert.ok([202, 402].includes(gone.status), `${gone.status}`);
  assert.ok(gone.tookMs <= 15_000 + backWithinMs, `${gone.tookMs} ms`);
  await bank.restart();
  await ends(lost);
  await until(
    "orders are paid again",
    async () => (await fragile.purchase().send()).status === 201,
  );
}

/** The same request again and again, until it says how it ended: paid, or declined and nothing kept. */
async function ends(purchase: Purchase): Promise<void> {
  let last = 0;
  await until("the purchase has ended", async () => {
    last = (await purchase.send()).status;
    return last === 201 || last === 402;
  });
  const { orders, payments } = await fragile.resultOf(purchase.orderId);
  // A bank that slept may have done what it was asked before, and then given it back.
  const wanted = last === 201 ? ["paid"] : ["cancelled", "refunded"];
  assert.ok(orders.length === 1 && wanted.includes(orders[0] ?? ""), `${last}, ${orders}`);
  assert.equal(payments, 1);
}

/** Another node of the same shop, with a Redis of its own. */
async function withRedis(
  env: Readonly<Record<string, string>>,
  prove: (node: TestNode, redis: TestRedis) => Promise<void>,
): Promise<void> {
  const redis = await startRedis();
  const { ownerUrl } = fragile.shop.database;
  const node = await startNode({
    ownerUrl,
    bank: fragile.bank,
    env: { BRANDOS_REDIS_URLS: redis.url, ...env },
  });
  try {
    await prove(node, redis);
  } finally {
    await node.kill();
    await redis.stop();
  }
}

/** Breaks a Redis in both ways, one after the other, and looks each time, then when it is back. */
async function breakRedis(redis: TestRedis, look: (how: string) => Promise<void>): Promise<void> {
  await look("there");
  redis.pause();
  await look("silent");
  redis.resume();
  await look("there again");
  await redis.kill();
  await look("gone");
  await redis.start();
  await look("back, and empty");
}

async function proveRedisCache(): Promise<void> {
  await withRedis({}, async (node, redis) => {
    const { secretKey, publishableKey } = fragile.brand;
    const listed = await ask(node.url, { method: "GET", path: "/v1/products", key: secretKey });
    const path = `/v1/products/${listed?.body.items[0].id}`;
    await breakRedis(redis, async (how) => {
      const body = { title: `Redis is ${how}` };
      const idempotencyKey = newId();
      const change = { method: "PATCH", path, key: secretKey, idempotencyKey, body };
      assert.equal((await ask(node.url, change))?.status, 200);
      const look = async () => {
        const sinceMs = performance.now();
        const answer = await ask(node.url, { method: "GET", path, key: publishableKey });
        const tookMs = performance.now() - sinceMs;
        assert.equal(answer?.status, 200, how);
        assert.ok(tookMs <= atOnceMs, `${how}: ${tookMs} ms`);
        return answer?.body.title;
      };
      const changedMs = performance.now();
      await until("the change is seen", async () => (await look()) === body.title);
      assert.ok(performance.now() - changedMs <= 1_000, how);
      // Never as it was again.
      for (let n = 0; n < 20; n++) assert.equal(await look(), body.title);
      const ready = await ask(node.url, { method: "GET", path: "/health/ready", key: secretKey });
      assert.equal(ready?.status, 200, how);
    });
  });
}

async function proveRedisLimits(): Promise<void> {
  const limit = 300;
  const strictPath = "/v1/api-keys";
  await withRedis({ BRANDOS_RATE_PER_MINUTE: String(limit) }, async (node, redis) => {
    // Each time another credential, whose limit nobody has touched.
    await breakRedis(redis, async (how) => {
      const served = async (path: string) => {
        const { secretKey: key } = await openTestBrand(fragile.shop.app);
        let count = 0;
        for (let n = 0; n < limit + 50; n++) {
          const sinceMs = performance.now();
          const answer = await ask(node.url, { method: "GET", path, key });
          assert.ok(performance.now() - sinceMs <= atOnceMs, how);
          assert.ok(answer?.status === 200 || answer?.status === 429, how);
          if (answer.status === 200) count++;
        }
        return count;
      };
      const isAway = how === "silent" || how === "gone";
      // Until its return is noticed a node counts by itself, what it counted is not added then.
      if (!isAway)
        await until("all are counted together", async () => (await served(strictPath)) === limit);
      assert.equal(await served("/v1/products"), limit, `open, ${how}`);
      const strict = isAway ? limit * strictShare : limit;
      assert.equal(await served(strictPath), strict, `strict, ${how}`);
    });
  });
}
