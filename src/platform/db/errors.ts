/** Stable codes of the operational errors of the database layer. */
export type DbErrorCode =
  | "ERR_DB_UNAVAILABLE"
  | "ERR_DB_POOL_EXHAUSTED"
  | "ERR_DB_SERIALIZATION"
  | "ERR_DB_DEADLOCK"
  | "ERR_DB_LOCK_TIMEOUT"
  | "ERR_DB_STATEMENT_TIMEOUT"
  | "ERR_DB_COMMIT_UNKNOWN"
  | "ERR_DB_CONSTRAINT"
  | "ERR_DB_REFUSED";

/** The database refused or could not serve. */
export class DbError extends Error {
  override readonly name = "DbError";
  readonly code: DbErrorCode;
  /** Whether the same unit of work may be run again and could then succeed. */
  readonly retryable: boolean;
  /** PostgreSQL's SQLSTATE, when the server answered. */
  readonly sqlState: string | undefined;
  /** Name of the violated constraint, for ERR_DB_CONSTRAINT. */
  readonly constraint: string | undefined;
  /** Name of the statement that failed. */
  readonly statement: string | undefined;

  constructor(code: DbErrorCode, message: string, details: DbErrorDetails) {
    super(message, { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable;
    this.sqlState = details.sqlState;
    this.constraint = details.constraint;
    this.statement = details.statement;
  }
}

/** What is known about a {@link DbError} beside its code. */
export interface DbErrorDetails {
  readonly retryable: boolean;
  readonly cause?: unknown;
  readonly sqlState?: string | undefined;
  readonly constraint?: string | undefined;
  readonly statement?: string | undefined;
}

/** SQLSTATE to code. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const codes: Readonly<Record<string, readonly [DbErrorCode, boolean]>> = {
  "40001": ["ERR_DB_SERIALIZATION", true],
  "40P01": ["ERR_DB_DEADLOCK", true],
  "55P03": ["ERR_DB_LOCK_TIMEOUT", true],
  "57014": ["ERR_DB_STATEMENT_TIMEOUT", false],
  "25P03": ["ERR_DB_UNAVAILABLE", true],
};

/** Turns whatever the driver threw into a {@link DbError}. */
export function toDbError(error: unknown, statement?: string): DbError {
  if (error instanceof DbError) return error;
  const raw = error as { code?: unknown; message?: unknown; constraint?: unknown };
  const state = typeof raw?.code === "string" && isSqlState(raw.code) ? raw.code : undefined;
  const message = String(raw?.message ?? error);
  const details = {
    cause: error,
    sqlState: state,
    constraint: typeof raw?.constraint === "string" ? raw.constraint : undefined,
    statement,
  };
  const at = statement ? ` (in ${statement})` : "";
  if (state === undefined || isUnavailable(state)) {
    return new DbError("ERR_DB_UNAVAILABLE", message + at, { ...details, retryable: true });
  }
  if (state.startsWith("23")) {
    return new DbError("ERR_DB_CONSTRAINT", message + at, { ...details, retryable: false });
  }
  const [code, retryable] = codes[state] ?? (["ERR_DB_REFUSED", false] as const);
  return new DbError(code, message + at, { ...details, retryable });
}

/** Every SQLSTATE has a digit; an `EPIPE` of the operating system has five letters too, and none. */
function isSqlState(code: string): boolean {
  return /^(?=.*\d)[0-9A-Z]{5}$/.test(code);
}

/** Connection exceptions (08), shutdown and start-up (57P), too many connections (53300). */
function isUnavailable(state: string): boolean {
  return state.startsWith("08") || state.startsWith("57P") || state === "53300";
}

/**
 * For coalescers: whether a broken batch should be tried member by member. Yes when the data of one
 * of them is to blame; no when the database is away, busy or slow, which is nobody's input.
 */
export function splitsOnDataErrors(error: unknown): boolean {
  return !(error instanceof DbError && (error.retryable || error.code === "ERR_DB_COMMIT_UNKNOWN"));
}
