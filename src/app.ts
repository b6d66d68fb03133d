import path from "node:path";
import { type Commerce, createCommerce } from "./commerce.ts";
import type { Config } from "./config.ts";
import { present } from "./kernel/assert.ts";
import { systemClock } from "./kernel/clock.ts";
import type { TenantId } from "./kernel/ids.ts";
import { migrationLines } from "./migration-lines.ts";
import { catalogJobs, shopCache, shopInvalidations } from "./modules/catalog/index.ts";
import { inventoryJobs } from "./modules/inventory/index.ts";
import { ledgerJobs } from "./modules/ledger/index.ts";
import { findOrders } from "./modules/orders/index.ts";
import {
  createManualProvider,
  createSimulatorProvider,
  paymentJobs,
} from "./modules/payments/index.ts";
import { documentsQueue, receiptJobs, receiptSubscription } from "./modules/receipts/index.ts";
import { createTenants, type Tenants } from "./modules/tenants/index.ts";
import {
  announceInvalidations,
  invalidationSubscription,
  invalidationsTopic,
} from "./platform/cache/announce.ts";
import { createDb, type Db } from "./platform/db/db.ts";
import { type Failpoint, withFailpoints } from "./platform/db/failpoints.ts";
import { migrate } from "./platform/db/migrate.ts";
import { createStatementObserver, observeWith } from "./platform/db/observer.ts";
import { eventsTopic, readersTopic } from "./platform/events/event.ts";
import { createSubscriptions, type Subscriptions } from "./platform/events/subscriptions.ts";
import { useCursorSecret } from "./platform/http/cursor.ts";
import { createHealth, databaseDependency, type Health } from "./platform/http/health.ts";
import { createLiveStreams } from "./platform/http/live-streams.ts";
import type { HttpLog } from "./platform/http/log.ts";
import { createMetrics, type Metrics } from "./platform/http/metrics.ts";
import type { Route } from "./platform/http/route.ts";
import { createHttpServer, type HttpServer } from "./platform/http/server.ts";
import { createStatementScope, type StatementScope } from "./platform/http/statement-scope.ts";
import { jobTopics } from "./platform/jobs/job.ts";
import { createJobs, type Jobs } from "./platform/jobs/jobs.ts";
import {
  createLocks,
  createPostgresLeaseStore,
  type Leadership,
  type Locks,
  locksTopic,
} from "./platform/locks/locks.ts";
import { createOutgoing, type OutgoingClient } from "./platform/outgoing/outgoing.ts";
import { createPlacements, type Placements } from "./platform/placement/placements.ts";
import { refuseUnconfinedRoles } from "./platform/placement/provision.ts";
import { createSagas, type Sagas } from "./platform/sagas/sagas.ts";
import { createWakeup, type Wakeup } from "./platform/wakeup/wakeup.ts";
import {
  createHousekeeper,
  ensurePartitions,
  houseJobs,
  provisionTenant,
  provisionTenants,
} from "./processes/housekeeping/housekeeping.ts";
import { createOperations } from "./processes/operations/index.ts";
import { failureStatuses, routesOf } from "./routes.ts";
import { createSharing, type Sharing } from "./sharing.ts";

/** A payment provider in a process of its own, for trying and for tests. */
export interface SimulatorAddress {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly webhookSecrets: readonly string[];
}

/** What the process is made of. */
export interface AppConfig {
  readonly config: Config;
  /** Owner URL of the home database: configured, or the embedded server's. */
  readonly homeUrl: string;
  readonly operatorKey: string;
  /** Signs cursors. */
  readonly secret: string;
  readonly simulator?: SimulatorAddress;
  readonly log: HttpLog;
  /** Operations of the caller's own, such as the demo's. */
  readonly extraRoutes?: readonly Route[];
  readonly onMigration?: (name: string) => void;
  /** Called at named places, so that tests can stop the process there. */
  readonly failpoint?: Failpoint;
}

/** The running program. */
export interface App {
  readonly commerce: Commerce;
  readonly tenants: Tenants;
  readonly placements: Placements;
  readonly db: Db;
  /** Jobs of the home database. */
  readonly jobs: Jobs;
  readonly subscriptions: Subscriptions;
  readonly sagas: Sagas;
  /** Absent without the role `api`. */
  readonly http: HttpServer | undefined;
  /** Starts workers, then listens. */
  start(): Promise<{ readonly url: string | undefined; readonly port: number | undefined }>;
  /** Stops in order: not ready, stop claiming, drain, give leases back, end the pools. */
  stop(): Promise<void>;
}

/** When a question to the payment provider is asked a second time beside the first. */
export const bankHedge = { after: "p95", afterMinMs: 50 } as const;

/** Folder of the built console and shop. */
const sitesDist = path.join(import.meta.dirname, "..", "console", "dist");

/** Brings every database up to date and builds the whole program, from the bottom up. */
export async function createApp(given: AppConfig): Promise<App> {
  const { config, log } = given;
  useCursorSecret(given.secret);
  const metrics = createMetrics();
  const scope = createStatementScope();
  const placements = openPlacements(given);
  await migrateAll(placements, given);
  await refuseUnconfinedRoles(placements);
  const opened = openDb(given, placements, { metrics, scope });
  const db = given.failpoint ? withFailpoints(opened, given.failpoint) : opened;
  const databases = await openDatabases(placements, log);
  const sharing = createSharing(config, { db, databases, log });
  const bank = openBank(given);
  metrics.watchDependencies(() => [
    ...[placements.figures(), ...sharing.figures()],
    ...(bank ? [bank.figures()] : []),
  ]);
  const sagas = createSagas({ db, databases: databases.map(({ name }) => name) });
  const commerce = createCommerce({
    db,
    clock: systemClock,
    sagas,
    providers: providersOf(given, bank),
    instantProviders: new Set(["manual"]),
    onBatch: metrics.onBatch,
    caching: sharing.caching,
    ...(given.failpoint ? { failpoint: given.failpoint } : {}),
  });
  const tenants = openTenants(given, { db, placements, sharing, home: () => home });
  metrics.watchCaches(() => ({
    [shopCache]: { ...commerce.catalog.shop.stats() },
    ...tenants.cacheStats(),
  }));
  const jobsOf = createAllJobs(db, databases, commerce, tenants);
  const home: Jobs = present(jobsOf.get("home"), "jobs of the home database");
  const subscriptions = createSubscriptions({ db, databases });
  subscriptions.register(receiptSubscription());
  subscriptions.register(invalidationSubscription(shopInvalidations));
  const streams = createLiveStreams({ streamsMax: config.http.streamsMax ?? 500 });
  const operations = createOperations({ ...commerce, sagas, subscriptions, jobs: home, streams });
  const health = createHealth([
    ...databases.map(({ name }) => databaseDependency(name, placements.urlsOf(name).platform)),
    ...sharing.dependencies,
  ]);
  const http = config.roles.includes("api")
    ? await createHttpServer({
        ...httpConfigOf(given),
        routes: [...routesOf({ commerce, tenants, operations }), ...(given.extraRoutes ?? [])],
        authenticate: tenants.authenticate,
        limiter: sharing.limiter,
        health,
        metrics,
        scope,
        streams,
      })
    : undefined;
  const locks = openLocks(db, databases, log);
  const housekeeper = createHousekeeper({ db, placements, locks }, (err) =>
    log.error({ err }, "housekeeping failed; it is tried again within the hour"),
  );
  const jobs = [...jobsOf.values()];
  const parts = { config, db, placements, databases, sagas, jobs, home, locks, sharing, bank };
  const life = lifeOf({ ...parts, commerce, tenants, subscriptions, housekeeper, health, http });
  return { commerce, tenants, placements, db, jobs: home, subscriptions, sagas, http, ...life };
}

/** Brands; one is made with its schedules: expiry of reservations, sweeping of payments, sealing. */
function openTenants(
  { operatorKey, log }: AppConfig,
  parts: Pick<Living, "db" | "placements" | "sharing"> & { readonly home: () => Jobs },
): Tenants {
  const { db, placements, sharing, home } = parts;
  const tenants = createTenants({
    ...{ db, placements, operatorKey },
    lines: migrationLines,
    announce: announceInvalidations,
    invalidations: sharing.invalidations,
    onKeyUsesFailed: (err) =>
      log.warn({ err }, "uses of keys are not noted yet; it is tried again"),
  });
  return {
    ...tenants,
    async create(ctx, command) {
      const created = await tenants.create(ctx, command);
      if (created.ok) await provisionTenant(home(), created.value.id);
      return created;
    },
  };
}

interface Living {
  readonly config: Config;
  readonly db: Db;
  readonly placements: Placements;
  readonly databases: readonly OpenDatabase[];
  readonly sagas: Sagas;
  readonly tenants: Tenants;
  readonly jobs: readonly Jobs[];
  readonly home: Jobs;
  readonly subscriptions: Subscriptions;
  readonly housekeeper: Leadership;
  readonly locks: Locks;
  readonly sharing: Sharing;
  readonly commerce: Commerce;
  readonly health: Health;
  readonly http: HttpServer | undefined;
  readonly bank: OutgoingClient | undefined;
}

/** How the parts start and stop, in order. */
function lifeOf(parts: Living): Pick<App, "start" | "stop"> {
  const { config, databases, sagas, jobs, subscriptions, housekeeper, health, http } = parts;
  const isWorker = config.roles.includes("worker");
  return {
    async start() {
      await Promise.all(databases.map(({ wakeup }) => wakeup.start()));
      await parts.sharing.start();
      sagas.start();
      await provisionTenants(parts.home, parts.tenants);
      if (isWorker) {
        await Promise.all(jobs.map((each) => each.start()));
        await subscriptions.start();
        housekeeper.start();
      }
      health.markStarted();
      if (!http) return { url: undefined, port: undefined };
      return http.listen({ port: config.port, host: config.host });
    },
    async stop() {
      health.markDraining();
      await Promise.all([housekeeper.stop(), parts.locks.stop()]);
      await Promise.all([...jobs.map((each) => each.stop()), subscriptions.stop()]);
      await http?.close(config.shutdown);
      await Promise.all([parts.commerce.stop(), parts.tenants.stop()]);
      await parts.sharing.stop();
      await sagas.stop({ withinMs: 2_000 });
      await Promise.all(databases.map(({ wakeup }) => wakeup.stop()));
      await health.stop();
      await parts.bank?.stop();
      await parts.db.stop();
      await parts.placements.stop();
    },
  };
}

function httpConfigOf({ config, simulator, log }: AppConfig) {
  return {
    failureStatuses,
    info: { title: "BrandOS", version: "1" },
    limits: config.http,
    corsOrigins: config.corsOrigins,
    trustedProxies: config.trustedProxies,
    development: config.environment === "development",
    sites: { dist: sitesDist, connectOrigins: simulator ? [simulator.baseUrl] : [] },
    log,
  };
}

function openDb(
  { config, log }: AppConfig,
  placements: Placements,
  { metrics, scope }: { readonly metrics: Metrics; readonly scope: StatementScope },
): Db {
  const slow = createStatementObserver({
    slowMs: config.slowStatementMs,
    explainUrl: placements.urlsOf("home").app,
    onSlow: ({ name, elapsedMs, rowCount, plan }) => {
      const fields = { statement: name, elapsedMs: Math.round(elapsedMs), rowCount, plan };
      log.warn(fields, "slow statement");
    },
  });
  const db = createDb({
    urlsOf: placements.urlsOf,
    placementOf: placements.placementOf,
    poolLimits: config.pool,
    prepare: config.database.prepare,
    onPoolEvent: metrics.onPoolEvent,
    onRetry: metrics.onRetry,
    onStatement: observeWith(scope.onStatement, slow.onStatement),
  });
  metrics.watchPools(() => db.pools());
  return db;
}

/** Locks of all nodes, kept in the home database. */
function openLocks(db: Db, [home]: readonly OpenDatabase[], log: HttpLog): Locks {
  const store = createPostgresLeaseStore({ db, ...(home ? { wakeup: home.wakeup } : {}) });
  return createLocks({
    store,
    onEvent(event) {
      if (event.kind === "lost") log.warn({ lock: event.name }, "a lock was lost");
    },
  });
}

function openPlacements({ config, homeUrl }: AppConfig): Placements {
  const { appUrl, platformUrl, clusters } = config.database;
  return createPlacements({
    homeUrl,
    clusters,
    ...(appUrl ? { homeAppUrl: appUrl } : {}),
    ...(platformUrl ? { homePlatformUrl: platformUrl } : {}),
  });
}

/** The home database first: it knows the others. */
async function migrateAll(placements: Placements, given: AppConfig): Promise<void> {
  const onApplied = given.onMigration ? { onApplied: given.onMigration } : {};
  const home = { ownerUrl: given.homeUrl, home: true, schemas: ["shared"] };
  await migrate({ ...home, lines: migrationLines, ...onApplied });
  for (const { database: _, ...target } of await placements.targets()) {
    await migrate({ ...target, lines: migrationLines, ...onApplied });
    // Before anybody writes: a partition that is made under traffic waits for all of it.
    await ensurePartitions(target.ownerUrl, target.schemas, { from: new Date(), months: 3 });
  }
}

interface OpenDatabase {
  readonly name: string;
  readonly wakeup: Wakeup;
}

async function openDatabases(
  placements: Placements,
  log: HttpLog,
): Promise<readonly OpenDatabase[]> {
  const names = await placements.databases();
  const known = names.includes("home") ? names : ["home", ...names];
  return known.map((name) => ({
    name,
    wakeup: createWakeup({
      url: placements.urlsOf(name).platform,
      topics: [...jobTopics, eventsTopic, readersTopic, locksTopic, invalidationsTopic],
      onError: (err) => log.warn({ err, database: name }, "the wake-up connection broke"),
    }),
  }));
}

/** Jobs of documents share a transaction: so many of them at a time. */
const documentsAtOnce = 100;

function createAllJobs(
  db: Db,
  databases: readonly OpenDatabase[],
  commerce: Commerce,
  tenants: Tenants,
): ReadonlyMap<string, Jobs> {
  const brandOf = async (tenantId: string): Promise<string> => {
    const tenant = await tenants.get(tenantId as TenantId);
    return tenant.ok ? tenant.value.name : "";
  };
  const definitions = [
    ...catalogJobs(db),
    ...inventoryJobs(db),
    ...ledgerJobs(db),
    ...paymentJobs(commerce.payments),
    ...receiptJobs({ db, findOrders, brandOf }),
    ...commerce.orders.jobs,
    ...houseJobs(commerce),
  ];
  const queues = {
    [documentsQueue]: { concurrency: documentsAtOnce, keepDoneForMs: 7 * 24 * 60 * 60_000 },
  };
  return new Map(
    databases.map(({ name, wakeup }) => [
      name,
      createJobs({ db, database: name, definitions, queues, others: {}, wakeup }),
    ]),
  );
}

/** The client of the payment provider; questions how a payment stands are hedged. */
function openBank({ simulator }: AppConfig): OutgoingClient | undefined {
  if (!simulator) return undefined;
  // Whoever pays tries again by itself, durably: a saga, a job. Once is enough here.
  const limits = { attemptsMax: 1, hedge: bankHedge };
  return createOutgoing({ name: "payments.simulator", reach: "any", tellsTimeout: true, limits });
}

function providersOf({ simulator }: AppConfig, client: OutgoingClient | undefined) {
  const manual = createManualProvider();
  if (!simulator || !client) return [manual];
  return [createSimulatorProvider({ ...simulator, client }), manual];
}
