import { randomUUID } from "node:crypto";
import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { JsonValue } from "../../kernel/json.ts";
import type { Random } from "../../kernel/random.ts";
import { fail, ok } from "../../kernel/result.ts";
import { type Coalescer, createCoalescer } from "../coalescer/coalescer.ts";
import type { Db, TenantTx } from "../db/db.ts";
import { onPoke, poke } from "../wakeup/poke.ts";
import type { Sagas } from "./engine-contract.ts";
import { createRunPool, type RunPool } from "./pool.ts";
import type { RunDeps, RunStart } from "./run.ts";
import type {
  AnyNewSaga,
  RetryPolicy,
  SagaDefinition,
  SagaEnding,
  SagaId,
  SagaOrigin,
  SagaRun,
} from "./saga.ts";
import type { SagaEvent } from "./saga-event.ts";
import {
  changeSagas,
  findSaga,
  insertSagas,
  listSagas,
  retryStuck,
  type SagaChange,
  type SagaHolder,
  type SagaRow,
} from "./store.ts";
import { createSweeper } from "./sweeper.ts";

/** How sagas run; everything but `db` and `databases` has a default. */
export interface SagasConfig {
  readonly db: Db;
  /** Databases whose runs this process takes over when a node dies. */
  readonly databases: readonly string[];
  /** Life of a lease, milliseconds, 1,000 to 60,000; default 10,000. */
  readonly leaseMs?: number;
  /** Looks for runs to take over this often, milliseconds; default 1,000. */
  readonly sweepMs?: number;
  /** Runs under way at once; default 1,000. */
  readonly runsMax?: number;
  /** Runs that may wait in this process; default 10,000. More are left to the sweepers. */
  readonly waitingMax?: number;
  /** How undos are tried; default 8 attempts, 200 ms to 10 s. */
  readonly undoRetry?: Partial<RetryPolicy>;
  /** UUID of this process's life; random by default. */
  readonly node?: string;
  readonly random?: Random;
  readonly onEvent?: (event: SagaEvent) => void;
}

/** Wake-up topic under which runs that any node may take are announced. */
export const sagasTopic = "sagas";

const hourMs = 3_600_000;
/**
 * How an undo is tried again: for some minutes, because what is away comes back, and a person has to
 * look at what is given up. With 8 attempts a peer that was away for 20 s left runs stuck.
 */
export const undoDefaults: RetryPolicy = { attemptsMax: 60, baseMs: 200, maxMs: 10_000 };

/** Makes the sagas of a process; register definitions, then start. */
export function createSagas(config: SagasConfig): Sagas {
  const { db } = config;
  const holder: SagaHolder = {
    node: config.node ?? randomUUID(),
    leaseMs: config.leaseMs ?? 10_000,
  };
  const definitions = new Map<string, SagaDefinition<never, unknown>>();
  const definitionOf = (name: string, version: number) => definitions.get(`${name}/${version}`);
  const pool = createRunPool({
    deps: createRunDeps(config, holder),
    runsMax: config.runsMax ?? 1_000,
    waitingMax: config.waitingMax ?? 10_000,
    onEvent: config.onEvent ?? (() => {}),
  });
  const sweeper = createSweeper({
    db,
    holder,
    pool,
    databases: config.databases,
    sweepMs: config.sweepMs ?? 1_000,
    definitions: () => [...definitions.values()],
    definitionOf,
    onEvent: config.onEvent ?? (() => {}),
  });
  const starting: Starting = { holder, pool, definitionOf };
  let stopListening = () => {};

  return {
    register(...added) {
      for (const definition of added) {
        const key = `${definition.name}/${definition.version}`;
        assert(!definitions.has(key), `saga ${key} is registered once`);
        definitions.set(key, definition);
      }
    },
    startSagas: (tx, origin, sagas) => startSagas(starting, { tx, origin, sagas }),
    startSaga: (tx, origin, saga) => startSagas(starting, { tx, origin, sagas: [saga] }),
    completeSagas: (tx, endings) => completeSagas(tx, holder, endings),
    outcomeOf: pool.outcomeOf,
    waitFor: (tenantId, id, options) => waitFor(db, pool, { tenantId, id, ...options }),
    find: (tenantId, id) => findSaga(db, tenantId, id),
    async list(tenantId, filter) {
      const rows = await listSagas(db, tenantId, { ...filter, limit: filter.limit + 1 });
      const items = rows.slice(0, filter.limit);
      const last = items.at(-1);
      return rows.length > items.length && last ? { items, nextCursor: last.id } : { items };
    },
    async retry(tenantId, id) {
      if (!(await retryStuck(db, tenantId, id))) {
        return fail({ code: "sagas.not_stuck", sagaId: id });
      }
      poke(sagasTopic);
      return ok(null);
    },
    running: pool.running,
    start() {
      pool.open();
      sweeper.start();
      stopListening();
      stopListening = onPoke((topic) => {
        if (topic === sagasTopic) sweeper.soon();
      });
    },
    async stop({ withinMs = 5_000 } = {}) {
      stopListening();
      await sweeper.stop();
      await sweeper.release(await pool.stop(withinMs));
    },
  };
}

function createRunDeps(config: SagasConfig, holder: SagaHolder): RunDeps {
  const { db } = config;
  const saves: Coalescer<SagaChange, boolean> = createCoalescer({
    name: "sagas.save",
    batchMax: 500,
    inFlightMax: 2,
    waitingMax: 100_000,
    run: async (tenantId, changes) => {
      const kept = await db.commit(tenantId as TenantId, (tx) => changeSagas(tx, holder, changes), {
        name: "sagas.save",
      });
      return changes.map(({ id }) => kept.has(id));
    },
  });
  return {
    db,
    random: config.random ?? Math.random,
    now: Date.now,
    undoRetry: { ...undoDefaults, ...config.undoRetry },
    save: (tenantId, change) => saves.submit(tenantId, change),
    saveIn: async (tx, change) => (await changeSagas(tx, holder, [change])).has(change.id),
  };
}

interface Starting {
  readonly holder: SagaHolder;
  readonly pool: RunPool;
  readonly definitionOf: (name: string, version: number) => unknown;
}

interface Start {
  readonly tx: TenantTx;
  readonly origin: SagaOrigin;
  readonly sagas: readonly AnyNewSaga[];
}

function startSagas(starting: Starting, { tx, origin, sagas }: Start): void {
  const { holder, pool, definitionOf } = starting;
  if (sagas.length === 0) return;
  for (const { saga } of sagas) {
    const known = definitionOf(saga.name, saga.version);
    assert(known, `saga ${saga.name} version ${saga.version} is registered`);
  }
  const accepts = pool.accepts();
  const starts = sagas.map((saga) => ({
    start: startOf(tx.tenantId, origin, saga),
    isLocal: accepts && saga.runLocally !== false,
  }));
  insertSagas(tx, holder, starts.map(rowOf));
  tx.afterCommit(() => {
    let isLeft = false;
    for (const { start, isLocal } of starts) {
      if (isLocal) pool.run(start);
      else isLeft = true;
    }
    if (isLeft) poke(sagasTopic);
  });
}

function startOf(tenantId: TenantId, origin: SagaOrigin, saga: AnyNewSaga): RunStart {
  return {
    tenantId,
    id: saga.id,
    token: 1,
    definition: saga.saga,
    input: saga.input,
    origin: saga.origin ?? origin,
    leftMs: saga.saga.timeoutMs ?? hourMs,
  };
}

function rowOf({ start, isLocal }: { start: RunStart; isLocal: boolean }): SagaRow {
  const { id, definition, input, origin, leftMs } = start;
  const { name, version } = definition;
  return { id, name, version, timeoutMs: leftMs, held: isLocal, input, origin };
}

async function completeSagas(
  tx: TenantTx,
  holder: SagaHolder,
  endings: readonly SagaEnding[],
): Promise<ReadonlySet<SagaId>> {
  if (endings.length === 0) return new Set();
  const ended = await changeSagas(
    tx,
    holder,
    endings.map(({ id, token, steps, output }) => ({
      id,
      token,
      steps,
      status: "completed",
      output: output ?? (null as JsonValue),
    })),
  );
  tx.afterCommit(() => {
    for (const ending of endings) if (ended.has(ending.id)) ending.ended();
  });
  return ended;
}

const pollMs = 250;

async function waitFor(
  db: Db,
  pool: RunPool,
  wait: {
    readonly tenantId: TenantId;
    readonly id: SagaId;
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
  },
): Promise<SagaRun | undefined> {
  const deadline = performance.now() + wait.timeoutMs;
  for (;;) {
    const leftMs = deadline - performance.now();
    const local = pool.outcomeOf(wait.id);
    if (local) await within(local, leftMs, wait.signal);
    const run = await findSaga(db, wait.tenantId, wait.id);
    const isOver = run && run.status !== "running" && run.status !== "compensating";
    if (isOver) return run;
    if (performance.now() >= deadline || wait.signal?.aborted) return undefined;
    await within(new Promise(() => {}), Math.min(pollMs, leftMs), wait.signal);
  }
}

/** Waits for work, a time, or an abort, whichever comes first. */
async function within(work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, Math.max(ms, 0));
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
    work.then(done, done);
  });
}
