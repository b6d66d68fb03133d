import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { BatchReport } from "../coalescer/coalescer.ts";
import type { DbError } from "../db/errors.ts";
import type { PoolEvent, PoolState } from "../db/pool.ts";
import type { VerdictSource } from "../limits/limits.ts";
import type { BreakerState, DependencyFigures } from "../resilience/resilience.ts";

/** Figures of one process in Prometheus' format. */
export interface Metrics {
  /** Where other parts register their own figures. */
  readonly registry: Registry;
  /** Counts one answered request. @param route path template, never a path */
  request(route: string, method: string, status: number, seconds: number): void;
  /** Counts a request that a limit refused. @param source who decided */
  refused(limit: string, source: VerdictSource): void;
  /** Counts a request that a limit was asked about while its store was away. */
  limitedAlone(limit: string): void;
  /** Give these to `createDb` and `createCoalescer`. */
  readonly onPoolEvent: (event: PoolEvent) => void;
  readonly onRetry: (report: { readonly name: string; readonly error: DbError }) => void;
  readonly onBatch: (report: BatchReport) => void;
  /** Asks for the pools' state at every scrape. */
  watchPools(pools: () => readonly PoolState[]): void;
  /** Asks for what happened to the calls of each dependency at every scrape. */
  watchDependencies(dependencies: () => readonly DependencyFigures[]): void;
  /** Asks for what happened to caches at every scrape, by their names. */
  watchCaches(caches: () => Readonly<Record<string, Readonly<Record<string, number>>>>): void;
  /** Adds a figure that is asked for at every scrape. @param name snake case, with its unit last */
  watch(name: string, help: string, value: () => number): void;
}

const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const waitBuckets = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2];
const batchBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Makes the figures of a process: golden signals, pools, batches, event loop, heap. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: "brandos_http_request_duration_seconds",
    help: "Time to answer, by route; its count is the traffic, its statuses are the errors.",
    labelNames: ["route", "method", "status"],
    buckets: requestBuckets,
    registers,
  });
  const retries = new Counter({
    name: "brandos_db_retries_total",
    help: "Units of work run again, by name and cause.",
    labelNames: ["work", "cause"],
    registers,
  });
  const refusals = new Counter({
    name: "brandos_rate_limit_refusals_total",
    help: "Requests refused, by limit and by who decided: the store, tokens taken ahead, this node alone.",
    labelNames: ["limit", "source"],
    registers,
  });
  const alone = new Counter({
    name: "brandos_rate_limit_without_store_total",
    help: "Requests that this node counted alone because the store of limits was away, by limit.",
    labelNames: ["limit"],
    registers,
  });
  return {
    registry,
    refused: (limit, source) => refusals.inc({ limit, source }),
    limitedAlone: (limit) => alone.inc({ limit }),
    request: (route, method, status, seconds) =>
      requests.observe({ route, method, status: String(status) }, seconds),
    onRetry: ({ name, error }) => retries.inc({ work: name, cause: error.code }),
    onPoolEvent: poolObserver(registers),
    onBatch: batchObserver(registers),
    watchPools: (pools) => watchPools(registers, pools),
    watchDependencies: (dependencies) => watchDependencies(registers, dependencies),
    watchCaches: (caches) => watchCaches(registers, caches),
    watch(name, help, value) {
      new Gauge({ name, help, registers, collect: collecting((gauge) => gauge.set(value())) });
    },
  };
}

function poolObserver(registers: Registry[]): (event: PoolEvent) => void {
  const waits = new Histogram({
    name: "brandos_db_pool_wait_seconds",
    help: "Wait for a connection, by pool.",
    labelNames: ["pool"],
    buckets: waitBuckets,
    registers,
  });
  const events = new Counter({
    name: "brandos_db_pool_events_total",
    help: "What went wrong in a pool: exhausted, leak, breaker_open, connection_error.",
    labelNames: ["pool", "kind"],
    registers,
  });
  return (event) => {
    const { pool, kind } = event;
    if (kind === "acquired") waits.observe({ pool }, event.waitedMs / 1000);
    else events.inc({ pool, kind: kind === "breaker" ? `breaker_${event.state}` : kind });
  };
}

function batchObserver(registers: Registry[]): (report: BatchReport) => void {
  const sizes = new Histogram({
    name: "brandos_coalescer_batch_size",
    help: "Callers per batch, by coalescer.",
    labelNames: ["coalescer"],
    buckets: batchBuckets,
    registers,
  });
  const failures = new Counter({
    name: "brandos_coalescer_batch_failures_total",
    help: "Batches that broke and were split, by coalescer.",
    labelNames: ["coalescer"],
    registers,
  });
  return ({ name, size, failed }) => {
    sizes.observe({ coalescer: name }, size);
    if (failed) failures.inc({ coalescer: name });
  };
}

function watchPools(registers: Registry[], pools: () => readonly PoolState[]): void {
  new Gauge({
    name: "brandos_db_pool_connections",
    help: "Connections of a pool by state; waiting counts callers; max is the limit.",
    labelNames: ["pool", "state"],
    registers,
    collect: collecting((gauge) => {
      gauge.reset();
      for (const { name: pool, total, idle, waiting, max } of pools()) {
        gauge.set({ pool, state: "busy" }, total - idle);
        gauge.set({ pool, state: "idle" }, idle);
        gauge.set({ pool, state: "waiting" }, waiting);
        gauge.set({ pool, state: "max" }, max);
      }
    }),
  });
  new Gauge({
    name: "brandos_db_pool_breaker",
    help: "Breaker of a pool: 0 closed, 0.5 letting one try, 1 open.",
    labelNames: ["pool"],
    registers,
    collect: collecting((gauge) => {
      gauge.reset();
      for (const { name: pool, breaker } of pools()) {
        gauge.set({ pool }, breakerFigures[breaker]);
      }
    }),
  });
}

const breakerFigures: Readonly<Record<BreakerState, number>> = {
  closed: 0,
  half_open: 0.5,
  open: 1,
};

function watchCaches(registers: Registry[], caches: Parameters<Metrics["watchCaches"]>[0]): void {
  const figures = { name: "brandos_cache", labelNames: ["cache", "what"], registers };
  new Gauge({
    ...figures,
    help: "What happened in a cache since the start (hits, misses, loads …), and what it holds (entries, bytes).",
    collect: collecting((gauge) => {
      for (const [cache, counts] of Object.entries(caches())) {
        for (const [what, count] of Object.entries(counts)) gauge.set({ cache, what }, count);
      }
    }),
  });
}

/** Counts are kept by the policies: a scrape copies them, a call costs nothing. */
function watchDependencies(
  registers: Registry[],
  dependencies: () => readonly DependencyFigures[],
): void {
  new Counter({
    name: "brandos_dependency_calls_total",
    help: "Calls to a dependency, retries not counted.",
    labelNames: ["dependency"],
    registers,
    collect(this: Counter) {
      this.reset();
      for (const { name: dependency, calls } of dependencies()) this.inc({ dependency }, calls);
    },
  });
  new Counter({
    name: "brandos_dependency_events_total",
    help: "What policies did: retry, retry_withheld, timeout, rejected, hedge, hedge_won, fallback.",
    labelNames: ["dependency", "kind"],
    registers,
    collect(this: Counter) {
      this.reset();
      for (const each of dependencies()) {
        const { name: dependency } = each;
        this.inc({ dependency, kind: "retry" }, each.retries);
        this.inc({ dependency, kind: "retry_withheld" }, each.retriesWithheld);
        this.inc({ dependency, kind: "timeout" }, each.timeouts);
        this.inc({ dependency, kind: "rejected" }, each.rejected);
        this.inc({ dependency, kind: "hedge" }, each.hedges);
        this.inc({ dependency, kind: "hedge_won" }, each.hedgesWon);
        this.inc({ dependency, kind: "fallback" }, each.fallbacks);
      }
    },
  });
  new Gauge({
    name: "brandos_dependency_breaker",
    help: "Breaker of a dependency: 0 closed, 0.5 letting some try, 1 open.",
    labelNames: ["dependency"],
    registers,
    collect: collecting((gauge) => {
      gauge.reset();
      for (const { name: dependency, breaker } of dependencies())
        gauge.set({ dependency }, breakerFigures[breaker]);
    }),
  });
}

/** prom-client binds `this` of `collect` to the figure. */
function collecting(set: (gauge: Gauge) => void): (this: Gauge) => void {
  return function collect(this: Gauge) {
    set(this);
  };
}
