import { spawn } from "node:child_process";
import path from "node:path";
import { type Output, UsageError } from "./program.ts";

const root = path.join(import.meta.dirname, "..", "..");

/** `brandos start [--nodes N] [--roles …]`: the same program as `npm start`, once or several times. */
export function startCommand(
  _output: Output,
  options: { readonly nodes: string; readonly roles?: string },
): Promise<number> {
  const nodes = Number(options.nodes);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 32)
    throw new UsageError("--nodes is 1 to 32");
  const env = {
    ...process.env,
    ...(options.roles ? { BRANDOS_ROLES: options.roles } : {}),
    ...(nodes > 1 ? { BRANDOS_NODES: String(nodes) } : {}),
  };
  // As `npm start` does: a smaller young generation costs no throughput (measured) and saves 45 MB.
  return runToEnd(["--max-semi-space-size=8", path.join(root, "src", "main.ts")], env);
}

/** `brandos bench NAME`: see `bench/README.md`. */
export function benchCommand(
  output: Output,
  name: string,
  options: { readonly quick?: boolean },
): Promise<number> {
  const flags = [...(options.quick ? ["--quick"] : []), ...(output.json ? ["--json"] : [])];
  return runToEnd([path.join(root, "bench", "main.ts"), name, ...flags], process.env);
}

function runToEnd(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: "inherit", env });
  // Ctrl-C reaches the child by itself: it belongs to the same terminal. We wait for it.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
