import { Redis as Client, Cluster, Command, type RedisOptions } from "ioredis";
import { assert } from "../../kernel/assert.ts";
import type { RedisArgument, RedisNode } from "./node.ts";

export { RedisError, toRedisError } from "./errors.ts";
export type { RedisArgument, RedisNode } from "./node.ts";
export { defineScript, type RedisScript, runScript } from "./script.ts";

/** Limits of the connections; every one has a default. */
export interface RedisLimits {
  /** Longest a connection may take to be made, milliseconds. */
  readonly connectTimeoutMs: number;
  /** Longest a command may take, milliseconds: then it is answered with an error, done or not. */
  readonly commandTimeoutMs: number;
  /** Longest pause between two attempts to connect, milliseconds. */
  readonly reconnectMaxMs: number;
}

/** Limits that suit servers in the same data centre. */
export const defaultRedisLimits: RedisLimits = {
  connectTimeoutMs: 1_000,
  commandTimeoutMs: 100,
  reconnectMaxMs: 1_000,
};

/** Where the servers are. */
export interface RedisConfig {
  /**
   * `redis://user:password@host:port/database`, `rediss://` for TLS: independent servers, or some
   * servers of one cluster.
   */
  readonly urls: readonly string[];
  /** Whether they are one Redis Cluster; default false. */
  readonly isCluster?: boolean;
  readonly limits?: Partial<RedisLimits>;
  readonly onEvent?: (event: RedisEvent) => void;
}

/** What happens to connections, for observers. Names are `host:port`: a URL has a password in it. */
export type RedisEvent =
  | { readonly kind: "ready"; readonly server: string }
  | { readonly kind: "lost"; readonly server: string }
  | { readonly kind: "error"; readonly server: string; readonly error: Error };

/** One server, or one cluster that looks like a server. */
export interface RedisServer extends RedisNode {
  /** `host:port`. */
  readonly name: string;
  /** Whether commands may be sent: the connection is made, and the server has loaded its data. */
  isReady(): boolean;
}

/** The Redis or Valkey servers of a deployment. */
export interface Redis {
  /** In the order of the addresses; a cluster is one. */
  readonly servers: readonly RedisServer[];
  readonly isCluster: boolean;
  /** Resolves when every server is connected, or after so long, milliseconds. */
  untilReady(withinMs: number): Promise<void>;
  /** May be called twice. */
  stop(): Promise<void>;
}

/**
 * Connects to servers, and again whenever a connection breaks. Nothing waits for a server that is
 * away: a command that cannot be sent fails at once, one that is not answered in time fails then, and
 * none is sent twice, because nobody knows whether it was done.
 */
export function connectRedis(config: RedisConfig): Redis {
  assert(config.urls.length > 0, "there is an address");
  const limits = { ...defaultRedisLimits, ...config.limits };
  const emit = config.onEvent ?? (() => {});
  const clients = config.isCluster
    ? [openCluster(config.urls, limits)]
    : config.urls.map((url) => openServer(url, limits));
  const servers = clients.map((client, at) => {
    const name = config.isCluster ? "cluster" : serverName(config.urls[at] ?? "");
    return watch(client, name, emit);
  });
  let stopped = false;
  return {
    servers,
    isCluster: config.isCluster ?? false,
    async untilReady(withinMs) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, withinMs).unref());
      await Promise.race([Promise.all(clients.map(untilReady)), late]);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const client of clients) client.disconnect();
    },
  };
}

/** `host:port` of an address, without what is secret in it. */
export function serverName(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || "6379"}`;
}

type AnyClient = Client | Cluster;

function optionsOf(limits: RedisLimits) {
  return {
    connectTimeout: limits.connectTimeoutMs,
    commandTimeout: limits.commandTimeoutMs,
    enableOfflineQueue: false,
    // What was sent and not answered may have been done.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    // Replies are what RESP2 gave: servers of any age answer alike.
    protocol: 2,
    retryStrategy: (times: number) => reconnectInMs(times, limits),
  } as const satisfies RedisOptions;
}

function reconnectInMs(times: number, { reconnectMaxMs }: RedisLimits): number {
  return Math.random() * Math.min(reconnectMaxMs, 25 * 2 ** Math.min(times, 10));
}

function openServer(url: string, limits: RedisLimits): Client {
  return new Client(url, optionsOf(limits));
}

function openCluster(urls: readonly string[], limits: RedisLimits): Cluster {
  const nodes = urls.map((url) => {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port || 6379) };
  });
  const [first = ""] = urls;
  const { username, password, protocol } = new URL(first);
  return new Cluster(nodes, {
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    clusterRetryStrategy: (times) => reconnectInMs(times, limits),
    slotsRefreshTimeout: limits.connectTimeoutMs,
    retryDelayOnFailover: Math.ceil(limits.commandTimeoutMs / 4),
    redisOptions: {
      ...optionsOf(limits),
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
      ...(protocol === "rediss:" ? { tls: {} } : {}),
    },
  });
}

function watch(client: AnyClient, name: string, emit: (event: RedisEvent) => void): RedisServer {
  let ready = false;
  client.on("ready", () => {
    ready = true;
    emit({ kind: "ready", server: name });
  });
  client.on("close", () => {
    if (ready) emit({ kind: "lost", server: name });
    ready = false;
  });
  // Without a listener an error of the connection would end the process.
  client.on("error", (error: Error) => emit({ kind: "error", server: name, error }));
  return {
    name,
    isReady: () => client.status === "ready",
    call: (command, ...args) => client.call(command, ...args),
    callBuffer: (command, ...args) => callForBytes(client, command, args),
    eval: (script, keys, ...args) => client.eval(script, keys, ...args),
    evalsha: (sha, keys, ...args) => client.evalsha(sha, keys, ...args),
  };
}

/**
 * ioredis' own `callBuffer` loses the command's name when it pipelines (6.0.0: only `call` is given it
 * back); methods named after a command do not. What has no method goes out by itself.
 */
function callForBytes(
  client: AnyClient,
  command: string,
  args: readonly RedisArgument[],
): Promise<unknown> {
  const methods = client as unknown as Readonly<
    Record<string, ((...args: RedisArgument[]) => Promise<unknown>) | undefined>
  >;
  const method = methods[`${command.toLowerCase()}Buffer`];
  if (method) return method.apply(client, [...args]);
  const bytes = new Command(command, [...args], { replyEncoding: null });
  return client.sendCommand(bytes) as Promise<unknown>;
}

function untilReady(client: AnyClient): Promise<void> {
  if (client.status === "ready") return Promise.resolve();
  return new Promise((resolve) => client.once("ready", () => resolve()));
}
