import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type App, createApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { type LaunchedSimulator, launchSimulator } from "../simulator/launch.ts";
import { addUpLog } from "../simulator/oracle.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

/** Key and secrets shared by a test's nodes and its bank. */
export const testSecrets = {
  operatorKey: "op_0123456789abcdefghijklmnopqrstuvwxyz",
  secret: "a-secret-of-at-least-thirty-two-characters",
  bankKey: "a key of the tests",
  webhookSecret: "a webhook secret of the tests",
} as const;

/** A whole BrandOS on a test database, with a bank in a process of its own. */
export interface TestShop extends AsyncDisposable {
  readonly app: App;
  readonly database: TestDatabase;
  readonly bank: TestBank;
  /** Address of its HTTP server; empty without the role `api`. */
  readonly url: string;
  /** Warnings and errors it logged. */
  readonly logged: readonly string[];
  stop(): Promise<void>;
}

/**
 * Starts one.
 *
 * @param roles what the process does, separated by commas; `none` for commands only
 */
export async function openTestShop(roles: string = "none"): Promise<TestShop> {
  const database = await createTestDatabase();
  const bank = await openTestBank();
  const home = mkdtempSync(path.join(tmpdir(), "brandos-shop-"));
  const logged: string[] = [];
  const tell = (fields: Readonly<Record<string, unknown>>, message: string) => {
    const error = fields["err"] instanceof Error ? fields["err"].stack : "";
    logged.push(`${message} ${fields["operation"] ?? fields["route"] ?? ""} ${error}`);
  };
  const read = readConfig({
    PORT: "0",
    NODE_ENV: "test",
    BRANDOS_HOME: home,
    BRANDOS_RATE_PER_MINUTE: "0",
    BRANDOS_ANONYMOUS_RATE_PER_MINUTE: "0",
    BRANDOS_TENANT_RATE_PER_MINUTE: "0",
    BRANDOS_SHOPPER_RATE_PER_MINUTE: "0",
    BRANDOS_LOOP_DELAY_MAX_MS: "0",
    ...(roles === "none" ? {} : { BRANDOS_ROLES: roles }),
  });
  const app = await createApp({
    config: roles === "none" ? { ...read, roles: [] } : read,
    homeUrl: database.ownerUrl,
    operatorKey: testSecrets.operatorKey,
    secret: testSecrets.secret,
    simulator: bank.address,
    log: { info() {}, warn: tell, error: tell },
  });
  const { url = "" } = await app.start();
  const stop = async () => {
    await app.stop();
    await bank.stop();
    await database.drop();
    rmSync(home, { recursive: true, force: true });
  };
  return {
    app,
    database,
    bank,
    url,
    logged,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A bank's process with a log of its own. */
export interface TestBank {
  readonly process: LaunchedSimulator;
  /** Starts it anew on its port, with the log it has: after its process has ended. */
  restart(): Promise<void>;
  /** What a node needs to talk to it. */
  readonly address: {
    readonly baseUrl: string;
    readonly apiKey: string;
    readonly webhookSecrets: readonly string[];
  };
  /** Turns knobs; see `Knobs`. */
  turn(knobs: object): Promise<void>;
  /** Text of its append-only log. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a bank on a free port. */
export async function openTestBank(): Promise<TestBank> {
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-bank-"));
  const launch = (port: number) => launchSimulator({ folder, port, apiKey: testSecrets.bankKey });
  let bank = await launch(0);
  const headers = {
    authorization: `Bearer ${testSecrets.bankKey}`,
    "content-type": "application/json",
  };
  return {
    get process() {
      return bank;
    },
    async restart() {
      bank = await launch(Number(new URL(bank.url).port));
    },
    address: {
      baseUrl: bank.url,
      apiKey: testSecrets.bankKey,
      webhookSecrets: [testSecrets.webhookSecret],
    },
    async turn(knobs) {
      const body = JSON.stringify(knobs);
      const answer = await fetch(`${bank.url}/control`, { method: "PATCH", headers, body });
      if (!answer.ok) throw new Error(`the bank refused its knobs: ${await answer.text()}`);
    },
    log: async () => (await fetch(`${bank.url}/log`, { headers })).text(),
    async stop() {
      await bank.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Compares what the bank's log says with what the payments of a database say.
 *
 * @param log text of the bank's log
 * @returns one line per difference; empty when they agree
 */
export async function quarrelsWithBank(
  database: Pick<TestDatabase, "query">,
  log: string,
): Promise<readonly string[]> {
  const sums = addUpLog(log);
  const rows = await database.query<{ id: string; captured: string; refunded: string }>(
    `select id, captured_minor::text as captured, refunded_minor::text as refunded
     from shared.payments where provider = 'simulator'`,
  );
  const ours = new Map(rows.map((row) => [row.id, row]));
  const quarrels: string[] = [];
  for (const [id, sum] of sums) {
    const { captured, refunded } = ours.get(id) ?? { captured: "none", refunded: "none" };
    const agrees = captured === String(sum.capturedMinor) && refunded === String(sum.refundedMinor);
    if (!agrees) quarrels.push(`${id}: bank ${JSON.stringify(sum)}, ours ${captured}/${refunded}`);
    if (sum.captures > 1) quarrels.push(`${id}: charged ${sum.captures} times`);
  }
  for (const { id, captured } of rows) {
    if (captured !== "0" && !sums.has(id)) quarrels.push(`${id}: the bank took nothing`);
  }
  return quarrels;
}

/** Waits for a condition by looking again and again. @throws Error after `withinMs` milliseconds */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}`);
    await delay(25);
  }
}
