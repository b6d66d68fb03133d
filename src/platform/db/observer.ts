import pg from "pg";
import type { StatementReport } from "./transaction.ts";

/** What is known of one statement, by its name. */
export interface StatementFigures {
  readonly name: string;
  readonly count: number;
  readonly errors: number;
  readonly rows: number;
  readonly totalMs: number;
  readonly maxMs: number;
}

/** A statement that took too long. Its values are not told: they are customers' data. */
export interface SlowStatement {
  readonly name: string;
  readonly elapsedMs: number;
  readonly rowCount: number;
  /** PostgreSQL's generic plan; absent when it was told lately, or could not be had. */
  readonly plan?: string;
}

/** What to watch for, and who wants to know. */
export interface ObserverConfig {
  /** Statements that take longer are told, milliseconds; 0 tells none. */
  readonly slowMs: number;
  /** Application role of the database whose plans are asked for; absent: no plans. */
  readonly explainUrl?: string;
  /** Schemas to resolve names in; default `shared,platform`. */
  readonly searchPath?: string;
  readonly onSlow: (slow: SlowStatement) => void;
}

/** Watches all statements of a process. */
export interface StatementObserver {
  /** Give it to `createDb`, alone or among others. Costs less than a microsecond. */
  readonly onStatement: (report: StatementReport) => void;
  /** Figures since start, the most time first, at most `limit`. */
  figures(limit?: number): readonly StatementFigures[];
  /** Resolves when no plan is being asked for. */
  settled(): Promise<void>;
}

/** Names followed at most: they come from code, the cap is a backstop. */
const namesMax = 5_000;
/** A statement's plan is told at most this often, milliseconds. */
const planEveryMs = 60_000;

interface Tally {
  count: number;
  errors: number;
  rows: number;
  totalMs: number;
  maxMs: number;
}

/** Makes an observer. */
export function createStatementObserver(config: ObserverConfig): StatementObserver {
  const tallies = new Map<string, Tally>();
  const plannedAt = new Map<string, number>();
  const { explainUrl, searchPath = "shared,platform" } = config;
  let asking: Promise<void> | undefined;

  const tellSlow = (report: StatementReport): void => {
    const { name, elapsedMs, rowCount } = report;
    const due = performance.now() - (plannedAt.get(name) ?? Number.NEGATIVE_INFINITY) > planEveryMs;
    if (!explainUrl || asking || !due) {
      config.onSlow({ name, elapsedMs, rowCount });
      return;
    }
    // One at a time: a database that is slow is not asked for plans in a storm.
    plannedAt.set(name, performance.now());
    asking = explain(explainUrl, searchPath, report.text).then((plan) => {
      asking = undefined;
      config.onSlow({ name, elapsedMs, rowCount, ...(plan === undefined ? {} : { plan }) });
    });
  };

  return {
    onStatement(report) {
      let tally = tallies.get(report.name);
      if (!tally) {
        if (tallies.size >= namesMax) return;
        tally = { count: 0, errors: 0, rows: 0, totalMs: 0, maxMs: 0 };
        tallies.set(report.name, tally);
      }
      tally.count++;
      tally.rows += report.rowCount;
      tally.totalMs += report.elapsedMs;
      if (report.elapsedMs > tally.maxMs) tally.maxMs = report.elapsedMs;
      if (report.error) tally.errors++;
      if (config.slowMs > 0 && report.elapsedMs > config.slowMs) tellSlow(report);
    },
    figures: (limit = 50) =>
      [...tallies]
        .map(([name, tally]) => ({ name, ...tally }))
        .toSorted((a, b) => b.totalMs - a.totalMs)
        .slice(0, limit),
    settled: async () => asking,
  };
}

const explainTimeoutMs = 2_000;

/**
 * PostgreSQL's generic plan of a statement, asked over a connection of its own that is closed again.
 *
 * @returns undefined for what cannot be explained; a plan is never worth a failure
 */
async function explain(url: string, searchPath: string, text: string): Promise<string | undefined> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: explainTimeoutMs,
    query_timeout: explainTimeoutMs,
    application_name: "brandos/explain",
    // A generic plan is made without the values, so that no value gets into a log.
    options: `-c search_path=${searchPath} -c plan_cache_mode=force_generic_plan`,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const count = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
    const nulls = Array.from({ length: count }, () => "null").join(", ");
    await client.query(`prepare slow_statement as ${text}`);
    const values = count > 0 ? `(${nulls})` : "";
    const { rows } = await client.query(`explain execute slow_statement${values}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => {});
  }
}

/** One observer out of several. */
export function observeWith(
  ...observers: readonly ((report: StatementReport) => void)[]
): (report: StatementReport) => void {
  return (report) => {
    for (const observe of observers) observe(report);
  };
}
