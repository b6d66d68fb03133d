import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import path from "node:path";
import type { Account, Launcher } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { notOurs, type Secrets, syncFolder, writePrivate } from "./files.ts";
import { isAlive } from "./processes.ts";

/** Everything that is decided before the server runs. */
export interface Site {
  readonly dataDir: string;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly launcher: Launcher;
  /** Lines about what happens, for people. */
  readonly log: (line: string) => void;
  /** Whether writes must survive a power cut. */
  readonly durable: boolean;
}

const settingsFile = "brandos.conf";
/** PostgreSQL gets none of node's environment: it may hold secrets. */
const environment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/**
 * Checks that a data folder can be used.
 *
 * @returns whether it holds a database cluster; false when it is missing or empty
 * @throws EmbeddedPostgresError when it is something else, somebody else's, or of another version
 */
export function inspectCluster({ dataDir, binaries }: Site): boolean {
  if (!existsSync(dataDir)) return false;
  const uid = process.getuid?.();
  if (uid !== 0 && statSync(dataDir).uid !== uid) throw notOurs(dataDir);
  const names = readdirSync(dataDir);
  if (names.length === 0) return false;
  if (!names.includes("PG_VERSION")) {
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_FOLDER_NOT_OURS",
      `${dataDir} is not empty and holds no PostgreSQL data: choose another folder`,
    );
  }
  const found = readFileSync(path.join(dataDir, "PG_VERSION"), "utf8").trim();
  if (Number.parseInt(found, 10) === binaries.majorVersion) return true;
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_WRONG_VERSION",
    `${dataDir} was made by PostgreSQL ${found}, and this is PostgreSQL ${binaries.version}, ` +
      "which cannot read it. Nothing was changed. Either install the release of this program " +
      `that you used before, or open the folder with PostgreSQL ${found}, "pg_dumpall" it and ` +
      "restore that into a new folder, or set DATABASE_URL to a server that has the data, " +
      `or move the folder away to begin with an empty database.`,
  );
}

/**
 * Makes a new database cluster: UTF-8, the same byte-wise collation on every platform, passwords
 * by SCRAM, checksums on every page. The folder appears complete or not at all.
 */
export async function createCluster(site: Site, secrets: Secrets): Promise<void> {
  const { dataDir, binaries, account } = site;
  removeAbandoned(dataDir);
  const draft = `${dataDir}.new-${process.pid}-${randomBytes(4).toString("hex")}`;
  const passwordFile = `${draft}.password`;
  mkdirSync(draft, { mode: 0o700 });
  if (account) chownSync(draft, account.uid, account.gid);
  try {
    writePrivate(passwordFile, `${secrets.password}\n`, account);
    await runProgram(site, binaries.initdb, [
      `--pgdata=${draft}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--data-checksums",
      ...(site.durable ? [] : ["--no-sync"]),
    ]);
    appendFileSync(path.join(draft, "postgresql.conf"), `\ninclude_if_exists '${settingsFile}'\n`);
    publish(draft, dataDir);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(draft, { recursive: true, force: true });
  }
}

function publish(draft: string, dataDir: string): void {
  try {
    renameSync(draft, dataDir);
    syncFolder(path.dirname(dataDir));
  } catch (error) {
    // Two first starts at once: the other one was faster, and its password is the same.
    if (existsSync(path.join(dataDir, "PG_VERSION"))) return;
    throw error;
  }
}

/** Removes what a first start left that was killed half way. */
function removeAbandoned(dataDir: string): void {
  const parent = path.dirname(dataDir);
  const prefix = `${path.basename(dataDir)}.new-`;
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (pid !== process.pid && !isAlive(pid)) {
      rmSync(path.join(parent, name), { recursive: true, force: true });
    }
  }
}

/**
 * Writes the settings of this start into the data folder.
 *
 * @returns whether they differ from those of the last start
 */
export function writeSettings({ dataDir, account }: Site, text: string): boolean {
  const file = path.join(dataDir, settingsFile);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return false;
  const draft = `${file}.${randomBytes(4).toString("hex")}`;
  writePrivate(draft, text, account);
  chmodSync(draft, 0o600);
  renameSync(draft, file);
  return true;
}

/** Sets the superuser's password while no server runs, for when its file was lost. */
export async function resetPassword(site: Site, password: string): Promise<void> {
  const args = ["--single", "-D", site.dataDir, "postgres"];
  await runProgram(
    site,
    site.binaries.postgres,
    args,
    `alter user postgres password '${password}'\n`,
  );
}

async function runProgram(
  site: Site,
  program: string,
  args: readonly string[],
  input = "",
): Promise<void> {
  const { file, args: full, identity } = site.launcher(program, args);
  const child = spawn(file, [...full], {
    ...identity,
    cwd: path.dirname(site.dataDir),
    env: environment,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-8_000);
    });
  }
  child.stdin.on("error", () => {}); // It ended before it read everything: its exit code says why.
  child.stdin.end(input);
  const [code, cause] = await exitOf(child);
  if (code === 0) return;
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_START_FAILED",
    `${path.basename(program)} failed (${code ?? "not started"}):\n${output.trim()}`,
    cause,
  );
}

function exitOf(child: ChildProcess): Promise<readonly [number | null, Error | undefined]> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve([null, error]));
    child.once("close", (code) => resolve([code, undefined]));
  });
}

/**
 * Starts the server in a session of its own, so that neither Ctrl-C in the terminal nor the death
 * of node reaches it; it writes to the open file `logDescriptor`.
 */
export function spawnPostmaster(site: Site, port: number, logDescriptor: number): ChildProcess {
  const { file, args, identity } = site.launcher(site.binaries.postgres, [
    ...["-D", site.dataDir],
    ...["-c", `port=${port}`],
    ...["-c", "listen_addresses=127.0.0.1"],
    ...["-c", "unix_socket_directories="],
  ]);
  const child = spawn(file, [...args], {
    ...identity,
    cwd: path.dirname(site.dataDir),
    env: environment,
    detached: true,
    stdio: ["ignore", logDescriptor, logDescriptor],
  });
  child.unref();
  return child;
}
