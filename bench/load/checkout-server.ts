import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { launchSimulator } from "../../src/simulator/launch.ts";
import { startShop } from "../commerce.ts";

/** A shop that listens, in a process of its own. */
export interface ServedShop {
  readonly origin: string;
  /** Superuser of its durable database server. */
  readonly databaseUrl: string;
  readonly publishableKey: string;
  readonly variantIds: readonly string[];
  readonly shippingMethodId: string;
  readonly stop: () => Promise<void>;
}

/** Units of each product, more than any run sells. */
const units = 100_000_000;

/** Starts a shop with one brand, and the simulated bank beside it, in processes of their own. */
export async function serveShop(products: number): Promise<ServedShop> {
  const child = fork(new URL(import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit");
  child.send({ products });
  const answer = await Promise.race([
    once(child, "message").then(([message]) => message as Omit<ServedShop, "stop">),
    ended.then(([code]) => {
      throw new Error(`the shop's process ended with code ${code}`);
    }),
  ]);
  return {
    ...answer,
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

async function serve(products: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-bench-bank-"));
  const apiKey = "bench-simulator-key-of-forty-characters-0";
  const bank = await launchSimulator({ folder, port: 0, apiKey });
  const shop = await startShop({
    products,
    units,
    roles: "all",
    simulator: { baseUrl: bank.url, apiKey, webhookSecrets: [] },
  });
  process.once("disconnect", async () => {
    await shop.stop();
    await bank.stop();
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  });
  const { url } = await shop.app.start();
  process.send?.({
    origin: url,
    databaseUrl: shop.url,
    publishableKey: shop.keys.publishable,
    variantIds: shop.variantIds,
    shippingMethodId: shop.shippingMethodId,
  });
}

if (process.argv[1] === import.meta.filename) {
  process.once("message", ({ products }: { products: number }) => {
    serve(products).catch((error) => {
      process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
      process.exit(1);
    });
  });
}
