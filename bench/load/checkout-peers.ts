import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { ShopTarget } from "./checkout-scenarios.ts";
import { freePorts } from "./free-ports.ts";

/** Shops that others made, each started as processes of its own. */
export const checkoutPeers = ["vendure", "medusa"] as const;

/** A peer's name. */
export type CheckoutPeer = (typeof checkoutPeers)[number];

/** A peer that serves. */
export interface RunningPeer {
  readonly origin: string;
  readonly target: ShopTarget;
  readonly stop: () => Promise<void>;
}

/** Where and how large a peer's shop is to be. */
export interface PeerPlan {
  /** Superuser of the database server; the peer gets a database of its own in it. */
  readonly serverUrl: string;
  readonly products: number;
}

/** Longest a peer may take to answer after its start, milliseconds. */
const startWithinMs = 180_000;
/** Longest a peer may take to end before it is killed, milliseconds. */
const endWithinMs = 10_000;
const pollMs = 100;
/** Of Vendure's administrator, who lives as long as the run. */
const password = randomUUID();

const packages = { vendure: "@vendure/core", medusa: "@medusajs/medusa" } as const;

const medusaCli = "node_modules/@medusajs/cli/cli.js";

/** Whether `node bench/peers/install.ts` was run for it. */
export function isInstalled(peer: CheckoutPeer): boolean {
  return existsSync(path.join(folderOf(peer), "node_modules", packages[peer], "package.json"));
}

/** Makes a peer's database with as many products, starts it, and waits until it answers. */
export async function startPeer(peer: CheckoutPeer, plan: PeerPlan): Promise<RunningPeer> {
  const scratch = mkdtempSync(path.join(tmpdir(), `bench-${peer}-`));
  const [port = 0] = await freePorts(1);
  const origin = `http://127.0.0.1:${port}`;
  const seedFile = path.join(scratch, "seed.json");
  const launch: Launch = {
    peer,
    env: {
      PATH: process.env["PATH"] ?? "",
      // Medusa leaves a process behind that still writes there when the server has ended.
      HOME: path.join(folderOf(peer), "node_modules", ".home"),
      NODE_ENV: "production",
      BENCH_DATABASE_URL: await freshDatabase(plan.serverUrl, `peer_${peer}`),
      BENCH_PRODUCTS: String(plan.products),
      BENCH_PORT: String(port),
      BENCH_SEED_FILE: seedFile,
      BENCH_PASSWORD: password,
      MEDUSA_DISABLE_TELEMETRY: "true",
      VENDURE_DISABLE_TELEMETRY: "true",
    },
  };
  let child: ChildProcess | undefined;
  const stop = async () => {
    if (child) await end(child);
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    if (peer === "vendure") {
      await finish(launch, ["populate.js"]);
    } else {
      await finish(launch, [medusaCli, "db:migrate"]);
      await finish(launch, [medusaCli, "exec", "./seed.js"]);
    }
    const server = ["start", "-p", String(port)];
    const spawned = spawnIn(launch, peer === "vendure" ? ["server.js"] : [medusaCli, ...server]);
    child = spawned.child;
    await answering(spawned, `${origin}/health`);
    const target =
      peer === "vendure"
        ? await vendureTarget(origin)
        : (JSON.parse(readFileSync(seedFile, "utf8")) as ShopTarget);
    return { origin, target, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Launch {
  readonly peer: CheckoutPeer;
  readonly env: Readonly<Record<string, string>>;
}

interface Spawned {
  readonly child: ChildProcess;
  /** The end of what it said, for a person who looks for the mistake. */
  readonly said: () => string;
}

function folderOf(peer: CheckoutPeer): string {
  return path.join(import.meta.dirname, "..", "peers", peer);
}

function spawnIn({ peer, env }: Launch, argv: readonly string[]): Spawned {
  const child = spawn(process.execPath, [...argv], {
    cwd: folderOf(peer),
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let tail = "";
  const listen = (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-4_000);
  };
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  return { child, said: () => tail };
}

async function finish(launch: Launch, argv: readonly string[]): Promise<void> {
  const { child, said } = spawnIn(launch, argv);
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${launch.peer} ${argv.join(" ")}: code ${code}\n${said()}`);
}

/** Ends it and what it started itself: its process group, to the last member. */
async function end({ pid }: ChildProcess): Promise<void> {
  if (pid === undefined) return;
  const begin = performance.now();
  let isThere = signalGroup(pid, "SIGTERM");
  while (isThere) {
    await delay(pollMs);
    isThere = signalGroup(pid, performance.now() - begin > endWithinMs ? "SIGKILL" : 0);
  }
}

/** @returns false when nobody is left in the group */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

async function answering({ child, said }: Spawned, url: string): Promise<void> {
  const begin = performance.now();
  while (performance.now() - begin < startWithinMs) {
    if (child.exitCode !== null) throw new Error(`ended with code ${child.exitCode}\n${said()}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await delay(pollMs);
  }
  throw new Error(`no answer from ${url}\n${said()}`);
}

async function freshDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Asks the administration API what a buyer needs. */
async function vendureTarget(origin: string): Promise<ShopTarget> {
  const login = await admin(
    origin,
    `mutation { login(username: "bench-admin", password: "${password}") { __typename } }`,
  );
  const variantIds: string[] = [];
  let terms: VendureTerms;
  do {
    const { data } = await admin(
      origin,
      `{
        productVariants(options: { take: 100, skip: ${variantIds.length} }) { items { id } totalItems }
        shippingMethods { items { id } }
        paymentMethods { items { code } }
      }`,
      login.token,
    );
    terms = data as unknown as VendureTerms;
    variantIds.push(...terms.productVariants.items.map(({ id }) => id));
  } while (variantIds.length < terms.productVariants.totalItems);
  const [shipping] = terms.shippingMethods.items;
  const [payment] = terms.paymentMethods.items;
  if (!shipping || !payment) throw new Error("Vendure was not populated");
  return {
    kind: "vendure",
    variantIds,
    shippingMethodId: shipping.id,
    paymentMethod: payment.code,
  };
}

interface VendureTerms {
  readonly productVariants: {
    readonly items: readonly { readonly id: string }[];
    readonly totalItems: number;
  };
  readonly shippingMethods: { readonly items: readonly { readonly id: string }[] };
  readonly paymentMethods: { readonly items: readonly { readonly code: string }[] };
}

async function admin(origin: string, query: string, token?: string) {
  const answer = await fetch(`${origin}/admin-api`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query }),
  });
  const body = (await answer.json()) as { data?: Record<string, unknown>; errors?: unknown };
  if (!body.data || body.errors) throw new Error(`Vendure: ${JSON.stringify(body)}`);
  return { data: body.data, token: answer.headers.get("vendure-auth-token") ?? undefined };
}
