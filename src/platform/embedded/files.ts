import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import type { Account } from "./account.ts";
import { EmbeddedPostgresError } from "./errors.ts";

/** What has to be remembered beside a data folder to reach its server again. */
export interface Secrets {
  /** 0 until the first start has chosen one. */
  readonly port: number;
  /** Of the superuser `postgres`. */
  readonly password: string;
}

/** Where the secrets of a data folder lie: beside it, so that a copy of the data holds none. */
export function secretsFile(dataDir: string): string {
  return `${dataDir}.json`;
}

/**
 * Reads the secrets of a data folder.
 *
 * @throws EmbeddedPostgresError when the file belongs to another user or is damaged
 */
export function readSecrets(dataDir: string): Secrets | undefined {
  const file = secretsFile(dataDir);
  try {
    const { port, password } = JSON.parse(readFileSync(file, "utf8"));
    if (typeof port === "number" && typeof password === "string") return { port, password };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EACCES") throw notOurs(file, error);
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_PASSWORD_LOST",
    `${file} is damaged: delete it, a new password is set at the next start`,
  );
}

/** Says that a file or folder belongs to another user, and what to do. */
export function notOurs(place: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    "ERR_EMBEDDED_FOLDER_NOT_OURS",
    `${place} belongs to another user: run this as the user who started it first (or as root), ` +
      "or set BRANDOS_HOME to a folder of your own",
    cause,
  );
}

/** Makes the secrets of a new data folder; of two that try at once, both get the first one's. */
export function createSecrets(dataDir: string, account: Account | undefined): Secrets {
  const secrets = { port: 0, password: randomBytes(24).toString("base64url") };
  const draft = writeDraft(dataDir, secrets, account);
  try {
    linkSync(draft, secretsFile(dataDir));
    syncFolder(path.dirname(dataDir));
    return secrets;
  } catch (error) {
    const existing = (error as NodeJS.ErrnoException).code === "EEXIST" && readSecrets(dataDir);
    if (existing) return existing;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Replaces the secrets of a data folder, durably and at once. */
export function writeSecrets(
  dataDir: string,
  secrets: Secrets,
  account: Account | undefined,
): void {
  renameSync(writeDraft(dataDir, secrets, account), secretsFile(dataDir));
  syncFolder(path.dirname(dataDir));
}

function writeDraft(dataDir: string, secrets: Secrets, account: Account | undefined): string {
  const draft = `${secretsFile(dataDir)}.${randomBytes(6).toString("hex")}`;
  writePrivate(draft, `${JSON.stringify(secrets)}\n`, account);
  return draft;
}

/** Writes a file that only PostgreSQL's user (and root) can read, and waits for the disk. */
export function writePrivate(file: string, text: string, account: Account | undefined): void {
  const descriptor = openSync(file, "wx", 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (account) chownSync(file, account.uid, account.gid);
}

/** Makes renames in a folder survive a power cut. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
