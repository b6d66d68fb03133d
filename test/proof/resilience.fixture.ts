import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { newId } from "../../src/kernel/ids.ts";
import { type LaunchedSimulator, launchSimulator } from "../../src/simulator/launch.ts";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, type NodeAnswer, startNode, type TestNode } from "../../src/testing/nodes.ts";
import {
  openTestShop,
  quarrelsWithBank,
  type TestShop,
  testSecrets,
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
  readonly bank: {
    kill(): Promise<void>;
    /** On the same port, with the same log. */
    restart(): Promise<void>;
    pause(): void;
    resume(): void;
  };
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
  const bank = await openBank();
  const node = await startNode({
    ownerUrl: shop.database.ownerUrl,
    bank: {
      address: {
        baseUrl: bank.url,
        apiKey: testSecrets.bankKey,
        webhookSecrets: [testSecrets.webhookSecret],
      },
    },
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
      await bank.stop();
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

/** A bank's process that comes back on its port. */
async function openBank() {
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-bank-"));
  const launch = (port: number): Promise<LaunchedSimulator> =>
    launchSimulator({ folder, port, apiKey: testSecrets.bankKey });
  let bank = await launch(0);
  const { url } = bank;
  return {
    url,
    kill: () => bank.kill(),
    async restart() {
      bank = await launch(Number(new URL(url).port));
    },
    pause: () => void process.kill(bank.pid, "SIGSTOP"),
    resume: () => void process.kill(bank.pid, "SIGCONT"),
    async log() {
      const headers = { authorization: `Bearer ${testSecrets.bankKey}` };
      return (await fetch(`${url}/log`, { headers })).text();
    },
    async stop() {
      await bank.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
