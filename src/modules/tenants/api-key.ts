import { hash, randomBytes } from "node:crypto";
import type { ApiKeyKind } from "./contract.ts";

const randomBytesOfKey = 32;
const prefixes: Readonly<Record<ApiKeyKind, string>> = { secret: "sk_", publishable: "pk_" };

/**
 * Mints a key: a prefix and 256 random bits.
 *
 * @param random source of random bytes, a parameter for tests
 */
export function mintKey(kind: ApiKeyKind, random: (size: number) => Buffer = randomBytes): string {
  return prefixes[kind] + random(randomBytesOfKey).toString("base64url");
}

/**
 * What is stored of a key. A plain SHA-256: 256 random bits cannot be guessed, so neither salt nor
 * a slow hash would add anything but latency on every request.
 */
export function hashKey(key: string): Buffer {
  return hash("sha256", key, "buffer");
}

/** Whether a text has the form of an API key: others are not looked up. */
export function looksLikeKey(text: string): boolean {
  return /^[sp]k_[\w-]{43}$/.test(text);
}

/** The first permission of `wanted` that `held` does not cover: nobody hands out more than he has. */
export function missingPermission(
  held: readonly string[],
  wanted: readonly string[],
): string | undefined {
  return wanted.find((permission) => {
    if (held.includes("*") || held.includes(permission)) return false;
    return !held.includes(`${permission.slice(0, permission.indexOf(":"))}:*`);
  });
}
