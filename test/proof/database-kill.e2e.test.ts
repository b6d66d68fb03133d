import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { newId } from "../../src/kernel/ids.ts";
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from "../../src/platform/embedded/embedded.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { serverVariable } from "../../src/testing/server.ts";
import { openTestShop, quarrelsWithBank, type TestShop, until } from "../../src/testing/shop.ts";

/** Longest a node may take to serve again once the database takes connections, milliseconds. */
const backWithinMs = 2_000;
const buyers = 8;

let folder: string;
let server: EmbeddedPostgres;
let shop: TestShop;
let brand: TestBrand;
let node: TestNode;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "brandos-kill-"));
  chmodSync(folder, 0o711);
  // A server of this file's own, which keeps what it confirmed: it is going to be killed.
  server = await startEmbeddedPostgres({ dataDir: path.join(folder, "postgres") });
  process.env[serverVariable] = server.url;
  shop = await openTestShop();
  brand = await openTestBrand(shop.app, { units: 1_000_000 });
  node = await startNode({ ownerUrl: shop.database.ownerUrl, bank: shop.bank });
});
after(async () => {
  await node.kill();
  await shop.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Asks the database over a connection of its own: it may have died since the last time. */
async function query<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: shop.database.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

interface Load {
  /** Ids of orders that a 2xx confirmed, with the moment, milliseconds. */
  readonly confirmed: Map<string, number>;
  readonly statuses: Map<number, number>;
  stop(): Promise<void>;
}

/** Buyers who order one after the other; who gets no final answer asks again with the same key. */
function startLoad(): Load {
  let stopping = false;
  const confirmed: Load["confirmed"] = new Map();
  const statuses: Load["statuses"] = new Map();
  const { lines, email, shippingAddress, shippingMethodId } = brand.basket();
  const payment = { provider: "simulator", instrumentToken: "tok_test_approved" };
  const buy = async () => {
    while (!stopping) {
      const id = newId();
      const idempotencyKey = newId();
      const isOver = async () => {
        const answer = await ask(node.url, {
          method: "POST",
          path: "/v1/orders",
          key: brand.secretKey,
          idempotencyKey,
          body: { id, currency: "EUR", lines, email, shippingAddress, shippingMethodId, payment },
        });
        const status = answer?.status ?? 0;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status >= 200 && status < 300) confirmed.set(id, performance.now());
        return confirmed.has(id);
      };
      await until(`order ${id} is confirmed`, isOver, 120_000);
    }
  };
  const running = Promise.all(Array.from({ length: buyers }, buy));
  return {
    confirmed,
    statuses,
    async stop() {
      stopping = true;
      await running;
    },
  };
}

function killPostgres(): void {
  const [pid] = readFileSync(path.join(server.dataDir, "postmaster.pid"), "utf8").split("\n");
  process.kill(Number(pid), "SIGKILL");
}

async function isUp(): Promise<boolean> {
  return query("select 1").then(
    () => true,
    () => false,
  );
}

describe("PostgreSQL killed under load", () => {
  test("takes no node down; nothing confirmed is lost and everything agrees", async (t) => {
    const load = startLoad();
    const outages: number[] = [];
    for (const round of [1, 2]) {
      const before = load.confirmed.size;
      await until("orders flow", () => load.confirmed.size >= before + 40);
      killPostgres();
      await until("it is gone", async () => !(await isUp()));
      await until("it is up again", isUp);
      const upAt = performance.now();
      const known = load.confirmed.size;
      await until("the node serves again", () => load.confirmed.size > known);
      outages.push(Math.round(performance.now() - upAt));
      assert.ok(node.isAlive(), `the node is up after round ${round}`);
    }
    await load.stop();
    t.diagnostic(
      `${load.confirmed.size} orders confirmed; served ${outages.join(" and ")} ms after it was up; ` +
        `answers ${JSON.stringify([...load.statuses])}`,
    );
    assert.equal(load.statuses.get(500), undefined, "an outage is a 503, not a fault");
    for (const outage of outages) assert.ok(outage <= backWithinMs, `${outage} ms`);
    await until(
      "all sagas have ended",
      async () => {
        const [row] = await query<{ open: string }>(
          `select count(*)::text as open from platform.sagas
           where status in ('running', 'compensating')`,
        );
        return row?.open === "0";
      },
      120_000,
    );
    const rows = await query<{ id: string; status: string }>(
      "select id, status from shared.orders",
    );
    const statusOf = new Map(rows.map(({ id, status }) => [id, status]));
    const lost = [...load.confirmed.keys()].filter((id) => statusOf.get(id) !== "paid");
    assert.deepEqual(lost, []);
    assert.equal(statusOf.size, load.confirmed.size, "no order that nobody asked for");
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank({ query }, await shop.bank.log()), []);
  });
});
