import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { present } from "../kernel/assert.ts";

/** Set by whoever runs many test files, so that they share one server: its administrator's URL. */
export const serverVariable = "BRANDOS_TEST_DATABASE_URL";

let shared: Promise<string> | undefined;

/**
 * Finds the server that test databases are made on.
 *
 * That is the one in `BRANDOS_TEST_DATABASE_URL` (any PostgreSQL 15 or later, as a superuser or a
 * role with CREATEDB and CREATEROLE); else an embedded one below the system's temporary folder,
 * which a background process keeps as long as somebody is connected and {@link idleStopMs} more.
 * @returns the administrator's URL
 */
export function testServerUrl(): Promise<string> {
  const given = process.env[serverVariable];
  if (given) return Promise.resolve(given);
  shared ??= hostServer();
  return shared;
}

/** Forgets the server found, for when it stopped meanwhile. */
export function forgetTestServer(): void {
  shared = undefined;
}

/** How long the background server outlives its last connection, milliseconds. */
export const idleStopMs = 120_000;

/** Where the background server of this user keeps its data. */
export function backgroundFolder(): string {
  const user = process.getuid?.() ?? os.userInfo().username;
  return path.join(os.tmpdir(), `brandos-test-${user}`);
}

async function hostServer(): Promise<string> {
  const folder = backgroundFolder();
  mkdirSync(folder, { recursive: true });
  // PostgreSQL may run as another user, who has to pass through.
  chmodSync(folder, 0o711);
  const program = path.join(import.meta.dirname, "server-host.ts");
  // Not our own standard error: whoever reads that would wait for the background process to end.
  const logFile = path.join(folder, "host.log");
  const log = openSync(logFile, "a", 0o600);
  const host = spawn(process.execPath, [program, path.join(folder, "postgres")], {
    detached: true,
    stdio: ["ignore", "pipe", log],
  });
  closeSync(log);
  host.unref();
  const failed = once(host, "error").then(([error]) => {
    throw error;
  });
  const stdout = present(host.stdout, "the pipe from the host");
  const lines = createInterface({ input: stdout });
  const [line] = (await Promise.race([once(lines, "line"), once(lines, "close"), failed])) as [
    string | undefined,
  ];
  lines.close();
  stdout.destroy();
  if (!line?.startsWith("postgres://")) {
    throw new Error(`the test database server did not start: ${tail(logFile)}`);
  }
  return line;
}

function tail(file: string): string {
  return `${file}:\n${readFileSync(file, "utf8").slice(-2_000)}`;
}
