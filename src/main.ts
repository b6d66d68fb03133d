import path from "node:path";
import pino from "pino";
import { createApp } from "./app.ts";
import { type Banner, banner } from "./banner.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { ensureDemo } from "./demo/demo.ts";
import { demoRoutes } from "./demo/routes.ts";
import type { DemoKeys } from "./demo/seed.ts";
import { openHomeDatabase } from "./home-database.ts";
import { generatedSecret } from "./platform/secrets/generated-secret.ts";
import { listenForShutdown } from "./platform/shutdown/shutdown.ts";
import { launchSimulator } from "./simulator/launch.ts";

/** What is stopped when the process ends, last one first. */
type Stop = () => Promise<void>;

const say = (line: string) => process.stdout.write(`${line}\n`);

async function run(config: Config, stops: Stop[]): Promise<Banner> {
  const log = pino({ level: config.logLevel === "info" ? "warn" : config.logLevel });
  const database = await openHomeDatabase(config, say);
  stops.push(database.stop);
  const operator = config.operatorKey ?? generatedSecret(config.home, "operator-key", "op_").value;
  const secret = config.secret ?? generatedSecret(config.home, "secret").value;
  const isDemo = process.env["BRANDOS_DEMO"] !== "off" && config.environment !== "production";
  const simulator = isDemo ? await openSimulator(config, stops) : undefined;
  const app = await createApp({
    config,
    homeUrl: database.url,
    operatorKey: operator,
    secret,
    log,
    ...(simulator ? { simulator, extraRoutes: demoRoutes(simulator.baseUrl) } : {}),
  });
  stops.push(app.stop);
  const demo: readonly DemoKeys[] = isDemo
    ? await ensureDemo(app, config.home, (brand) => say(`  making the demo brand ${brand} …`))
    : [];
  const { url } = await app.start();
  return {
    url,
    home: config.home,
    database: database.label,
    demo,
    operatorFile: path.join(config.home, "operator-key"),
  };
}

async function openSimulator(config: Config, stops: Stop[]) {
  const apiKey = generatedSecret(config.home, "simulator-key").value;
  const webhookSecret = generatedSecret(config.home, "simulator-webhook-secret").value;
  const port = config.port === 0 ? 0 : config.port + 1;
  const bank = await launchSimulator({
    folder: path.join(config.home, "bank"),
    port,
    apiKey,
    ...(config.port === 0
      ? {}
      : {
          webhookUrl: `http://127.0.0.1:${config.port}/v1/webhooks/payments/simulator/{account}`,
          webhookSecrets: [webhookSecret],
        }),
  });
  stops.push(bank.stop);
  return { baseUrl: bank.url, apiKey, webhookSecrets: [webhookSecret] };
}

async function stopAll(stops: Stop[]): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    await stop().catch((error) => process.stderr.write(`${error}\n`));
  }
}

async function main(): Promise<void> {
  const stops: Stop[] = [];
  let ending: Promise<void> | undefined;
  listenForShutdown({
    onFirst() {
      say("\nstopping …");
      ending = stopAll(stops).then(() => process.exit(0));
    },
    onAgain: () => process.exit(1),
  });
  try {
    const shown = await run(readConfig(process.env), stops);
    if (!ending) say(banner(shown));
  } catch (error) {
    if (ending) return;
    const isTold = error instanceof ConfigError || !(error instanceof Error);
    process.stderr.write(`${isTold ? String((error as Error).message ?? error) : error.stack}\n`);
    await stopAll(stops);
    process.exitCode = 1;
  }
}

await main();
