import assert from "node:assert/strict";
import { after, describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis } from "../../testing/redis.ts";
import { type LimitAlgorithm, type LimitPolicy, slackOf } from "./policy.ts";
import { mostInWindow, startTaker, type TakenReport, type TakerOrders } from "./takers.fixture.ts";

const processes = 3;
/** Stores count in whole milliseconds: what they take for a window may be so much shorter. */
const resolutionMs = 1;
const lease = { share: 0.1, ms: 100 } as const;

/** Three processes that want far more of one key than there is, for so long, milliseconds. */
async function hammer(
  t: TestContext,
  store: TakerOrders["store"],
  policy: LimitPolicy,
  forMs: number,
): Promise<readonly TakenReport[]> {
  // The store may be slow on a busy machine: this is about counting, not about its absence.
  const orders = { store, policies: [policy], key: newId(), callers: 8, waitMs: 5_000 };
  const takers = await Promise.all(Array.from({ length: processes }, () => startTaker(orders)));
  for (const taker of takers) t.after(taker.kill);
  for (const taker of takers) taker.start();
  await delay(forMs);
  const reports = (await Promise.all(takers.map((taker) => taker.stop()))).flat();
  assert(reports.every(([, , , , source]) => source !== "fallback"));
  return reports;
}

const admitted = (reports: readonly TakenReport[]) =>
  reports.filter(([, , , allowed]) => allowed === 1);

function testSlack(where: string, store: () => TakerOrders["store"]): void {
  for (const given of [undefined, lease]) {
    const how = given ? "with leases" : "exactly";

    it(`${where} admits ${how} the limit of a window to three processes`, async (t) => {
      const policy: LimitPolicy = {
        name: "window",
        algorithm: "fixed_window",
        limit: 600,
        windowMs: 60_000,
        ...(given ? { lease: given } : {}),
      };
      const reports = await hammer(t, store(), policy, 1_500);
      assert.equal(admitted(reports).length, policy.limit);
      assert.equal(slackOf(policy, processes), 0);
      const ahead = reports.filter(
        ([, , , allowed, source]) => allowed === 1 && source === "lease",
      );
      assert.equal(ahead.length > policy.limit / 2, given !== undefined, `${ahead.length} ahead`);
    });

    const sliding: readonly [LimitAlgorithm, limitIn: (policy: LimitPolicy) => number][] = [
      ["sliding_log", ({ limit }) => limit],
      ["sliding_counter", ({ limit }) => 2 * limit],
      ["token_bucket", ({ limit, burst = limit }) => limit + burst],
      ["fixed_window", ({ limit }) => 2 * limit],
    ];
    for (const [algorithm, limitIn] of sliding) {
      it(`${where} admits by ${algorithm} ${how} no more than its bound in any window`, async (t) => {
        const policy: LimitPolicy = {
          name: "sliding",
          algorithm,
          limit: 200,
          windowMs: 400,
          ...(algorithm === "token_bucket" ? { burst: 50 } : {}),
          ...(given ? { lease: given } : {}),
        };
        const reports = await hammer(t, store(), policy, 2_000);
        const most = mostInWindow(reports, policy.windowMs - resolutionMs);
        const bound = limitIn(policy) + slackOf(policy, processes);
        const total = admitted(reports).length;
        t.diagnostic(`${most} in a window, ${bound} may be; ${total} in all`);
        assert(most <= bound, `${most} in a window, ${bound} may be`);
        // Five windows: it does not refuse what it should admit either.
        assert(total >= 3 * policy.limit, `${total} were admitted`);
      });
    }
  }
}

describe("a limit over three processes on PostgreSQL", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  testSlack("PostgreSQL", () => ({ urls: database.urls }));
});

const skip = skipWithout("Redis");

describe("a limit over three processes on Redis", { skip }, async () => {
  if (skip) return;
  const servers = await Promise.all([startRedis(), startRedis()]);
  after(() => Promise.all(servers.map((server) => server.stop())));
  testSlack("Redis", () => ({ redis: servers.map(({ url }) => url) }));
});
