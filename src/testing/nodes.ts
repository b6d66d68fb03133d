import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestBank, testSecrets } from "./shop.ts";

/** What a node of a test is told. */
export interface NodeOrders {
  readonly ownerUrl: string;
  readonly operatorKey: string;
  readonly secret: string;
  readonly bank?: TestBank["address"];
  /** Dies at the n-th place it reaches once armed; 0 never dies and reports the places. */
  readonly dieAt: number;
  /** Places that count: those whose name begins with one of these. */
  readonly places: readonly string[];
}

/** What a node tells its test. */
export type NodeSays =
  | { readonly url: string }
  | { readonly armed: true }
  | { readonly reached: string };

/** How to start a node. */
export interface NodeOptions {
  readonly ownerUrl: string;
  readonly bank?: Pick<TestBank, "address">;
  readonly dieAt?: number;
  readonly places?: readonly string[];
  /** Separated by commas; default `api,worker`. */
  readonly roles?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether what it says on its way out is dropped; default false. */
  readonly isQuiet?: boolean;
}

/** A node of the product in a process of its own. */
export interface TestNode {
  readonly url: string;
  readonly pid: number;
  /** Places reached since it was armed, where it was told to report them. */
  readonly reached: readonly string[];
  /** Whether the process is there. */
  isAlive(): boolean;
  /** From now on places count. */
  arm(): Promise<void>;
  /** Kills it on the spot (SIGKILL), and waits. May be called twice. */
  kill(): Promise<void>;
  /** Resolves when it has ended, however it did. */
  readonly ended: Promise<void>;
}

/** Starts a node and waits until it serves. @throws Error when it does not start */
export async function startNode(options: NodeOptions): Promise<TestNode> {
  const home = mkdtempSync(path.join(tmpdir(), "brandos-node-"));
  const orders: NodeOrders = {
    ownerUrl: options.ownerUrl,
    operatorKey: testSecrets.operatorKey,
    secret: testSecrets.secret,
    ...(options.bank ? { bank: options.bank.address } : {}),
    dieAt: options.dieAt ?? 0,
    places: options.places ?? [],
  };
  const child = fork(path.join(import.meta.dirname, "node.fixture.ts"), {
    stdio: ["ignore", "inherit", options.isQuiet ? "ignore" : "inherit", "ipc"],
    execArgv: [],
    env: {
      PATH: process.env["PATH"] ?? "",
      PORT: "0",
      NODE_ENV: "test",
      BRANDOS_HOME: home,
      BRANDOS_ROLES: options.roles ?? "api,worker",
      BRANDOS_RATE_PER_MINUTE: "0",
      BRANDOS_ANONYMOUS_RATE_PER_MINUTE: "0",
      BRANDOS_TENANT_RATE_PER_MINUTE: "0",
      BRANDOS_SHOPPER_RATE_PER_MINUTE: "0",
      BRANDOS_LOOP_DELAY_MAX_MS: "0",
      BRANDOS_SLOW_STATEMENT_MS: "0",
      BRANDOS_TEST_NODE: JSON.stringify(orders),
      ...options.env,
    },
  });
  const ended = once(child, "exit").then(() => rmSync(home, { recursive: true, force: true }));
  const reached: string[] = [];
  child.on("message", (message: NodeSays) => {
    if ("reached" in message) reached.push(message.reached);
  });
  const url = await said(child, "url", ended);
  return {
    url: String(url),
    pid: child.pid ?? 0,
    reached,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async arm() {
      child.send("arm");
      await said(child, "armed", ended);
    },
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
    ended,
  };
}

/** Waits until a node says something. */
function said(child: ChildProcess, what: string, ended: Promise<void>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const listen = (message: Readonly<Record<string, unknown>>) => {
      if (!(what in message)) return;
      child.off("message", listen);
      resolve(message[what]);
    };
    child.on("message", listen);
    void ended.then(() => reject(new Error(`a node ended before it said its ${what}`)));
  });
}

/** What a request came to; nothing when the connection broke before an answer. */
export interface NodeAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the node sends
  readonly body: any;
}

/** Asks a node with a brand's key. @returns undefined when no whole answer came */
export async function ask(
  url: string,
  request: {
    readonly method: string;
    readonly path: string;
    readonly key: string;
    readonly idempotencyKey?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
    readonly timeoutMs?: number;
  },
): Promise<NodeAnswer | undefined> {
  try {
    const response = await fetch(url + request.path, {
      method: request.method,
      headers: {
        authorization: `Bearer ${request.key}`,
        ...(request.body === undefined ? {} : { "content-type": "application/json" }),
        ...(request.idempotencyKey ? { "idempotency-key": request.idempotencyKey } : {}),
        ...request.headers,
      },
      signal: AbortSignal.timeout(request.timeoutMs ?? 60_000),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  } catch {
    return undefined;
  }
}
