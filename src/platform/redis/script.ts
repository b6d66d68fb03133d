import { createHash } from "node:crypto";
import type { RedisArgument, RedisNode } from "./node.ts";

/** A Lua script and its name on the servers. */
export interface RedisScript {
  readonly text: string;
  /** SHA-1 of the text, hex. */
  readonly sha: string;
}

/** Names a script by what is in it. */
export function defineScript(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/**
 * Runs a script by its name, and sends its text once to a server that does not know it: after a
 * restart, or `SCRIPT FLUSH`.
 *
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 */
export function runScript(
  node: Pick<RedisNode, "eval" | "evalsha">,
  script: RedisScript,
  keys: readonly string[],
  args: readonly RedisArgument[],
): Promise<unknown> {
  return node.evalsha(script.sha, keys.length, ...keys, ...args).catch((error) => {
    if (!isUnknownScript(error)) throw error;
    return node.eval(script.text, keys.length, ...keys, ...args);
  });
}

/** Ours has what the server said as its cause. */
function isUnknownScript(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message.startsWith("NOSCRIPT") || isUnknownScript(error.cause);
}
