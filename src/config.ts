import path from "node:path";
import { type Reading, type Role, type Variable, variables } from "./config-variables.ts";
import type { PoolLimits } from "./platform/db/pool.ts";
import type { HttpLimits } from "./platform/http/limits.ts";

export { allRoles, type Role } from "./config-variables.ts";

/** The configuration of a process; never changes while it runs. */
export interface Config {
  readonly environment: "development" | "production" | "test";
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Absolute path of the folder for data and generated keys. */
  readonly home: string;
  readonly roles: readonly Role[];
  /** Processes that share the port. */
  readonly nodes: number;
  /** Whether to make the demo brands and the simulated bank. */
  readonly demo: boolean;
  readonly database: DatabaseConfig;
  /** Absent: what nodes share is kept in PostgreSQL. */
  readonly redis?: RedisAddresses;
  readonly pool: Partial<PoolLimits>;
  readonly http: Partial<HttpLimits>;
  /** Longest a request waits for the store of limits, milliseconds. */
  readonly limitWaitMs: number;
  readonly corsOrigins: "*" | readonly string[];
  /** CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Absent: made once and kept in `home`. At least 32 characters. */
  readonly operatorKey?: string;
  /** Absent: made once and kept in `home`. Signs cursors. At least 32 characters. */
  readonly secret?: string;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** Statements that take longer are logged with their plan, milliseconds; 0 logs none. */
  readonly slowStatementMs: number;
  readonly shutdown: {
    /** Keep serving for so long after readiness says no, milliseconds. */
    readonly noticeMs: number;
    /** Cut off whoever is not done after so long, milliseconds. */
    readonly graceMs: number;
  };
}

/** Where Redis or Valkey is. */
export interface RedisAddresses {
  readonly urls: readonly string[];
  /** Whether they are servers of one cluster; else they are independent. */
  readonly isCluster: boolean;
}

/** Where the databases are. */
export interface DatabaseConfig {
  /** Owner URL of the home database; absent: the embedded PostgreSQL in `home`. */
  readonly url?: string;
  /** Application role in the home database; derived from the owner's when absent. */
  readonly appUrl?: string;
  /** Platform role in the home database; derived from the owner's when absent. */
  readonly platformUrl?: string;
  /** Owner URLs of further clusters by name. */
  readonly clusters: Readonly<Record<string, string>>;
  /** False behind a transaction pooler that cannot keep prepared statements. */
  readonly prepare: boolean;
}

/** Everything that is wrong with the environment, told at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "ERR_CONFIG";
  /** One line per mistake: the variable, what is wrong, never its value. */
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`the configuration is not usable:\n${mistakes.map((line) => `  ${line}`).join("\n")}`);
    this.mistakes = mistakes;
  }
}

/**
 * Reads the configuration from the environment.
 *
 * @param env variables by name; empty texts count as absent
 * @throws ConfigError that lists every mistake
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const mistakes: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries<Variable<unknown>>(variables)) {
    const text = env[name]?.trim();
    const reading = readVariable(variable, text === "" ? undefined : text);
    if ("mistake" in reading) mistakes.push(`${name}: ${reading.mistake}`);
    else values[name] = reading.value;
  }
  mistakes.push(...unknownNames(env));
  const read = values as Values;
  if (mistakes.length === 0) mistakes.push(...contradictions(read));
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return deepFreeze(assemble(read));
}

function readVariable(variable: Variable<unknown>, text: string | undefined): Reading<unknown> {
  return text === undefined ? { value: variable.fallback } : variable.read(text);
}

type Values = {
  readonly [Name in keyof typeof variables]: (typeof variables)[Name] extends Variable<infer Value>
    ? Value
    : never;
};

/** A misspelt variable would be silence otherwise. Test and benchmark variables are their own. */
function unknownNames(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith("BRANDOS_") && !(name in variables))
    .filter((name) => !/^BRANDOS_(TEST|BENCH|CANARY|CHROMIUM|REAL_DATA|NODE_HANDOVER)/.test(name))
    .map((name) => `${name}: there is no such variable; see docs/reference/config.md`);
}

function contradictions(values: Values): string[] {
  const found: string[] = [];
  const { DATABASE_URL, DATABASE_APP_URL, DATABASE_PLATFORM_URL } = values;
  if (!DATABASE_URL && (DATABASE_APP_URL || DATABASE_PLATFORM_URL)) {
    found.push("DATABASE_APP_URL, DATABASE_PLATFORM_URL: need DATABASE_URL beside them");
  }
  if (values.BRANDOS_POOL_MIN > values.BRANDOS_POOL_MAX) {
    found.push("BRANDOS_POOL_MIN: is more than BRANDOS_POOL_MAX");
  }
  if (values.BRANDOS_REDIS_CLUSTER && values.BRANDOS_REDIS_URLS.length === 0) {
    found.push("BRANDOS_REDIS_CLUSTER: needs BRANDOS_REDIS_URLS beside it");
  }
  if ("home" in values.BRANDOS_DATABASES) {
    found.push("BRANDOS_DATABASES: home is the name of DATABASE_URL's database");
  }
  return found;
}

function assemble(values: Values): Config {
  return {
    environment: values.NODE_ENV,
    host: values.HOST,
    port: values.PORT,
    home: path.resolve(values.BRANDOS_HOME),
    roles: values.BRANDOS_ROLES,
    nodes: values.BRANDOS_NODES,
    demo: values.BRANDOS_DEMO && values.NODE_ENV !== "production",
    database: {
      ...present("url", values.DATABASE_URL),
      ...present("appUrl", values.DATABASE_APP_URL),
      ...present("platformUrl", values.DATABASE_PLATFORM_URL),
      clusters: values.BRANDOS_DATABASES,
      prepare: values.BRANDOS_PREPARE,
    },
    ...redisOf(values),
    pool: {
      max: values.BRANDOS_POOL_MAX,
      min: values.BRANDOS_POOL_MIN,
      acquireTimeoutMs: values.BRANDOS_POOL_ACQUIRE_TIMEOUT_MS,
      idleTimeoutMs: values.BRANDOS_POOL_IDLE_TIMEOUT_MS,
      maxLifetimeSeconds: values.BRANDOS_POOL_LIFETIME_SECONDS,
    },
    http: {
      bodyBytesMax: values.BRANDOS_BODY_BYTES_MAX,
      requestTimeoutMs: values.BRANDOS_REQUEST_TIMEOUT_MS,
      handlerTimeoutMs: values.BRANDOS_HANDLER_TIMEOUT_MS,
      inFlightMax: values.BRANDOS_IN_FLIGHT_MAX,
      loopDelayMaxMs: values.BRANDOS_LOOP_DELAY_MAX_MS,
      ratePerMinute: values.BRANDOS_RATE_PER_MINUTE,
      anonymousRatePerMinute: values.BRANDOS_ANONYMOUS_RATE_PER_MINUTE,
      tenantRatePerMinute: values.BRANDOS_TENANT_RATE_PER_MINUTE,
      shopperRatePerMinute: values.BRANDOS_SHOPPER_RATE_PER_MINUTE,
      exportsMax: values.BRANDOS_EXPORTS_MAX,
      streamsMax: values.BRANDOS_STREAMS_MAX,
    },
    limitWaitMs: values.BRANDOS_RATE_STORE_WAIT_MS,
    corsOrigins: values.BRANDOS_CORS_ORIGINS,
    trustedProxies: values.BRANDOS_TRUSTED_PROXIES,
    ...present("operatorKey", values.BRANDOS_OPERATOR_KEY),
    ...present("secret", values.BRANDOS_SECRET),
    logLevel: values.BRANDOS_LOG_LEVEL,
    slowStatementMs: values.BRANDOS_SLOW_STATEMENT_MS,
    shutdown: {
      noticeMs: values.BRANDOS_SHUTDOWN_NOTICE_MS,
      graceMs: values.BRANDOS_SHUTDOWN_GRACE_MS,
    },
  };
}

function redisOf(values: Values): { readonly redis?: RedisAddresses } {
  const { BRANDOS_REDIS_URLS: urls, BRANDOS_REDIS_CLUSTER: isCluster } = values;
  return urls.length === 0 ? {} : { redis: { urls, isCluster } };
}

function present<Name extends string>(
  name: Name,
  value: string | undefined,
): { readonly [Key in Name]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: string });
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}
