import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, type NodeAnswer, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { openTestShop, quarrelsWithBank, type TestShop, until } from "../../src/testing/shop.ts";

/** Work that belongs to a checkout; what runs on a schedule is left out. */
const places = ["checkout.", "sagas.save", "payments."];
/** Nodes that start and die at the same time; most of the time their leases are waited for. */
const atOnce = 5;

let shop: TestShop;
let brand: TestBrand;
let survivor: TestNode;

before(async () => {
  shop = await openTestShop();
  brand = await openTestBrand(shop.app, { units: 1_000 });
  survivor = await start({ roles: "api,worker" });
});
after(async () => {
  await survivor.kill();
  await shop.stop();
});

function start(options: { readonly dieAt?: number; readonly roles?: string }): Promise<TestNode> {
  const { ownerUrl } = shop.database;
  return startNode({ ownerUrl, bank: shop.bank, places, roles: "api", ...options });
}

interface Purchase {
  readonly orderId: string;
  readonly idempotencyKey: string;
  readonly answers: NodeAnswer[];
}

/** Asks for the same order, on any node: the key and the id stay. */
async function checkout(node: TestNode, purchase: Purchase, card: string): Promise<void> {
  const { lines, shippingAddress, shippingMethodId } = brand.basket();
  // A buyer of its own for every order: each checkout reaches the same places.
  const email = `${purchase.orderId}@example.com`;
  const answer = await ask(node.url, {
    method: "POST",
    path: "/v1/orders",
    key: brand.secretKey,
    idempotencyKey: purchase.idempotencyKey,
    body: {
      id: purchase.orderId,
      currency: "EUR",
      lines,
      email,
      shippingAddress,
      shippingMethodId,
      payment: { provider: "simulator", instrumentToken: `tok_test_${card}` },
    },
  });
  if (answer) purchase.answers.push(answer);
}

function newPurchase(): Purchase {
  return { orderId: newId(), idempotencyKey: newId(), answers: [] };
}

/** Places that one checkout reaches, in order. */
async function record(card: string): Promise<readonly string[]> {
  const node = await start({});
  await node.arm();
  const purchase = newPurchase();
  await checkout(node, purchase, card);
  const seen = [...node.reached];
  await node.kill();
  assert.ok(purchase.answers.length === 1 && seen.length > 0);
  return seen;
}

/** A node dies at the n-th place of a checkout; the client asks another node until it knows. */
async function crashAt(
  dieAt: number,
  card: string,
): Promise<Purchase & { readonly died: boolean }> {
  const victim = await start({ dieAt });
  await victim.arm();
  const purchase = newPurchase();
  await checkout(victim, purchase, card);
  // Without an answer it must have died by itself.
  const died = purchase.answers.length === 0;
  if (died) await until("the node is gone", () => !victim.isAlive());
  await victim.kill();
  const knows = () => {
    const status = purchase.answers.at(-1)?.status ?? 0;
    return status === 201 || status === 402;
  };
  await until(
    `checkout ${purchase.orderId}, killed at ${dieAt}, is answered`,
    async () => {
      if (!knows()) await checkout(survivor, purchase, card);
      return knows();
    },
    120_000,
  );
  return { ...purchase, died };
}

async function settled(): Promise<void> {
  await until(
    "all sagas have ended",
    async () => {
      const [row] = await shop.database.query<{ open: string }>(
        `select count(*)::text as open from platform.sagas
         where tenant_id = $1 and status in ('running', 'compensating')`,
        [brand.tenantId],
      );
      return row?.open === "0";
    },
    120_000,
  );
}

describe("a checkout with a remote payment", () => {
  for (const [card, from] of [
    ["approved", "checkout.place begin"],
    // What comes before is the same for every card.
    ["card_declined", "payments.after_call"],
  ] as const) {
    test(`loses nothing wherever its node is killed (${card})`, async (t) => {
      const seen = await record(card);
      const wanted = seen.map((_, at) => at + 1).slice(seen.indexOf(from));
      const count = wanted.length;
      const purchases: (Purchase & { readonly died: boolean })[] = [];
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          for (let at = wanted.shift(); at !== undefined; at = wanted.shift())
            purchases.push(await crashAt(at, card));
        }),
      );
      await settled();
      const deaths = purchases.filter(({ died }) => died).length;
      t.diagnostic(`${count} places, ${deaths} nodes killed: ${seen.slice(-count).join(", ")}`);
      assert.equal(deaths, count, "every node died where it was told to");
      assert.deepEqual(await brand.broken(), []);
      assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
      const rows = await shop.database.query<{ id: string; status: string; payments: string }>(
        `select o.id, o.status, (select count(*) from shared.payments p
           where p.tenant_id = o.tenant_id and p.order_id = o.id)::text as payments
         from shared.orders o where o.tenant_id = $1`,
        [brand.tenantId],
      );
      const orders = new Map(rows.map((row) => [row.id, row]));
      for (const { orderId, answers } of purchases) {
        const order = orders.get(orderId);
        const paid = answers.some(({ status }) => status === 201);
        assert.equal(order?.payments, "1", `${orderId} has one payment`);
        assert.equal(order?.status, paid ? "paid" : "cancelled", orderId);
        const numbers = answers.flatMap(({ body }) => body.number ?? []);
        assert.ok(new Set(numbers).size <= 1, "every answer tells the same order");
      }
    });
  }
});
