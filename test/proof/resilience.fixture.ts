import assert from "node:assert/strict";
import { newId } from "../../src/kernel/ids.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, type NodeAnswer, startNode, type TestNode } from "../../src/testing/nodes.ts";
import {
  openTestShop,
  quarrelsWithBank,
  type TestBank,
  type TestShop,
} from "../../src/testing/shop.ts";
import { startTcpProxy, type TcpProxy } from "../../src/testing/tcp-proxy.ts";

/** An answer, and how long it took. */
export interface TimedAnswer extends NodeAnswer {
  readonly tookMs: number;
}

/** A purchase that may be repeated. */
export interface Purchase {
  readonly orderId: string;
  /** Sends it, the first time or again. */
  send(headers?: Readonly<Record<string, string>>): Promise<TimedAnswer>;
}

/** A node whose every dependency can be broken. */
export interface FragileNode {
  readonly shop: TestShop;
  readonly brand: TestBrand;
  readonly node: TestNode;
  /** In front of the tenants' database, as business work sees it. */
  readonly database: TcpProxy;
  /** In front of the same server, as the platform sees it: directory, keys, schedules, probes, LISTEN. */
  readonly home: TcpProxy;
  readonly bank: TestBank;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<TimedAnswer>;
  purchase(): Purchase;
  /** Orders and payments of a purchase, their status. */
  resultOf(orderId: string): Promise<{ readonly orders: string[]; readonly payments: number }>;
  /** Fails when anything is broken, or the bank's log says otherwise than the payments do. */
  checkPromises(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one, on a database of its own. */
export async function startFragileNode(): Promise<FragileNode> {
  const shop = await openTestShop();
  const brand = await openTestBrand(shop.app, { units: 1_000 });
  const database = await startTcpProxy(shop.database.ownerUrl);
  const home = await startTcpProxy(shop.database.ownerUrl);
  // The bank of the shop's own node as well: whichever of the two goes on with a saga asks that one.
  const { bank } = shop;
  const node = await startNode({
    ownerUrl: shop.database.ownerUrl,
    bank,
    env: {
      DATABASE_URL: shop.database.ownerUrl,
      DATABASE_APP_URL: database.through(shop.database.urls.app),
      DATABASE_PLATFORM_URL: home.through(shop.database.urls.platform),
    },
  });
  const timed = async (request: Parameters<typeof ask>[1]): Promise<TimedAnswer> => {
    const startedAt = performance.now();
    const answer = await ask(node.url, request);
    assert(answer, `${request.method} ${request.path} was answered`);
    return { ...answer, tookMs: Math.round(performance.now() - startedAt) };
  };
  return {
    shop,
    brand,
    node,
    database,
    home,
    bank,
    get: (path, headers = {}) => timed({ method: "GET", path, key: brand.secretKey, headers }),
    purchase: () => purchaseOf(brand, timed),
    async resultOf(orderId) {
      const rows = await shop.database.query<{ status: string; payments: string }>(
        `select o.status, (select count(*) from shared.payments p where p.tenant_id = o.tenant_id
           and p.order_id = o.id)::text as payments from shared.orders o where o.id = $1`,
        [orderId],
      );
      return {
        orders: rows.map(({ status }) => status),
        payments: rows.reduce((sum, { payments }) => sum + Number(payments), 0),
      };
    },
    async checkPromises() {
      assert.deepEqual(await brand.broken(), []);
      assert.deepEqual(await quarrelsWithBank(shop.database, await bank.log()), []);
    },
    async stop() {
      await node.kill();
      await Promise.all([database.stop(), home.stop()]);
      await shop.stop();
    },
  };
}

function purchaseOf(
  brand: TestBrand,
  timed: (request: Parameters<typeof ask>[1]) => Promise<TimedAnswer>,
): Purchase {
  const orderId = newId();
  const idempotencyKey = newId();
  const { lines, email, shippingAddress, shippingMethodId } = brand.basket();
  const payment = { provider: "simulator", instrumentToken: "tok_test_approved" };
  return {
    orderId,
    send: (headers = {}) =>
      timed({
        method: "POST",
        path: "/v1/orders",
        key: brand.secretKey,
        idempotencyKey,
        headers,
        body: {
          id: orderId,
          currency: "EUR",
          lines,
          email,
          shippingAddress,
          shippingMethodId,
          payment,
        },
      }),
  };
}
