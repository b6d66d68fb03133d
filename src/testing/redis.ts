import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { findOptional } from "./optional.ts";

/** A Redis or Valkey server of one test, in memory only. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** A connection with the limits a lock store asks for; closed with the server. */
  connect(): Redis;
  /** Stops it in its tracks, as a paused machine does. */
  pause(): void;
  resume(): void;
  /** Kills it; its data are gone. `start` brings an empty one back on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Empties it. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** What {@link startRedis} may be told. */
export interface TestRedisOptions {
  /** Further settings, as on the command line: `["--maxmemory", "1mb"]`. */
  readonly args?: readonly string[];
}

/** Starts a server on a free port. Needs `redis-server` in the PATH. */
export async function startRedis({ args: given = [] }: TestRedisOptions = {}): Promise<TestRedis> {
  const port = await freePort();
  const clients: Redis[] = [];
  let child: ChildProcess | undefined;
  const kill = async () => {
    const dying = child;
    child = undefined;
    if (!dying) return;
    const gone = once(dying, "exit");
    dying.kill("SIGKILL");
    await gone;
  };
  const start = async () => {
    const args = ["--port", String(port), "--save", "", "--appendonly", "no", ...given];
    child = spawn(findOptional("Redis") ?? "redis-server", [...args, "--bind", "127.0.0.1"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await saysReady(child);
  };
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    connect() {
      const client = new Redis({
        port,
        host: "127.0.0.1",
        commandTimeout: 200,
        maxRetriesPerRequest: 1,
        retryStrategy: () => 20,
      });
      client.on("error", () => {});
      clients.push(client);
      return client;
    },
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    kill,
    start,
    flush: () => tell(port, ["flushall"]).then(() => {}),
    async stop() {
      for (const client of clients) client.disconnect();
      await kill();
    },
  };
}

/** A Redis Cluster of one test: three masters, no replicas. */
export interface TestRedisCluster {
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

const slots = 16_384;

/** Starts three servers on free ports that share the slots of a cluster. */
export async function startRedisCluster(): Promise<TestRedisCluster> {
  const folder = await mkdtemp(path.join(tmpdir(), "brandos-redis-"));
  const start = async (at: number) => {
    // Its second port is otherwise 10,000 above the first: too high for most free ones.
    const cluster = ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
    const config = ["--cluster-config-file", path.join(folder, `${at}.conf`)];
    return startRedis({ args: [...cluster, ...config, "--cluster-node-timeout", "2000"] });
  };
  const servers = await Promise.all([0, 1, 2].map(start));
  const [first] = servers;
  if (!first) throw new Error("no server started");
  const boundary = (at: number) => Math.floor((slots * at) / servers.length);
  await Promise.all(
    servers.map(({ port }, at) => {
      const range = [String(boundary(at)), String(boundary(at + 1) - 1)];
      return tell(port, ["cluster", "addslotsrange", ...range]);
    }),
  );
  const { port: firstPort } = first;
  const busOf = async (port: number) => {
    const [, answer] = (await tell(port, ["config", "get", "cluster-port"])) as [string, string];
    return answer;
  };
  for (const { port } of servers.slice(1)) {
    const address = ["127.0.0.1", String(port), await busOf(port)];
    await tell(firstPort, ["cluster", "meet", ...address]);
  }
  for (const { port } of servers) {
    while (
      !/cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(
        String(await tell(port, ["cluster", "info"])),
      )
    )
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    urls: servers.map(({ url }) => url),
    async stop() {
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Sends one command over a connection of its own. @returns the answer */
async function tell(port: number, [command = "", ...args]: readonly string[]): Promise<unknown> {
  const client = new Redis({ port, host: "127.0.0.1" });
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

async function saysReady(child: ChildProcess): Promise<void> {
  const { stdout } = child;
  if (!stdout) throw new Error("redis-server has no output");
  let said = "";
  for await (const text of stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    said += text;
    if (said.includes("Ready to accept connections")) {
      stdout.resume();
      return;
    }
  }
  throw new Error(`redis-server did not start: ${said}`);
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
