import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { after, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis, type TestRedis } from "../../testing/redis.ts";
import type { NodeOrders, NodeReport, NodeRequest } from "./shared-node.fixture.ts";

const skip = skipWithout("Redis");

/** Three nodes over three Redis servers and a table. */
async function openNodes() {
  const database = await createTestDatabase();
  await database.query(
    `create table shared.goods (tenant_id uuid, key text, version int, primary key (tenant_id, key));
     grant select, insert, update on shared.goods to brandos_app`,
  );
  const servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
  const orders: NodeOrders = {
    urls: database.urls,
    redisUrls: servers.map(({ url }) => url),
    tenantId: newId<"tenant">(),
    keys: Array.from({ length: 300 }, (_, at) => `k${at}`),
  };
  const script = new URL("./shared-node.fixture.ts", import.meta.url).pathname;
  const children: ChildProcess[] = [];
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(servers.map((server) => server.stop()));
    await database.drop();
  });
  const spawn = async () => {
    const child = fork(script, [JSON.stringify(orders)]);
    children.push(child);
    await once(child, "message");
    return child;
  };
  const nodes = await Promise.all([spawn(), spawn(), spawn()]);
  /** Asks every node at the same time. */
  const askAll = (request: NodeRequest): Promise<readonly NodeReport[]> =>
    Promise.all(
      nodes.map(async (node) => {
        const answered = once(node, "message");
        node.send(request);
        const [report] = (await answered) as [NodeReport];
        assert.equal(report.error, undefined);
        return report;
      }),
    );
  return { servers, askAll };
}

const sum = (reports: readonly NodeReport[], of: (report: NodeReport) => number) =>
  reports.reduce((total, report) => total + of(report), 0);

const quantile = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

/** What may happen to a server, and how it ends. */
const faults: readonly (readonly [string, (s: TestRedis) => unknown, (s: TestRedis) => unknown])[] =
  [
    ["paused", (server) => server.pause(), (server) => server.resume()],
    ["killed", (server) => server.kill(), (server) => server.start()],
    ["flushed", (server) => server.flush(), () => {}],
  ];

describe("three nodes with one cache over three Redis servers", { skip }, async () => {
  const { servers, askAll } = skip ? ({} as never) : await openNodes();

  it("load a key once when a thousand ask for it at the same moment", async () => {
    for (let round = 0; round < 20; round++) {
      const before = sum(await askAll({ kind: "report" }), ({ loads }) => loads);
      const key = `stampede ${round}`;
      const reports = await askAll({ kind: "stampede", key, callers: 334 });
      assert.equal(sum(reports, ({ loads }) => loads) - before, 1);
    }
  });

  it("give nothing older than they have heard of while servers are paused, killed and emptied", async (t) => {
    await askAll({ kind: "work", phase: "warm" });
    await delay(1_500);
    for (const server of servers) {
      for (const [fault, begin, end] of faults) {
        await askAll({ kind: "work", phase: "calm" });
        await delay(1_200);
        // Its first moments count as well.
        await askAll({ kind: "work", phase: fault });
        await begin(server);
        await delay(1_200);
        await askAll({ kind: "work", phase: "back" });
        await end(server);
        await delay(400);
      }
    }
    const reports = await askAll({ kind: "report" });
    assert.deepEqual(
      reports.flatMap(({ wrong }) => wrong),
      [],
    );
    for (const { writes, tierHits, left, doubted } of reports) {
      assert(writes > 100 && tierHits > 1_000, `${writes} writes, ${tierHits} hits of the tier`);
      // Each node noticed each server that was paused or killed, and doubted those that had restarted.
      assert(left >= 2 * servers.length, `${left} times a member left`);
      assert(doubted >= servers.length, `${doubted} times everything in a member was doubted`);
    }
    const p95 = (phases: readonly string[]) => {
      const took = reports.flatMap(({ reads }) => phases.flatMap((phase) => reads[phase] ?? []));
      assert(took.length > 1_000, `${took.length} reads while ${phases}`);
      return { ms: quantile(took, 0.95), reads: took.length };
    };
    const calm = p95(["calm"]);
    for (const [fault] of faults) {
      const { ms, reads } = p95([fault]);
      const times = `${(ms / calm.ms).toFixed(2)} times ${calm.ms.toFixed(1)} ms`;
      t.diagnostic(`p95 of ${reads} reads while a server is ${fault}: ${times}, of ${calm.reads}`);
    }
    assert(p95(faults.map(([fault]) => fault)).ms <= 2 * calm.ms);
    const heardAfter = reports.flatMap((report) => report.heardAfter);
    const [half, most] = [quantile(heardAfter, 0.5), quantile(heardAfter, 0.99)];
    t.diagnostic(
      `${heardAfter.length} changes were heard after ${half.toFixed(1)} ms, p99 ${most.toFixed(1)} ms`,
    );
    assert(quantile(heardAfter, 0.999) < 1_000);
  });
});
