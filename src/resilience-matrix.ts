import { bankHedge } from "./app.ts";
import { doorDefaults } from "./modules/tenants/door.ts";
import { exportLimits } from "./modules/tenants/export.ts";
import { commitStatusLimits, workDefaults } from "./platform/db/db.ts";
import { ownerConnectTimeoutMs } from "./platform/db/migrate.ts";
import { defaultPoolLimits } from "./platform/db/pool.ts";
import { silenceGraceMs } from "./platform/db/silence.ts";
import { checkTimeoutMs, readinessCacheMs } from "./platform/http/health.ts";
import { defaultHttpLimits } from "./platform/http/limits.ts";
import { limiterDefaults, strictShare } from "./platform/limits/limits.ts";
import { outgoingDefaults } from "./platform/outgoing/outgoing.ts";
import { directoryLimits } from "./platform/placement/directory.ts";
import { defaultRedisLimits } from "./platform/redis/redis.ts";
import { undoDefaults } from "./platform/sagas/engine.ts";
import { wakeupDefaults } from "./platform/wakeup/wakeup.ts";
import { chargeRetry, settleWaitMs } from "./processes/checkout/contract.ts";

/** How calls to one dependency are bounded, and what remains to be seen of it. */
export interface DependencyRow {
  /** Name of the row, and of its test. */
  readonly id: string;
  readonly dependency: string;
  readonly usedFor: string;
  readonly timeout: string;
  readonly retry: string;
  readonly breaker: string;
  /** Bulkhead or pool, and who may wait for it. */
  readonly queue: string;
  /** What a user sees while it is slow, or takes calls and says nothing. */
  readonly slow: string;
  /** What a user sees while it is gone, and after. */
  readonly gone: string;
}

const redisBreaker =
  `${defaultRedisLimits.breakerThreshold} commands in a row without an answer; ` +
  `${ms(defaultRedisLimits.breakerOpenMs)}, doubling to ${ms(defaultRedisLimits.breakerOpenMaxMs)}`;

/** Everything that calls leave the process for. A test of each row breaks the dependency and looks. */
export const resilienceMatrix = [
  {
    id: "database",
    dependency: "PostgreSQL, a tenant's database",
    usedFor: "every unit of work: requests, jobs, sagas, subscriptions",
    timeout:
      `${ms(defaultPoolLimits.acquireTimeoutMs)} for a connection; ${ms(workDefaults.statementTimeoutMs)} ` +
      "a statement, " +
      `${ms(workDefaults.lockTimeoutMs)} a lock, or what the caller's deadline leaves; ` +
      `${ms(workDefaults.commitTimeoutMs)} a COMMIT; ` +
      `${ms(workDefaults.statementTimeoutMs + silenceGraceMs)} without a word close the connection`,
    retry: `conflicts only: ${workDefaults.attemptsMax} attempts, full jitter, within the deadline`,
    breaker:
      `per pool: ${defaultPoolLimits.breakerThreshold} failed connections in a row; ` +
      `up to ${ms(defaultPoolLimits.breakerOpenMs)}`,
    queue: `${defaultPoolLimits.max} connections a pool, ${count(defaultPoolLimits.waitingMax)} wait`,
    slow:
      "503 `server.overloaded` when no connection is free, `server.deadline` when the caller's time is up, " +
      "`server.unavailable` after the silence; `Retry-After: 1`",
    gone:
      "503 `server.unavailable` with `Retry-After: 1`, within milliseconds; served again within 2 s of its return. " +
      "A request repeated with its `Idempotency-Key` takes effect once",
  },
  {
    id: "commit",
    dependency: "PostgreSQL, the answer to a COMMIT",
    usedFor: "knowing whether a unit of work took effect",
    timeout:
      `${ms(workDefaults.commitTimeoutMs)}; then the server is asked what became of it, ` +
      `${ms(commitStatusLimits.questionTimeoutMs)} a question`,
    retry:
      `the question, every ${ms(commitStatusLimits.pauseMs)} for ${ms(commitStatusLimits.totalMs)}; the ` +
      "work only when the server says that it was lost",
    breaker: "the pool's",
    queue: "the pool's",
    slow: "the answer, later",
    gone:
      "the answer, when another connection can be had; else 503 `server.outcome_unknown`: repeat it with the same " +
      "`Idempotency-Key`. Never twice",
  },
  {
    id: "directory",
    dependency: "PostgreSQL, the home database",
    usedFor: "where a tenant lives, whose key it is, schedules, locks",
    timeout:
      `${ms(directoryLimits.connectTimeoutMs)} for a connection, ${ms(directoryLimits.queryTimeoutMs)} a ` +
      "question",
    retry: "none: the next request asks",
    breaker: `${directoryLimits.breakerThreshold} failures in a row; up to ${ms(directoryLimits.breakerOpenMs)}`,
    queue: `2 connections, ${count(directoryLimits.queueMax)} wait`,
    slow:
      `nothing for keys seen in the last ${ms(doorDefaults.ttlMs)}; others 503 \`server.unavailable\` ` +
      "after the timeout",
    gone:
      `nothing for keys seen in the last ${ms(doorDefaults.ttlMs)}; others 503 \`server.unavailable\` ` +
      "with `Retry-After: 1`, at once",
  },
  {
    id: "wakeup",
    dependency: "PostgreSQL, the LISTEN connection",
    usedFor: "hearing at once of work that another node made",
    timeout: `${ms(wakeupDefaults.connectTimeoutMs)} to connect`,
    retry:
      `for ever, ${ms(wakeupDefaults.backoff.baseMs)} doubling to ${ms(wakeupDefaults.backoff.maxMs)}, ` +
      "full jitter",
    breaker: "none: one connection a node",
    queue: "none",
    slow: "nothing: work is found by looking, seconds later",
    gone: "nothing: the same; it connects again by itself and then looks once",
  },
  {
    id: "health",
    dependency: "PostgreSQL, the connection of the probes",
    usedFor: "`/health/ready`",
    timeout: ms(checkTimeoutMs),
    retry: "none: the next probe asks",
    breaker: "none",
    queue: `one connection a database; its answer serves all probes for ${ms(readinessCacheMs)}`,
    slow:
      `\`/health/ready\` 503 within ${ms(checkTimeoutMs + readinessCacheMs)}, with the reason; ` +
      "`/health/live` 200",
    gone: "the same, at once; ready again with the first good answer",
  },
  {
    id: "owner",
    dependency: "PostgreSQL, as its owner",
    usedFor: "migrations at start, new tenants' schemas, next months' partitions",
    timeout: `${ms(ownerConnectTimeoutMs)} to connect`,
    retry: "partitions: within the hour, months ahead of need",
    breaker: "none: rare",
    queue: "none",
    slow: `a node does not start: it ends with the reason, after ${ms(ownerConnectTimeoutMs)}`,
    gone: "the same, at once. Nodes that run go on",
  },
  {
    id: "export",
    dependency: "PostgreSQL, the connection of an export",
    usedFor: "streaming everything held of a tenant, over a snapshot of its own",
    timeout: `${ms(exportLimits.connectTimeoutMs)} to connect, ${ms(exportLimits.queryTimeoutMs)} a page`,
    retry: "none: the caller asks again",
    breaker: "none: rare, and an operator's",
    queue: "none",
    slow: "503 `server.unavailable` before the first line; later the stream breaks off",
    gone: 'the same, at once. What has no last line `"end":true` is not whole',
  },
  {
    id: "redis_cache",
    dependency: "Redis, what shops were answered",
    usedFor: "answers that one node loaded and all can use; only where `BRANDOS_REDIS_URLS` is set",
    timeout:
      `${ms(defaultRedisLimits.commandTimeoutMs)} a command, ` +
      `${ms(defaultRedisLimits.connectTimeoutMs)} to connect`,
    retry: "none: nothing is sent twice",
    breaker: redisBreaker,
    queue: "none: what cannot be sent fails at once",
    slow: "nothing: after a few commands each node answers from its own memory and PostgreSQL",
    gone: "nothing, at once; what changed meanwhile is never answered as it was",
  },
  {
    id: "redis_limits",
    dependency: "Redis, counted requests",
    usedFor:
      "rate limits of all nodes; only where `BRANDOS_REDIS_URLS` is set, else PostgreSQL counts",
    timeout: `${ms(limiterDefaults.waitMs)} a question`,
    retry: `none; a store that is away is asked again after ${ms(limiterDefaults.pauseMs)}`,
    breaker: redisBreaker,
    queue: "none: tokens are taken ahead in blocks, most requests ask nobody",
    slow:
      "nothing, unless a limit is used up: each node counts by itself, up to the limit; payments and other " +
      `strict routes up to a ${share(strictShare)} of it`,
    gone: "the same, at once; counted by all again with the first good answer",
  },
  {
    id: "bank",
    dependency: "the payment provider",
    usedFor: "charges, captures, refunds; how a payment stands",
    timeout:
      `${ms(outgoingDefaults.timeoutMs)} a call, ${ms(outgoingDefaults.connectTimeoutMs)} to connect, or ` +
      "what the caller's deadline leaves",
    retry:
      `by the saga, durably: ${chargeRetry.attemptsMax} attempts, ${ms(chargeRetry.baseMs)} doubling to ` +
      `${ms(chargeRetry.maxMs)}; then it is taken back, ${undoDefaults.attemptsMax} attempts up to ` +
      `${ms(undoDefaults.maxMs)} apart; ` +
      `by jobs. Questions are hedged: asked twice when slower than ${bankHedge.after}, ` +
      `${ms(bankHedge.afterMinMs)} at least, for a tenth of them`,
    breaker:
      `per address: ${outgoingDefaults.breakerThreshold} failures in a row (no connection, no answer, 5xx); ` +
      `${ms(outgoingDefaults.breakerOpenMs)}, doubling to ${ms(outgoingDefaults.breakerOpenMaxMs)}`,
    queue: `${outgoingDefaults.concurrencyMax} calls, ${outgoingDefaults.queueMax} wait`,
    slow:
      `202 and \`pending\` after ${ms(settleWaitMs)}, or 503 \`server.deadline\` when the caller's time is ` +
      "up; the same request again says how it ended. Charged once",
    gone:
      "the same; when it stays away for all attempts the order is cancelled, 402 " +
      "`checkout.payment_declined` with `payment_unresolved`, and what was taken is given back. After " +
      "minutes without the provider such an order waits for an operator: `GET /v1/sagas?status=stuck`",
  },
] as const satisfies readonly DependencyRow[];

/** Names of the rows: a test of each is demanded by its type. */
export type DependencyId = (typeof resilienceMatrix)[number]["id"];

/** The resiliency matrix: docs/reference/resilience.md is this text. */
export function resilienceReference(rows: readonly DependencyRow[] = resilienceMatrix): string {
  const sections = rows.flatMap((row) => [
    `## ${row.dependency}`,
    "",
    `For ${row.usedFor}.`,
    "",
    "| | |",
    "|---|---|",
    `| timeout | ${row.timeout} |`,
    `| retry | ${row.retry} |`,
    `| breaker | ${row.breaker} |`,
    `| bulkhead, queue | ${row.queue} |`,
    `| **slow or silent** | ${row.slow} |`,
    `| **gone** | ${row.gone} |`,
    "",
  ]);
  return [...preface, ...sections].join("\n");
}

const preface = [
  "# Resilience",
  "",
  "What BrandOS calls outside its own process, how each call is bounded, and what a user sees when the other side is",
  "slow or gone. Every row is executed: `test/proof/resilience.e2e.test.ts` starts a node, breaks that " +
    "dependency and",
  "looks. The figures are the defaults in the code; `node tools/write-references.ts` writes this file, a " +
    "test compares it.",
  "The ideas: [resilience](../concepts/resilience.md).",
  "",
  `A request has ${ms(defaultHttpLimits.handlerTimeoutMs)}, or what the caller says: \`BrandOS-Timeout-Ms: ` +
    "800`. When that is over it is answered",
  "with 503 `server.deadline`, and its work is told to stop. Retries are made in one layer only.",
  "",
];

function ms(value: number): string {
  return value >= 1_000 && value % 500 === 0 ? `${value / 1_000} s` : `${value} ms`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function share(part: number): string {
  return part === 0.1 ? "tenth" : `${part * 100} %`;
}
