import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { testSecrets } from "./shop.ts";

/** What a command came to. */
export interface CliResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
}

const program = path.join(import.meta.dirname, "..", "cli", "main.ts");

/** Starts `brandos` in a process of its own on a database. */
export function startCli(ownerUrl: string, args: readonly string[]): RunningCli {
  const home = mkdtempSync(path.join(tmpdir(), "brandos-cli-"));
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      NODE_ENV: "test",
      DATABASE_URL: ownerUrl,
      BRANDOS_HOME: home,
      BRANDOS_OPERATOR_KEY: testSecrets.operatorKey,
      BRANDOS_SECRET: testSecrets.secret,
    },
  });
  const texts = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    texts.stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    texts.stderr += chunk;
  });
  const ended = once(child, "close").then(([code, signal]): CliResult => {
    rmSync(home, { recursive: true, force: true });
    return { code, signal, ...texts };
  });
  return { child, ended };
}

/** Runs `brandos … --json` to its end. @returns its answer @throws Error when it exits with another code than 0 */
export async function askCli<Answer>(ownerUrl: string, args: readonly string[]): Promise<Answer> {
  const result = await startCli(ownerUrl, [...args, "--json"]).ended;
  if (result.code === 0) return JSON.parse(result.stdout) as Answer;
  throw new Error(
    `brandos ${args.join(" ")} ended with ${result.code ?? result.signal}:\n${result.stderr}`,
  );
}
