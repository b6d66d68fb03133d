import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { BuyersTally, BuyersTask } from "./buyers.fixture.ts";
import type { ReservationStrategy } from "./contract.ts";
import {
  brokenInvariants,
  type InventoryBench,
  openInventoryBench,
  stockedTenant,
} from "./setup.fixture.ts";

let bench: InventoryBench;
before(async () => {
  bench = await openInventoryBench();
});
after(() => bench.stop());

const processes = 3;
const script = fileURLToPath(new URL("./buyers.fixture.ts", import.meta.url));

/** Runs buyers in processes of their own, all let go at the same moment. @returns the sum of their tallies */
async function race(task: BuyersTask): Promise<BuyersTally> {
  const children: ChildProcess[] = [];
  try {
    const runs = Array.from({ length: processes }, async (_, index) => {
      const share = Math.floor((task.buyers + index) / processes);
      const args = [script, JSON.stringify({ ...task, buyers: share })];
      const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
      children.push(child);
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
      const [ready] = (await once(lines, "line")) as [string];
      assert.equal(ready, "ready");
      return { child, lines };
    });
    const ready = await Promise.all(runs);
    const tallies = await Promise.all(
      ready.map(async ({ child, lines }) => {
        const answer = once(lines, "line") as Promise<[string]>;
        child.stdin?.write("go\n");
        return JSON.parse((await answer)[0]) as BuyersTally;
      }),
    );
    const sum: Record<string, number> = {};
    for (const tally of tallies) {
      for (const [name, count] of Object.entries(tally)) sum[name] = (sum[name] ?? 0) + count;
    }
    return sum;
  } finally {
    for (const child of children) child.kill();
  }
}

async function raceFor(units: number, buyers: number, strategy: ReservationStrategy) {
  const own = await stockedTenant(bench, [[units]]);
  const [variantId] = own.variants;
  assert.ok(variantId);
  const { tenantId } = own;
  const tally = await race({ urls: own.database.urls, tenantId, variantId, buyers, strategy });
  const counted = Object.values(tally).reduce((sum, count) => sum + count, 0);
  assert.equal(counted, buyers, "every buyer gets an answer");
  assert.deepEqual(await brokenInvariants(own), []);
  const rows = await own.database.query<{ count: number }>(
    "select count(*)::int as count from shared.reservations where tenant_id = $1",
    [tenantId],
  );
  assert.equal(rows[0]?.count, tally["sold"], "each sale is a row and each row a sale");
  return tally;
}

for (const strategy of ["atomic", "pessimistic", "flash"] as const) {
  test(`${strategy}: 20 buyers in 3 processes get exactly the one unit there is`, async () => {
    const tally = await raceFor(1, 20, strategy);
    assert.deepEqual(tally, { sold: 1, "inventory.out_of_stock": 19 });
  });

  test(`${strategy}: 2,000 buyers in 3 processes get exactly the 100 units there are`, async () => {
    const tally = await raceFor(100, 2_000, strategy);
    assert.deepEqual(tally, { sold: 100, "inventory.out_of_stock": 1_900 });
  });
}

test("optimistic: 20 buyers in 3 processes never get more than there is, and who loses is told so", async () => {
  const tally = await raceFor(5, 20, "optimistic");
  assert.ok((tally["sold"] ?? 0) <= 5);
  const known = ["sold", "inventory.out_of_stock", "inventory.conflict"];
  assert.ok(Object.keys(tally).every((name) => known.includes(name)));
});
