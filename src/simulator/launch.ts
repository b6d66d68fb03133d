import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How to start a simulated bank as a process of its own. */
export interface LaunchOptions {
  /** Folder of its log. */
  readonly folder: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly apiKey: string;
  readonly webhookUrl?: string;
  readonly webhookSecrets?: readonly string[];
  /** Address that browsers use; default: the one it listens on. */
  readonly publicUrl?: string;
}

/** A bank's process. */
export interface LaunchedSimulator {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process has ended, however it did. */
  readonly ended: Promise<void>;
  /** Asks it to end, and waits. May be called twice. */
  stop(): Promise<void>;
  /** Kills it on the spot (SIGKILL), and waits. */
  kill(): Promise<void>;
}

/**
 * Starts a bank and waits until it listens. It ends with this process, however that ends: it follows
 * its standard input.
 *
 * @throws Error when it does not start, with what it said
 */
export async function launchSimulator(options: LaunchOptions): Promise<LaunchedSimulator> {
  const main = new URL("./main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...argumentsOf(options)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      SIMULATOR_API_KEY: options.apiKey,
      SIMULATOR_WEBHOOK_SECRETS: (options.webhookSecrets ?? []).join(","),
      SIMULATOR_FOLLOWS_STDIN: "1",
    },
  });
  const ended = once(child, "exit").then(() => {});
  const said: string[] = [];
  const listen = (chunk: Buffer) => {
    if (said.length < 100) said.push(chunk.toString());
  };
  child.stderr.on("data", listen);
  const url = await Promise.race([listening(child), ended.then(() => undefined)]);
  if (url === undefined) throw new Error(`the simulated bank did not start: ${said.join("")}`);
  child.stderr.off("data", listen);
  child.stderr.pipe(process.stderr, { end: false });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  return {
    url,
    pid: child.pid ?? 0,
    ended,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

function argumentsOf({ folder, port, webhookUrl, publicUrl }: LaunchOptions): string[] {
  return [
    `--folder=${folder}`,
    `--port=${port}`,
    ...(webhookUrl ? [`--webhook-url=${webhookUrl}`] : []),
    ...(publicUrl ? [`--public-url=${publicUrl}`] : []),
  ];
}

async function listening(child: ChildProcess): Promise<string | undefined> {
  if (!child.stdout) return undefined;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const { listening: url } = JSON.parse(line) as { listening?: string };
    if (!url) continue;
    lines.close();
    child.stdout.resume();
    return url;
  }
  return undefined;
}
