import type { Db } from "../db/db.ts";
import type { RunPool } from "./pool.ts";
import type { SagaDefinition } from "./saga.ts";
import type { SagaEvent } from "./saga-event.ts";
import {
  type ClaimedRun,
  claimSagas,
  type HeldRun,
  releaseSagas,
  renewSagas,
  type SagaHolder,
} from "./store.ts";

/** What sweeping needs. */
export interface SweeperConfig {
  readonly db: Db;
  readonly holder: SagaHolder;
  readonly pool: RunPool;
  readonly databases: readonly string[];
  readonly sweepMs: number;
  readonly definitions: () => readonly SagaDefinition<never, unknown>[];
  readonly definitionOf: (
    name: string,
    version: number,
  ) => SagaDefinition<never, unknown> | undefined;
  readonly onEvent: (event: SagaEvent) => void;
}

/** Renews the leases of this process's runs, and takes over runs whose lease has ended. */
export interface Sweeper {
  start(): void;
  /** Sweeps now, or right after the sweep under way. */
  soon(): void;
  stop(): Promise<void>;
  /** Gives leases back, for other nodes to go on at once. */
  release(runs: readonly HeldRun[]): Promise<void>;
}

const claimMax = 100;

/** Makes a stopped sweeper. */
export function createSweeper(config: SweeperConfig): Sweeper {
  const { db, holder, databases } = config;
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> | undefined;
  let again = false;
  let stopped = true;
  let renewedAt = performance.now();

  const sweep = async (): Promise<void> => {
    const renewing = performance.now() - renewedAt >= holder.leaseMs / 4;
    if (renewing) renewedAt = performance.now();
    for (const database of databases) {
      try {
        if (renewing) await renew(config, database);
        await takeOver(config, database);
      } catch (error) {
        config.onEvent({ kind: "sweep_failed", database, error });
      }
    }
  };
  const schedule = (ms: number): void => {
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(run, ms);
    timer.unref();
  };
  const run = (): void => {
    if (sweeping) {
      again = true;
      return;
    }
    again = false;
    sweeping = sweep().finally(() => {
      sweeping = undefined;
      schedule(again ? 0 : Math.min(config.sweepMs, holder.leaseMs / 4));
    });
  };
  return {
    start() {
      if (!stopped) return;
      stopped = false;
      schedule(0);
    },
    soon() {
      if (!stopped) run();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await sweeping;
    },
    async release(runs) {
      for (const [database, group] of await byDatabase(db, runs)) {
        if (!databases.includes(database)) continue;
        // What cannot be given back ends by itself.
        const releasing = db.platform(database, (tx) => releaseSagas(tx, group), {
          name: "sagas.release",
        });
        await releasing.catch(() => {});
      }
    },
  };
}

async function renew({ db, holder, pool }: SweeperConfig, database: string): Promise<void> {
  const all = pool.held();
  if (all.length === 0) return;
  const runs = (await byDatabase(db, all)).get(database) ?? [];
  if (runs.length === 0) return;
  const kept = await db.platform(database, (tx) => renewSagas(tx, holder, runs), {
    name: "sagas.renew",
  });
  pool.drop(runs.filter(({ id }) => !kept.has(id)).map(({ id }) => id));
}

async function byDatabase(db: Db, runs: readonly HeldRun[]): Promise<Map<string, HeldRun[]>> {
  const groups = new Map<string, HeldRun[]>();
  for (const run of runs) {
    const { database } = await db.placementOf(run.tenantId);
    const group = groups.get(database);
    if (group) group.push(run);
    else groups.set(database, [run]);
  }
  return groups;
}

async function takeOver(config: SweeperConfig, database: string): Promise<void> {
  const { db, holder, pool, definitionOf } = config;
  const limit = Math.min(pool.room(), claimMax);
  const definitions = config.definitions();
  if (limit === 0 || definitions.length === 0) return;
  const runs = await db.platform(database, (tx) => claimSagas(tx, holder, { definitions, limit }), {
    name: "sagas.claim",
  });
  if (runs.length > 0) config.onEvent({ kind: "taken_over", database, runs: runs.length });
  for (const run of runs) {
    const definition = definitionOf(run.name, run.version);
    if (definition) pool.run(startOf(definition, run));
  }
}

function startOf(definition: SagaDefinition<never, unknown>, run: ClaimedRun) {
  const { tenantId, id, token, input, origin, leftMs, steps, failure } = run;
  const status = run.status === "compensating" ? "compensating" : "running";
  const earlier = { status, steps, failure } as const;
  return { tenantId, id, token, definition, input, origin, leftMs, earlier };
}
