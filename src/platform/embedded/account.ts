import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./errors.ts";

const run = promisify(execFile);

/** The operating-system user that PostgreSQL runs as, when node itself is root. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** A program to spawn, with the identity it takes on. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/** Turns a program into how it has to be launched here. */
export type Launcher = (file: string, args: readonly string[]) => Launch;

const ownName = "brandos";

/**
 * Chooses the user for a data folder; PostgreSQL refuses to run as root.
 *
 * An existing folder keeps its owner; a new one belongs to `brandos`, else `postgres`, else to a
 * system user `brandos` that is created.
 * @returns nothing when node is not root: PostgreSQL then runs as the same user
 * @throws EmbeddedPostgresError when no user exists and none can be created
 */
export async function chooseAccount(dataDir: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  if (existsSync(dataDir)) {
    const { uid, gid } = statSync(dataDir);
    if (uid !== 0) return { name: String(uid), uid, gid };
  }
  const account = (await findAccount(ownName)) ?? (await findAccount("postgres"));
  if (account) return account;
  try {
    const flags = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"];
    await run("useradd", [...flags, ownName]);
  } catch (cause) {
    // Two starts at once: the other one may have created it.
    const created = await findAccount(ownName);
    if (created) return created;
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_NO_ACCOUNT",
      `PostgreSQL does not run as root and the system user "${ownName}" cannot be created: ` +
        `create it, or run this as an ordinary user, or set DATABASE_URL`,
      cause,
    );
  }
  return await findAccount(ownName);
}

async function findAccount(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/**
 * Decides how programs are launched as `account`, so that they can reach all of `folders`.
 *
 * Where the account may not pass through a folder (a checkout below `/root`, which is 0700), the
 * program gets the one Linux capability that allows it, by `setpriv`, and nothing else of root.
 * @throws EmbeddedPostgresError that names the folder in the way, when that is not possible
 */
export async function chooseLauncher(
  account: Account | undefined,
  folders: readonly string[],
): Promise<Launcher> {
  if (!account) return (file, args) => ({ file, args, identity: {} });
  const { uid, gid } = account;
  const closed = await firstClosed(account, folders);
  if (closed === undefined) return (file, args) => ({ file, args, identity: { uid, gid } });

  const capability = passCapability();
  if (capability) {
    const prefix = setprivArguments(account, capability);
    const probe = await reaches({ file: "setpriv", prefix: [...prefix], identity: {} }, closed);
    if (probe)
      return (file, args) => ({ file: "setpriv", args: [...prefix, file, ...args], identity: {} });
  }
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_FOLDER_UNREACHABLE",
    `PostgreSQL runs as the user ${account.name}, who may not enter ${blocker(closed, account)}: ` +
      `set BRANDOS_HOME to a folder that everybody may enter (for example /var/lib/brandos) and ` +
      `keep the program outside closed folders, or "chmod o+x ${blocker(closed, account)}", ` +
      "or run this as an ordinary user",
  );
}

async function firstClosed(
  { uid, gid }: Account,
  folders: readonly string[],
): Promise<string | undefined> {
  for (const folder of folders) {
    if (!(await reaches({ file: "", prefix: [], identity: { uid, gid } }, folder))) return folder;
  }
  return undefined;
}

interface Probe {
  readonly file: string;
  readonly prefix: readonly string[];
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/** Really tries, because access lists and mount options do not show in the mode bits. */
async function reaches(probe: Probe, folder: string): Promise<boolean> {
  const command = ["/bin/sh", "-c", 'cd "$1"', "sh", folder];
  const [file = "", ...args] = [...(probe.file ? [probe.file] : []), ...probe.prefix, ...command];
  try {
    await run(file, args, { ...probe.identity, cwd: "/" });
    return true;
  } catch {
    return false;
  }
}

/** The least of root that still lets a process pass closed folders, if this process has it. */
function passCapability(): "dac_read_search" | "dac_override" | undefined {
  if (!existsSync("/proc/self/status")) return undefined;
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  if (effective & (1n << 2n)) return "dac_read_search";
  if (effective & (1n << 1n)) return "dac_override";
  return undefined;
}

/**
 * `no_setuid_fixup` keeps the capability through access(2), with which PostgreSQL checks its
 * programs.
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 */
function setprivArguments({ uid, gid }: Account, capability: string): readonly string[] {
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    `--bounding-set=-all,+${capability}`,
    "--securebits=+no_setuid_fixup,+no_setuid_fixup_locked",
    "--no-new-privs",
    "--",
  ];
}

/** The outermost folder on the way that the account may not enter, by its mode bits. */
function blocker(folder: string, { uid, gid }: Account): string {
  const parts = path.resolve(folder).split(path.sep);
  for (let depth = 1; depth <= parts.length; depth++) {
    const place = parts.slice(0, depth).join(path.sep) || path.sep;
    const { mode, uid: owner, gid: group } = statSync(place);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if (!(mode & bit)) return place;
  }
  return folder;
}
