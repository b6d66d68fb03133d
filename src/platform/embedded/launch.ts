import {
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
} from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Site, spawnPostmaster } from "./cluster.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { connectSuperuser } from "./keeper.ts";
import { clearOrphans, isServing, readPidFile } from "./postmaster.ts";
import { until } from "./wait.ts";

/** A server that answers. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

/** What {@link startOrJoin} is asked to do. */
export interface LaunchPlan {
  /** The port to listen on; 0 for any free one. */
  readonly port: number;
  /** Whether another port will do when that one is taken. */
  readonly portMayChange: boolean;
  readonly password: string;
  readonly signal: AbortSignal;
}

/** Recovery after a power cut reads at most `max_wal_size`; this is generous for a slow disk. */
const readyTimeoutMs = 600_000;
const attemptsMax = 20;
/** A log larger than this is set aside at the next start, bytes; one older log is kept. */
const logBytesMax = 16 * 1024 * 1024;

/** The connection string of the superuser. */
export function superuserUrl(port: number, password: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
}

/**
 * Makes sure that a server runs on the data folder: joins one that does, starts one otherwise.
 *
 * @throws EmbeddedPostgresError with PostgreSQL's own words when it refuses to start
 */
export async function startOrJoin(site: Site, plan: LaunchPlan): Promise<RunningServer> {
  let port = plan.port;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (plan.signal.aborted) break;
    const running = readPidFile(site.dataDir);
    if (running && isServing(running.pid, site.dataDir)) {
      const server = await joinServer(site, plan, running.pid);
      if (server) return server;
      continue;
    }
    await clearOrphans(site.dataDir);
    port = await choosePort(port, plan.portMayChange);
    const outcome = await launchServer(site, plan, port);
    if (typeof outcome === "object") return outcome;
    if (outcome === "port taken" && plan.portMayChange) port = 0;
    await delay(50 * (attempt + 1));
  }
  const text = `PostgreSQL on ${site.dataDir} did not start within ${attemptsMax} attempts`;
  throw new EmbeddedPostgresError("ERR_EMBEDDED_START_FAILED", text);
}

/** @returns nothing when the server ended meanwhile: look again */
async function joinServer(
  site: Site,
  plan: LaunchPlan,
  pid: number,
): Promise<RunningServer | undefined> {
  const { dataDir } = site;
  const ended = () => !isServing(pid, dataDir);
  if (readPidFile(dataDir)?.status === "stopping") {
    site.log(`waiting for PostgreSQL (process ${pid}), which is shutting down`);
    await until(ended, { timeoutMs: readyTimeoutMs, signal: plan.signal });
    return undefined;
  }
  return await whenReady(site, plan, { pid, ended });
}

/** A server that is on its way up. */
interface Starting {
  readonly pid: number;
  readonly ended: () => boolean;
}

async function whenReady(
  site: Site,
  plan: LaunchPlan,
  { pid, ended }: Starting,
): Promise<RunningServer | undefined> {
  const slow = setTimeout(
    () => site.log("PostgreSQL is recovering what was written last; this can take a minute"),
    5_000,
  );
  let server: RunningServer | undefined;
  const settled = async () => {
    if (ended()) return true;
    const file = readPidFile(site.dataDir);
    if (file?.pid !== pid || !file.status.startsWith("ready")) return false;
    if (await answers(site, file.port, plan.password)) server = { pid, port: file.port };
    return server !== undefined;
  };
  try {
    await until(settled, { timeoutMs: readyTimeoutMs, everyMs: 15, signal: plan.signal });
  } finally {
    clearTimeout(slow);
  }
  return server;
}

/**
 * Checks with a real connection that the server on `port` is the one of this data folder.
 *
 * @returns false when it does not answer yet
 */
async function answers(site: Site, port: number, password: string): Promise<boolean> {
  try {
    const client = await connectSuperuser(superuserUrl(port, password));
    try {
      const [row] = await client.query("select current_setting('data_directory') as folder");
      return sameFolder(String(row?.["folder"]), site.dataDir);
    } finally {
      await client.end();
    }
  } catch (error) {
    if ((error as { code?: unknown }).code !== "28P01") return false;
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_PASSWORD_LOST",
      `PostgreSQL already runs on ${site.dataDir} with another password than the one stored ` +
        `beside it: stop it (kill -INT ${readPidFile(site.dataDir)?.pid ?? "PID"}) and start again`,
      error,
    );
  }
}

function sameFolder(a: string, b: string): boolean {
  return existsSync(a) && realpathSync(a) === realpathSync(b);
}

async function choosePort(wanted: number, mayChange: boolean): Promise<number> {
  const free = await bind(wanted);
  if (free !== undefined) return free;
  if (mayChange) return (await bind(0)) ?? 0;
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_START_FAILED",
    `port ${wanted} on 127.0.0.1 is taken by another program`,
  );
}

/** @returns the port that could be bound, nothing when it is taken */
function bind(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}

async function launchServer(
  site: Site,
  plan: LaunchPlan,
  port: number,
): Promise<RunningServer | "port taken" | "look again"> {
  const logFile = `${site.dataDir}.log`;
  const [descriptor, offset] = openLog(site, logFile);
  const child = spawnPostmaster(site, port, descriptor);
  closeSync(descriptor);
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  // A server that was started twice loses to the other one's postmaster.pid and exits.
  const ended = () => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  const { pid } = child;
  if (pid !== undefined) {
    const server = await whenReady(site, plan, { pid, ended });
    if (server) return server;
  }
  if (failure) {
    const text = `PostgreSQL cannot be launched: ${failure.message}`;
    throw new EmbeddedPostgresError("ERR_EMBEDDED_START_FAILED", text, failure);
  }
  return explainExit(readFileSync(logFile).subarray(offset).toString("utf8"), logFile);
}

function openLog({ account }: Site, file: string): readonly [descriptor: number, offset: number] {
  if (existsSync(file) && statSync(file).size > logBytesMax) renameSync(file, `${file}.1`);
  const descriptor = openSync(file, "a", 0o600);
  if (account) chownSync(file, account.uid, account.gid);
  return [descriptor, statSync(file).size];
}

/** Reads from PostgreSQL's last words whether another attempt is worth it. */
function explainExit(words: string, logFile: string): "port taken" | "look again" {
  if (/could not bind|could not create any TCP\/IP sockets/.test(words)) return "port taken";
  if (/lock file "postmaster.pid" already exists/.test(words)) return "look again";
  if (/pre-existing shared memory block .* is still in use/.test(words)) return "look again";
  if (/received (fast|smart|immediate) shutdown request/.test(words)) return "look again";
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_START_FAILED",
    `PostgreSQL did not start. Its last words (${logFile}):\n` +
      words.trim().split("\n").slice(-15).join("\n"),
  );
}
