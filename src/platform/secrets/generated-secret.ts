import { randomBytes } from "node:crypto";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

/** A secret that is made once and kept in a file. */
export interface GeneratedSecret {
  readonly value: string;
  readonly file: string;
  /** Whether this call made it. */
  readonly made: boolean;
}

/**
 * Reads a secret from a file that only its owner may read, and makes it on the first call. Two
 * processes that start at once agree on one.
 *
 * @param name file name: `operator-key`
 * @param prefix what the secret begins with: `op_`; 43 random characters follow (256 bits)
 * @throws Error when others may read the file
 */
export function generatedSecret(home: string, name: string, prefix = ""): GeneratedSecret {
  const file = path.join(home, name);
  const existing = readSecret(file);
  if (existing !== undefined) return { value: existing, file, made: false };
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const value = prefix + randomBytes(32).toString("base64url");
  const draft = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, `${value}\n`, { mode: 0o600, flag: "wx", flush: true });
  try {
    chmodSync(draft, 0o600);
    // A link is made whole or not at all, and never over an existing file.
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const winner = readSecret(file);
    if (winner === undefined) throw error;
    return { value: winner, file, made: false };
  } finally {
    rmSync(draft, { force: true });
  }
  return { value, file, made: true };
}

function readSecret(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const othersMayRead = process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0;
  if (othersMayRead) throw new Error(`others may read ${file}: run chmod 600 on it`);
  if (text.length < 32)
    throw new Error(`${file} holds no secret: delete it to have a new one made`);
  return text;
}
