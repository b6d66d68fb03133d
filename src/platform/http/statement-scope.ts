import { AsyncLocalStorage } from "node:async_hooks";
import type { StatementReport } from "../db/db.ts";

/** What the statements of one request came to. */
export interface StatementTally {
  /** Statements sent. A coalesced batch counts for the request that set it off. */
  statements: number;
  /** Sum of their times, milliseconds; pipelined statements overlap. */
  elapsedMs: number;
  /** How often each statement was sent, by name. */
  readonly byName: Map<string, number>;
}

/** Counts statements per request. */
export interface StatementScope {
  /** Give it to `createDb` as `onStatement`, alone or with other observers. */
  readonly onStatement: (report: StatementReport) => void;
  /** Runs `work` with a tally of its own. */
  run<Value>(tally: StatementTally, work: () => Value): Value;
}

/** Makes a scope; costs about a microsecond a request and a tenth of one a statement. */
export function createStatementScope(): StatementScope {
  const storage = new AsyncLocalStorage<StatementTally>();
  return {
    onStatement(report) {
      const tally = storage.getStore();
      if (!tally) return;
      tally.statements++;
      tally.elapsedMs += report.elapsedMs;
      tally.byName.set(report.name, (tally.byName.get(report.name) ?? 0) + 1);
    },
    run: (tally, work) => storage.run(tally, work),
  };
}

/** An empty tally. */
export function newTally(): StatementTally {
  return { statements: 0, elapsedMs: 0, byName: new Map() };
}

/** A statement sent so often in one request that a set-based one is missing. */
export const repeatedStatementMax = 10;

/** The statements that look like N+1, with their counts. Settings of transactions do not count. */
export function repeatedStatements(tally: StatementTally): readonly (readonly [string, number])[] {
  return [...tally.byName].filter(
    ([name, count]) => count > repeatedStatementMax && !name.startsWith("db."),
  );
}
