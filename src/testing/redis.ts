import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
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
  stop(): Promise<void>;
}

/** Starts a server on a free port. Needs `redis-server` in the PATH. */
export async function startRedis(): Promise<TestRedis> {
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
    const args = ["--port", String(port), "--save", "", "--appendonly", "no"];
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
    async stop() {
      for (const client of clients) client.disconnect();
      await kill();
    },
  };
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
