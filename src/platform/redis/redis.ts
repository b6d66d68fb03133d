import { Redis as Client, Cluster, Command, type RedisOptions } from "ioredis";
import { assert } from "../../kernel/assert.ts";
import type { BreakerState, DependencyFigures } from "../resilience/resilience.ts";
import { createGuard } from "./guard.ts";
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
  /** Commands in a row without an answer after which a server is believed to be away. */
  readonly breakerThreshold: number;
  /** How long its commands are refused at once before one may try, milliseconds. */
  readonly breakerOpenMs: number;
  /** The same after it failed again and again. */
  readonly breakerOpenMaxMs: number;
  /** Longest pause between two attempts to connect, milliseconds. */
  readonly reconnectMaxMs: number;
}

/** Limits that suit servers in the same data centre. */
export const defaultRedisLimits: RedisLimits = {
  connectTimeoutMs: 1_000,
  commandTimeoutMs: 100,
  breakerThreshold: 5,
  breakerOpenMs: 200,
  breakerOpenMaxMs: 1_000,
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
  | { readonly kind: "breaker"; readonly server: string; readonly state: BreakerState }
  | { readonly kind: "error"; readonly server: string; readonly error: Error };

/** One server, or one cluster that looks like a server. */
export interface RedisServer extends RedisNode {
  /** `host:port`. */
  readonly name: string;
  /**
   * Whether commands may be sent: the connection is made, the server has loaded its data, and it did
   * not fall silent.
   */
  isReady(): boolean;
}

/** The Redis or Valkey servers of a deployment. */
export interface Redis {
  /** In the order of the addresses; a cluster is one. */
  readonly servers: readonly RedisServer[];
  readonly isCluster: boolean;
  /** Resolves when every server is connected, or after so long, milliseconds. */
  untilReady(withinMs: number): Promise<void>;
  /** What happened to the commands of each server. */
  figures(): readonly DependencyFigures[];
  /** May be called twice. */
  stop(): Promise<void>;
}

/**
 * Connects to servers, and again whenever a connection breaks. Nothing waits for a server that is
 * away: a command that cannot be sent fails at once, one that is not answered in time fails then, and
 * none is sent twice, because nobody knows whether it was done. A server that fell silent costs a few
 * commands their time; then all fail at once until it answers again.
 *
 * What commands throw is `RedisError`.
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
    return watch(client, { name, limits, emit });
  });
  let stopped = false;
  return {
    servers: servers.map(({ server }) => server),
    figures: () => servers.map(({ figures }) => figures()),
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
    enableOfflineQueue: false,
    // What was sent and not answered may have been done.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // It sends nothing while a pipeline is under way: 73,000 limits a second by 50 callers instead of 170,000.
    // Whatever comes at once shares a command here already.
    enableAutoPipelining: false,
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
    // Over a cluster every key goes by itself.
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

interface Watching {
  readonly name: string;
  readonly limits: RedisLimits;
  readonly emit: (event: RedisEvent) => void;
}

interface Watched {
  readonly server: RedisServer;
  readonly figures: () => DependencyFigures;
}

function watch(client: AnyClient, { name, limits, emit }: Watching): Watched {
  let ready = false;
  const guard = createGuard(name, limits, (state) =>
    emit({ kind: "breaker", server: name, state }),
  );
  client.on("ready", () => {
    ready = true;
    guard.reset();
    emit({ kind: "ready", server: name });
  });
  client.on("close", () => {
    if (ready) emit({ kind: "lost", server: name });
    ready = false;
  });
  // Without a listener an error of the connection would end the process.
  client.on("error", (error: Error) => emit({ kind: "error", server: name, error }));
  const { send } = guard;
  const server: RedisServer = {
    name,
    isReady: () => client.status === "ready" && !guard.refuses(),
    call: (command, ...args) => send(() => client.call(command, ...args)),
    callBuffer: (command, ...args) => send(() => callForBytes(client, command, args)),
    eval: (script, keys, ...args) => send(() => client.eval(script, keys, ...args)),
    evalsha: (sha, keys, ...args) => send(() => client.evalsha(sha, keys, ...args)),
  };
  return { server, figures: guard.figures };
}

/**
 * ioredis' own `callBuffer` loses the command's name when it pipelines (5.11: only `call` is given it
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
