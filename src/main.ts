import cluster from "node:cluster";
import path from "node:path";
import pino from "pino";
import { type App, createApp, type SimulatorAddress } from "./app.ts";
import { type Banner, banner } from "./banner.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { ensureDemo } from "./demo/demo.ts";
import { demoRoutes } from "./demo/routes.ts";
import { type HomeDatabase, openHomeDatabase } from "./home-database.ts";
import { forkNodes, readInheritance } from "./nodes.ts";
import { generatedSecret } from "./platform/secrets/generated-secret.ts";
import { listenForShutdown } from "./platform/shutdown/shutdown.ts";
import { launchSimulator } from "./simulator/launch.ts";

/** What is stopped when the process ends, last one first. */
type Stops = (() => Promise<void>)[];

const say = (line: string) => process.stdout.write(`${line}\n`);

/** What every node of one start has in common. */
interface Ground {
  readonly config: Config;
  readonly homeUrl: string;
  readonly operatorKey: string;
  readonly secret: string;
  readonly simulator?: SimulatorAddress;
}

async function openApp(ground: Ground, stops: Stops): Promise<App> {
  const { config, simulator } = ground;
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  const app = await createApp({
    ...ground,
    log: pino({ level }),
    ...(simulator ? { extraRoutes: demoRoutes(simulator.baseUrl) } : {}),
  });
  stops.push(app.stop);
  return app;
}

/** The process that people start: it opens the database and the bank, and serves or forks nodes. */
async function runFirst(config: Config, stops: Stops): Promise<void> {
  const database = await openHomeDatabase(config, say);
  stops.push(database.stop);
  const simulator = config.demo ? await openSimulator(config, stops) : undefined;
  const ground: Ground = {
    config,
    homeUrl: database.url,
    operatorKey: config.operatorKey ?? generatedSecret(config.home, "operator-key", "op_").value,
    secret: config.secret ?? generatedSecret(config.home, "secret").value,
    ...(simulator ? { simulator } : {}),
  };
  if (config.nodes === 1) await serve(ground, database, stops);
  else await serveByNodes(ground, database, stops);
}

async function serve(ground: Ground, database: HomeDatabase, stops: Stops): Promise<void> {
  const app = await openApp(ground, stops);
  const demo = await makeDemo(ground, app);
  const { url } = await app.start();
  say(banner(toldOf(ground, database, { url, demo })));
}

async function serveByNodes(ground: Ground, database: HomeDatabase, stops: Stops): Promise<void> {
  const { config } = ground;
  const own: Stops = [];
  const app = await openApp({ ...ground, config: { ...config, roles: [] } }, own);
  const demo = await makeDemo(ground, app);
  for (const stop of own) await stop();
  const nodes = await forkNodes(config.nodes, ground);
  stops.push(nodes.stop);
  const url = `http://${config.host}:${config.port}`;
  say(banner(toldOf(ground, database, { url, demo })));
  say(`  ${config.nodes} nodes share the port; one that dies is started again.`);
}

async function makeDemo({ config }: Ground, app: App): Promise<Banner["demo"]> {
  if (!config.demo) return [];
  return ensureDemo(app, config.home, (brand) => say(`  making the demo brand ${brand} …`));
}

function toldOf(
  { config }: Ground,
  database: HomeDatabase,
  rest: Pick<Banner, "url" | "demo">,
): Banner {
  const operatorFile = path.join(config.home, "operator-key");
  return { ...rest, home: config.home, database: database.label, operatorFile };
}

/** One of several nodes: everything it stands on is open already. */
async function runNode(config: Config, stops: Stops): Promise<void> {
  const app = await openApp({ config, ...readInheritance(process.env) }, stops);
  await app.start();
  process.send?.("serving");
}

async function openSimulator(config: Config, stops: Stops): Promise<SimulatorAddress> {
  const apiKey = generatedSecret(config.home, "simulator-key").value;
  const webhookSecret = generatedSecret(config.home, "simulator-webhook-secret").value;
  const notices = `http://127.0.0.1:${config.port}/v1/webhooks/payments/simulator/{account}`;
  const bank = await launchSimulator({
    folder: path.join(config.home, "bank"),
    port: config.port === 0 ? 0 : config.port + 1,
    apiKey,
    // On a port that is not known yet nobody can be told: payments are then settled by asking.
    ...(config.port === 0 ? {} : { webhookUrl: notices, webhookSecrets: [webhookSecret] }),
  });
  stops.push(bank.stop);
  return { baseUrl: bank.url, apiKey, webhookSecrets: [webhookSecret] };
}

async function stopAll(stops: Stops): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    await stop().catch((error) => process.stderr.write(`${error}\n`));
  }
}

async function main(): Promise<void> {
  const stops: Stops = [];
  let ending = false;
  listenForShutdown({
    onFirst() {
      ending = true;
      if (cluster.isPrimary) say("\nstopping …");
      void stopAll(stops).then(() => process.exit(0));
    },
    onAgain: () => process.exit(1),
  });
  try {
    const config = readConfig(process.env);
    if (cluster.isPrimary) await runFirst(config, stops);
    else await runNode(config, stops);
  } catch (error) {
    if (ending) return;
    const told = error instanceof ConfigError ? error.message : ((error as Error).stack ?? error);
    process.stderr.write(`${told}\n`);
    await stopAll(stops);
    process.exit(1);
  }
}

await main();
