import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { chooseAccount, chooseLauncher } from "./account.ts";
import { locateBinaries } from "./binaries.ts";
import {
  createCluster,
  inspectCluster,
  resetPassword,
  type Site,
  writeSettings,
} from "./cluster.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { createSecrets, readSecrets, type Secrets, writeSecrets } from "./files.ts";
import { connectSuperuser, type Keeper, takeOwnership } from "./keeper.ts";
import { type LaunchPlan, type RunningServer, startOrJoin, superuserUrl } from "./launch.ts";
import { isServing, readPidFile, stopPostmaster } from "./postmaster.ts";
import { defaultSettings, type PostgresSettings, renderSettings } from "./settings.ts";

/** How to run the embedded server. */
export interface EmbeddedPostgresOptions {
  /** Folder of the database cluster; `.json` and `.log` files are written beside it. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1; chosen and remembered when left out. */
  readonly port?: number;
  /** Receives lines for people; silent when left out. */
  readonly log?: (line: string) => void;
  /** Added to, or instead of, {@link defaultSettings}. */
  readonly settings?: PostgresSettings;
}

/** A running embedded server. */
export interface EmbeddedPostgres {
  /** Connection string of the superuser `postgres`, password included. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** For example `18.4`. */
  readonly version: string;
  /** True when another living process owns the server: then `stop` leaves it running. */
  readonly attached: boolean;
  /** Stops an owned server within 5 s if it can be, by force if not. May be called twice. */
  stop(): Promise<void>;
}

/** How often, and within which time, a server that dies is started again. */
const restartLimits = { attempts: 10, firstWaitMs: 50, maxWaitMs: 5_000 } as const;

/**
 * Starts PostgreSQL on a folder, or joins the server that already runs there.
 *
 * Whoever starts a server owns it; a server whose owner died is adopted by the next start. An
 * owner starts it again when it dies, on the same port.
 * @throws EmbeddedPostgresError when it cannot be done; the message says what to do
 * @see README.md for what is guaranteed
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const settings = { ...defaultSettings, ...options.settings };
  const text = renderSettings(settings);
  const site = await prepareSite(options, settings["fsync"] !== false);
  const secrets = await prepareCluster(site);
  const abort = new AbortController();
  const plan: LaunchPlan = {
    port: options.port ?? secrets.port,
    portMayChange: options.port === undefined,
    password: secrets.password,
    signal: abort.signal,
  };
  const alreadyRuns = runs(site.dataDir);
  if (!alreadyRuns) writeSettings(site, text);
  const server = await startOrJoin(site, plan);
  if (server.port !== secrets.port) {
    writeSecrets(site.dataDir, { ...secrets, port: server.port }, site.account);
  }
  const url = superuserUrl(server.port, secrets.password);
  const keeper = await takeOwnership(url);
  if (keeper && alreadyRuns && writeSettings(site, text)) await reload(url);
  site.log(`PostgreSQL ${site.binaries.version} on 127.0.0.1:${server.port} (${site.dataDir})`);

  const shared = { dataDir: site.dataDir, version: site.binaries.version, port: server.port, url };
  if (!keeper) return { ...shared, attached: true, stop: async () => {} };
  const fixed = { ...plan, port: server.port, portMayChange: false };
  const stop = supervise({ site, plan: fixed, url, abort }, server, keeper);
  return { ...shared, attached: false, stop };
}

async function prepareSite(options: EmbeddedPostgresOptions, durable: boolean): Promise<Site> {
  const dataDir = path.resolve(options.dataDir);
  const parent = path.dirname(dataDir);
  const binaries = await locateBinaries();
  mkdirSync(parent, { recursive: true });
  const account = await chooseAccount(dataDir);
  const launcher = await chooseLauncher(account, [parent, binaries.root]);
  return { dataDir, binaries, account, launcher, durable, log: options.log ?? (() => {}) };
}

async function prepareCluster(site: Site): Promise<Secrets> {
  const { dataDir, account, log } = site;
  if (!inspectCluster(site)) {
    const secrets = readSecrets(dataDir) ?? createSecrets(dataDir, account);
    log(`creating a PostgreSQL ${site.binaries.version} database in ${dataDir}`);
    await createCluster(site, secrets);
    return secrets;
  }
  const known = readSecrets(dataDir);
  if (known) return known;
  const pid = readPidFile(dataDir)?.pid;
  if (pid !== undefined && runs(dataDir)) {
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_PASSWORD_LOST",
      `PostgreSQL runs on ${dataDir}, but its password file is gone: ` +
        `stop it (kill -INT ${pid}) and start again, then a new password is set`,
    );
  }
  log("the password file is gone: setting a new password");
  const secrets = { port: 0, password: randomBytes(24).toString("base64url") };
  await resetPassword(site, secrets.password);
  writeSecrets(dataDir, secrets, account);
  return secrets;
}

function runs(dataDir: string): boolean {
  const file = existsSync(dataDir) ? readPidFile(dataDir) : undefined;
  return file !== undefined && isServing(file.pid, dataDir);
}

async function reload(url: string): Promise<void> {
  const client = await connectSuperuser(url);
  try {
    await client.query("select pg_reload_conf()");
  } finally {
    await client.end();
  }
}

/** What it takes to bring an owned server back. */
interface Supervision {
  readonly site: Site;
  readonly plan: LaunchPlan;
  readonly url: string;
  readonly abort: AbortController;
}

/** Keeps an owned server alive. @returns the function that stops it */
function supervise(
  supervision: Supervision,
  first: RunningServer,
  firstKeeper: Keeper,
): () => Promise<void> {
  const { site, abort } = supervision;
  let keeper: Keeper | undefined = firstKeeper;
  let pid = first.pid;

  const watch = async (): Promise<void> => {
    while (keeper && !abort.signal.aborted) {
      await keeper.lost;
      keeper = undefined;
      if (abort.signal.aborted) return;
      site.log("PostgreSQL went away: bringing it back");
      const revived = await revive(supervision);
      keeper = revived?.keeper;
      pid = revived?.pid ?? pid;
    }
  };
  const watching = watch();

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    abort.abort();
    const owned = keeper;
    await owned?.release();
    await watching;
    await keeper?.release();
    if (owned || keeper) await stopPostmaster(pid, site.dataDir);
    else await stopLeftBehind(site.dataDir);
  };
  return () => {
    stopping ??= stop();
    return stopping;
  };
}

/** Stopped in the middle of bringing the server back: whatever came up of it is still ours. */
async function stopLeftBehind(dataDir: string): Promise<void> {
  const file = readPidFile(dataDir);
  if (file && isServing(file.pid, dataDir)) await stopPostmaster(file.pid, dataDir);
}

async function revive({
  site,
  plan,
  url,
  abort,
}: Supervision): Promise<{ readonly pid: number; readonly keeper: Keeper } | undefined> {
  for (let attempt = 0; attempt < restartLimits.attempts && !abort.signal.aborted; attempt++) {
    try {
      const { pid } = await startOrJoin(site, plan);
      const keeper = await takeOwnership(url);
      if (!keeper) site.log("another process took PostgreSQL over");
      return keeper && { pid, keeper };
    } catch (error) {
      site.log(`PostgreSQL does not come back yet: ${(error as Error).message}`);
      await delay(Math.min(restartLimits.maxWaitMs, restartLimits.firstWaitMs * 2 ** attempt));
    }
  }
  if (!abort.signal.aborted) {
    site.log(`PostgreSQL did not come back in ${restartLimits.attempts} attempts: giving up`);
  }
  return undefined;
}
