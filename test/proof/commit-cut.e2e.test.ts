import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { openTestShop, quarrelsWithBank, type TestShop, until } from "../../src/testing/shop.ts";
import { startTcpProxy, type TcpProxy } from "../../src/testing/tcp-proxy.ts";
import { isCommit } from "../../src/testing/wire-messages.ts";

let shop: TestShop;
let brand: TestBrand;
let proxy: TcpProxy;
let node: TestNode;

before(async () => {
  shop = await openTestShop();
  brand = await openTestBrand(shop.app, { units: 1_000 });
  proxy = await startTcpProxy(shop.database.ownerUrl);
  const ownerUrl = proxy.through(shop.database.ownerUrl);
  node = await startNode({ ownerUrl, bank: shop.bank, roles: "api" });
});
after(async () => {
  await node.kill();
  await proxy.stop();
  await shop.stop();
});

/** Orders, and asks again with the same key and id until there is a final answer. */
async function checkout(): Promise<{ readonly id: string; readonly attempts: number }> {
  const { lines, email, shippingAddress, shippingMethodId } = brand.basket();
  const id = newId();
  const idempotencyKey = newId();
  let attempts = 0;
  await until(
    `order ${id} is confirmed`,
    async () => {
      attempts++;
      const answer = await ask(node.url, {
        method: "POST",
        path: "/v1/orders",
        key: brand.secretKey,
        idempotencyKey,
        body: {
          id,
          currency: "EUR",
          lines,
          email,
          shippingAddress,
          shippingMethodId,
          payment: { provider: "simulator", instrumentToken: "tok_test_approved" },
        },
      });
      return answer?.status === 201;
    },
    60_000,
  );
  return { id, attempts };
}

describe("a commit of a checkout", () => {
  test("whose line is cut before or after it arrived makes exactly one order", async (t) => {
    await checkout();
    let commits = 0;
    proxy.decide((message) => {
      if (isCommit(message)) commits++;
      return "pass";
    });
    await checkout();
    assert.ok(commits >= 2, `${commits} commits in a checkout`);
    const orders: string[] = [];
    let cuts = 0;
    let repeated = 0;
    for (const action of ["cut_after", "cut_before"] as const) {
      for (let cutAt = 1; cutAt <= commits; cutAt++) {
        let seen = 0;
        proxy.decide((message) => {
          if (!isCommit(message) || ++seen !== cutAt) return "pass";
          cuts++;
          return action;
        });
        const { id, attempts } = await checkout();
        if (attempts > 1) repeated++;
        orders.push(id);
      }
    }
    proxy.decide(() => "pass");
    t.diagnostic(`${commits} commits a checkout; ${cuts} cut, ${repeated} checkouts asked again`);
    assert.ok(cuts >= orders.length - 2, `${cuts} cuts`);
    const rows = await shop.database.query<{ id: string; status: string; payments: string }>(
      `select o.id, o.status, (select count(*) from shared.payments p
         where p.tenant_id = o.tenant_id and p.order_id = o.id)::text as payments
       from shared.orders o`,
    );
    const known = new Map(rows.map((row) => [row.id, row]));
    for (const id of orders) {
      const { status, payments } = known.get(id) ?? {};
      assert.deepEqual({ id, status, payments }, { id, status: "paid", payments: "1" });
    }
    assert.equal(known.size, orders.length + 2, "no order more");
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
  });
});
