import cluster, { type Worker } from "node:cluster";
import type { SimulatorAddress } from "./app.ts";

/** What a node is handed by the process that started it. */
export interface Inheritance {
  readonly homeUrl: string;
  readonly operatorKey: string;
  readonly secret: string;
  readonly simulator?: SimulatorAddress;
}

/** The nodes of this machine. */
export interface Nodes {
  /** Ends them one after the other, so that somebody serves as long as possible. */
  stop(): Promise<void>;
}

/** Shortest life of a node that is started again when it dies, milliseconds. */
const shortestLifeMs = 2_000;

/**
 * Forks nodes that share the port, and starts one again when it dies.
 *
 * @throws Error when a node dies while it starts
 */
export async function forkNodes(count: number, inheritance: Inheritance): Promise<Nodes> {
  let stopping = false;
  const env = inheritanceEnv(inheritance);
  const forkOne = (): Promise<void> => {
    const node = cluster.fork(env);
    const since = performance.now();
    const started = new Promise<void>((resolve, reject) => {
      node.once("message", () => resolve());
      node.once("exit", (code, signal) => reject(new Error(`a node ended: ${code ?? signal}`)));
    });
    node.once("exit", () => {
      if (!stopping && performance.now() - since > shortestLifeMs) forkOne().catch(() => {});
    });
    return started;
  };
  await Promise.all(Array.from({ length: count }, forkOne));
  return {
    async stop() {
      stopping = true;
      await Promise.all(Object.values(cluster.workers ?? {}).map((node) => node && end(node)));
    },
  };
}

function end(node: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (node.isDead()) return resolve();
    node.once("exit", () => resolve());
    node.process.kill("SIGTERM");
  });
}

function inheritanceEnv({ homeUrl, operatorKey, secret, simulator }: Inheritance) {
  return {
    BRANDOS_NODE_HANDOVER: JSON.stringify({ homeUrl, operatorKey, secret, simulator }),
  };
}

/** Reads what {@link forkNodes} handed over. */
export function readInheritance(env: NodeJS.ProcessEnv): Inheritance {
  return JSON.parse(env["BRANDOS_NODE_HANDOVER"] ?? "{}") as Inheritance;
}
