import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { type Context, systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createOutgoing, type OutgoingClient } from "../../platform/outgoing/outgoing.ts";
import { type LaunchedSimulator, launchSimulator } from "../../simulator/launch.ts";
import { addUpLog } from "../../simulator/oracle.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { postJournals } from "../ledger/index.ts";
import type { NewPayment, Payment, PaymentAdvance, Payments } from "./contract.ts";
import {
  createManualProvider,
  createPayments,
  createSimulatorProvider,
  type PaymentFailpoint,
  paymentInvariants,
} from "./index.ts";

const apiKey = "a secret of the tests";
const secrets = ["old webhook secret", "new webhook secret"];

/** What the bank has not finished yet. */
export interface BankState {
  readonly webhooksWaiting: number;
  readonly requestsWaiting: number;
}

/** A database, a bank's process and a server for its notices, shared by the tests of one file. */
export interface PaymentBench {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly client: OutgoingClient;
  /** Folder of the bank's log. */
  readonly folder: string;
  bank: LaunchedSimulator;
  /** Turns the bank's knobs. */
  control(changes: object): Promise<BankState>;
  /** Kills the bank with SIGKILL and starts it again on the same log and port. */
  killBank(): Promise<void>;
  startBank(): Promise<void>;
  log(): Promise<string>;
  stop(): Promise<void>;
  /** Who receives notices; a test that wants none leaves it out. */
  readonly shops: Map<string, { readonly payments: Payments; readonly ctx: Context }>;
}

/** Opens what the tests of one file share. */
export async function openPaymentBench(): Promise<PaymentBench> {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const folder = await mkdtemp(path.join(os.tmpdir(), "brandos-bank-"));
  const shops: PaymentBench["shops"] = new Map();
  const server = await listenForNotices(shops);
  const webhookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/{account}`;
  const launch = (port: number) =>
    launchSimulator({ folder, port, apiKey, webhookUrl, webhookSecrets: secrets });
  let bank = await launch(0);
  const { url } = bank;
  const client = createOutgoing({
    name: "payments.simulator",
    reach: "any",
    limits: { timeoutMs: 250, breakerThreshold: 1_000_000, attemptsMax: 1 },
  });
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  return {
    database,
    db,
    client,
    folder,
    shops,
    get bank() {
      return bank;
    },
    async control(changes) {
      const body = JSON.stringify(changes);
      const answer = await fetch(`${url}/control`, { method: "PATCH", headers, body });
      return (await answer.json()) as BankState;
    },
    killBank: () => bank.kill(),
    async startBank() {
      bank = await launch(Number(new URL(url).port));
    },
    log: async () => (await fetch(`${url}/log`, { headers })).text(),
    async stop() {
      await bank.stop();
      await client.stop();
      server.closeAllConnections();
      server.close();
      await db.stop();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}

async function listenForNotices(shops: PaymentBench["shops"]): Promise<Server> {
  const server = createServer((request, response) => {
    takeNotice(shops, request).then(
      (status) => response.writeHead(status).end(),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function takeNotice(shops: PaymentBench["shops"], request: IncomingMessage): Promise<number> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const shop = shops.get(request.url?.slice(1) ?? "");
  if (!shop) return 204;
  const received = await shop.payments.receiveWebhook(shop.ctx, {
    provider: "simulator",
    body: Buffer.concat(chunks),
    header: (name) => request.headers[name] as string | undefined,
  });
  return received.ok ? 204 : 403;
}

/** One tenant's payments, with what tests want to turn. */
export interface Shop {
  readonly payments: Payments;
  readonly ctx: Context;
  readonly tenantId: TenantId;
  readonly turn: ShopTurns;
  /** Records an intent, as a checkout does. */
  intend(change?: Partial<NewPayment>): Promise<NewPayment>;
  /** Charges a recorded intent and records the outcome, as a checkout does. */
  settle(payment: NewPayment): Promise<Payment>;
  /** Both. */
  pay(change?: Partial<NewPayment>): Promise<Payment>;
  find(id: string): Promise<Payment>;
  /** Balance per account of the ledger, debits minus credits. */
  balances(): Promise<Readonly<Record<string, number>>>;
  /** Types of the events of the tenant, in order. */
  events(): Promise<readonly string[]>;
  /** Ids of invariants that do not hold, and differences between payments and the bank's log. */
  quarrels(): Promise<readonly string[]>;
}

/** What a test turns while the shop runs. */
export interface ShopTurns {
  /** Added to the clock, milliseconds. */
  clockMs: number;
  failpoint: (name: PaymentFailpoint) => void | Promise<void>;
  readonly statements: string[];
}

/** Opens a shop of a fresh tenant; it hears of notices unless told otherwise. */
export function openShop(bench: PaymentBench, hears = true): Shop {
  const tenantId = newId<"tenant">();
  const ctx = systemContext(tenantId, "test");
  const turn: ShopTurns = { clockMs: 0, failpoint: () => {}, statements: [] };
  const { db, client } = bench;
  const payments = createPayments({
    db,
    uow: createUnitOfWork(db),
    clock: () => new Date(Date.now() + turn.clockMs),
    providers: [
      createManualProvider(),
      createSimulatorProvider({
        baseUrl: bench.bank.url,
        apiKey,
        webhookSecrets: secrets,
        client,
      }),
    ],
    postJournals,
    failpoint: (name) => turn.failpoint(name),
  });
  if (hears) bench.shops.set(tenantId, { payments, ctx });
  const intend = async (change: Partial<NewPayment> = {}) => {
    const payment: NewPayment = {
      id: newId<"payment">(),
      orderId: newId<"order">(),
      provider: "simulator",
      amountMinor: 10_000,
      currency: "EUR",
      instrumentToken: "tok_test_approved",
      ...change,
    };
    await db.commit(tenantId, async (tx) => payments.createPayments(tx, ctx, [payment]));
    return payment;
  };
  const settle = async (payment: NewPayment) => {
    const observation = await payments.charge(ctx, payment);
    const [advance] = await db.commit(tenantId, (tx) =>
      payments.advancePayments(tx, ctx, [observation]),
    );
    return (advance as Extract<PaymentAdvance, { after: Payment }>).after;
  };
  return {
    payments,
    ctx,
    tenantId,
    turn,
    intend,
    settle,
    pay: async (change) => settle(await intend(change)),
    async find(id) {
      const found = await payments.getPayment(ctx, id as never);
      if (!found.ok) throw new Error(found.failure.code);
      return found.value.payment;
    },
    async balances() {
      const rows = await bench.database.query<{ account: string; sum: string }>(
        `select account, sum(amount_minor)::text as sum from shared.ledger_entries
         where tenant_id = $1 group by account order by account`,
        [tenantId],
      );
      return Object.fromEntries(rows.map(({ account, sum }) => [account, Number(sum)]));
    },
    async events() {
      const rows = await bench.database.query<{ type: string }>(
        "select type from platform.events where tenant_id = $1 order by horizon, position",
        [tenantId],
      );
      return rows.map(({ type }) => type);
    },
    quarrels: () => quarrelsOf(bench, tenantId),
  };
}

/** Compares payments with the bank's own log, and runs every invariant. */
async function quarrelsOf(bench: PaymentBench, tenantId: TenantId): Promise<readonly string[]> {
  const quarrels: string[] = [];
  const bankSums = addUpLog(await bench.log(), tenantId);
  const rows = await bench.database.query<{ id: string; captured: string; refunded: string }>(
    `select id, captured_minor::text as captured, refunded_minor::text as refunded
     from shared.payments where tenant_id = $1 and provider = 'simulator'`,
    [tenantId],
  );
  const known = new Map(rows.map((row) => [row.id, row]));
  for (const [id, sum] of bankSums) {
    const ours = known.get(id);
    const [captured, refunded] = [Number(ours?.captured), Number(ours?.refunded)];
    if (captured !== sum.capturedMinor || refunded !== sum.refundedMinor) {
      quarrels.push(`${id}: bank ${JSON.stringify(sum)}, ours ${JSON.stringify(ours)}`);
    }
  }
  for (const { id, captured } of rows) {
    if (Number(captured) > 0 && !bankSums.has(id)) quarrels.push(`${id}: the bank knows nothing`);
  }
  await bench.db.read(tenantId, async (tx) => {
    for (const { id, sql: text } of paymentInvariants) {
      const broken = await tx.rows({ name: "", text, values: [] });
      if (broken.length > 0) quarrels.push(`${id}: ${JSON.stringify(broken)}`);
    }
  });
  return quarrels;
}

/** Waits for a condition, at most ten seconds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
