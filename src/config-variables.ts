/** What a process may do. */
export type Role = "api" | "worker" | "realtime" | "edge" | "gateway";

/** Roles in the order they start. */
export const allRoles: readonly Role[] = ["api", "worker", "realtime", "edge", "gateway"];

/** What came of reading one variable. */
export type Reading<Value> = { readonly value: Value } | { readonly mistake: string };

/** One variable of the environment. */
export interface Variable<Value> {
  /** What it is for, for the reference. */
  readonly about: string;
  /** Value when it is absent. */
  readonly fallback: Value;
  /** How the fallback is told in the reference. */
  readonly fallbackText: string;
  readonly read: (text: string) => Reading<Value>;
}

const secretCharsMin = 32;

/** Every variable the process reads, in the order of the reference. */
export const variables = {
  NODE_ENV: choice(
    ["development", "production", "test"],
    "development",
    "Development adds `Server-Timing` and warns of statements that repeat within a request.",
  ),
  HOST: text("127.0.0.1", "Address to listen on; `0.0.0.0` for all."),
  PORT: whole({ min: 0, max: 65_535, fallback: 4_000 }, "Port to listen on; 0 takes a free one."),
  BRANDOS_HOME: text(".brandos", "Folder for the embedded database and for generated keys."),
  BRANDOS_ROLES: list(allRoles, allRoles, "What this process does, separated by commas."),
  BRANDOS_NODES: whole(
    { min: 1, max: 32, fallback: 1 },
    "Processes that share the port, for trying; on several machines start one each.",
  ),
  BRANDOS_DEMO: yesNo(
    true,
    "Whether a start makes the demo brands and the simulated bank; never in production.",
  ),
  DATABASE_URL: databaseUrl(
    "Owner of the home database, PostgreSQL 15 or later. Absent: the embedded one.",
  ),
  DATABASE_APP_URL: databaseUrl(
    "Application role in it, NOSUPERUSER NOBYPASSRLS. Absent: made by the owner.",
  ),
  DATABASE_PLATFORM_URL: databaseUrl("Platform role in it. Absent: made by the owner."),
  BRANDOS_DATABASES: urlsByName(
    'Further clusters for tenants: JSON, `{"eu1": "postgres://owner…"}`.',
  ),
  BRANDOS_PREPARE: yesNo(
    true,
    "`false` behind a transaction pooler that cannot keep prepared statements.",
  ),
  BRANDOS_REDIS_URLS: redisUrls(
    "Redis or Valkey for what nodes share: cached answers and counted requests. Several addresses, " +
      "separated by commas, are independent servers that share the keys. Absent: PostgreSQL does it.",
  ),
  BRANDOS_REDIS_CLUSTER: yesNo(false, "Whether the addresses are servers of one Redis Cluster."),
  BRANDOS_POOL_MAX: whole(
    { min: 1, max: 500, fallback: 10 },
    "Connections per database and role at most.",
  ),
  BRANDOS_POOL_MIN: whole({ min: 0, max: 500, fallback: 1 }, "Connections kept open when idle."),
  BRANDOS_POOL_ACQUIRE_TIMEOUT_MS: whole(
    { min: 10, max: 60_000, fallback: 2_000 },
    "Longest wait for a connection; then 503.",
  ),
  BRANDOS_POOL_IDLE_TIMEOUT_MS: whole(
    { min: 1_000, max: 3_600_000, fallback: 30_000 },
    "Close a connection nobody used for so long.",
  ),
  BRANDOS_POOL_LIFETIME_SECONDS: whole(
    { min: 10, max: 86_400, fallback: 1_800 },
    "Replace a connection after so long.",
  ),
  BRANDOS_BODY_BYTES_MAX: whole(
    { min: 1_024, max: 104_857_600, fallback: 1_048_576 },
    "Largest request body where a route does not say otherwise.",
  ),
  BRANDOS_REQUEST_TIMEOUT_MS: whole(
    { min: 1_000, max: 3_600_000, fallback: 60_000 },
    "Longest a client may take to send a request.",
  ),
  BRANDOS_HANDLER_TIMEOUT_MS: whole(
    { min: 100, max: 3_600_000, fallback: 30_000 },
    "Longest an answer may take; then 503.",
  ),
  BRANDOS_IN_FLIGHT_MAX: whole(
    { min: 1, max: 100_000, fallback: 1_000 },
    "Requests being answered at once; the next one gets 503.",
  ),
  BRANDOS_LOOP_DELAY_MAX_MS: whole(
    { min: 0, max: 60_000, fallback: 250 },
    "Mean delay of the event loop that sheds load; 0 never.",
  ),
  BRANDOS_RATE_PER_MINUTE: whole(
    { min: 0, max: 1_000_000_000, fallback: 1_200_000 },
    "Requests a minute per credential, over all nodes; 0 for no limit.",
  ),
  BRANDOS_ANONYMOUS_RATE_PER_MINUTE: whole(
    { min: 0, max: 1_000_000_000, fallback: 6_000 },
    "Requests a minute per address without a valid credential, over all nodes; 0 for no limit.",
  ),
  BRANDOS_TENANT_RATE_PER_MINUTE: whole(
    { min: 0, max: 1_000_000_000, fallback: 2_400_000 },
    "Requests a minute per brand, over all nodes; 0 for no limit.",
  ),
  BRANDOS_SHOPPER_RATE_PER_MINUTE: whole(
    { min: 0, max: 1_000_000_000, fallback: 120_000 },
    "Requests a minute per brand and address where shoppers pay, over all nodes; 0 for no limit.",
  ),
  BRANDOS_RATE_STORE_WAIT_MS: whole(
    { min: 10, max: 5_000, fallback: 100 },
    "Longest a request waits for where limits are counted; then its node counts alone for a while.",
  ),
  BRANDOS_EXPORTS_MAX: whole(
    { min: 0, max: 1_000, fallback: 4 },
    "Exports that stream at once per brand, over all nodes; 0 for no limit.",
  ),
  BRANDOS_STREAMS_MAX: whole({ min: 0, max: 100_000, fallback: 500 }, "Live streams open at once."),
  BRANDOS_CORS_ORIGINS: origins(
    "Origins browsers may call from, separated by commas; `*` for any.",
  ),
  BRANDOS_TRUSTED_PROXIES: cidrs("CIDR ranges of proxies whose X-Forwarded-For is believed."),
  BRANDOS_OPERATOR_KEY: secret("Key of the operator."),
  BRANDOS_SECRET: secret("Signs cursors; the same on every node."),
  BRANDOS_LOG_LEVEL: choice(
    ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    "info",
    "Least severe lines that are written. Requests are not logged one by one.",
  ),
  BRANDOS_SLOW_STATEMENT_MS: whole(
    { min: 0, max: 600_000, fallback: 1_000 },
    "Log statements that take longer, with their plan; 0 logs none.",
  ),
  BRANDOS_SHUTDOWN_NOTICE_MS: whole(
    { min: 0, max: 120_000, fallback: 0 },
    "Keep serving for so long after readiness says no, so that balancers notice.",
  ),
  BRANDOS_SHUTDOWN_GRACE_MS: whole(
    { min: 0, max: 120_000, fallback: 4_000 },
    "Cut off whoever is not done after so long.",
  ),
};

function text(fallback: string, about: string): Variable<string> {
  return { about, fallback, fallbackText: `\`${fallback}\``, read: (value) => ({ value }) };
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}

function whole({ min, max, fallback }: Range, about: string): Variable<number> {
  return {
    about: `${about} ${min} to ${max}.`,
    fallback,
    fallbackText: String(fallback),
    read(value) {
      const number = Number(value);
      const fits = /^\d{1,15}$/.test(value) && number >= min && number <= max;
      return fits ? { value: number } : { mistake: `is not a whole number from ${min} to ${max}` };
    },
  };
}

function yesNo(fallback: boolean, about: string): Variable<boolean> {
  return {
    about,
    fallback,
    fallbackText: String(fallback),
    read(value) {
      if (value !== "true" && value !== "false") return { mistake: "is neither true nor false" };
      return { value: value === "true" };
    },
  };
}

function choice<const Choice extends string>(
  choices: readonly Choice[],
  fallback: Choice,
  about: string,
): Variable<Choice> {
  return {
    about: `One of ${choices.map((name) => `\`${name}\``).join(", ")}. ${about}`,
    fallback,
    fallbackText: `\`${fallback}\``,
    read(value) {
      const found = choices.find((name) => name === value);
      return found ? { value: found } : { mistake: `is not one of ${choices.join(", ")}` };
    },
  };
}

function list<const Item extends string>(
  items: readonly Item[],
  fallback: readonly Item[],
  about: string,
): Variable<readonly Item[]> {
  return {
    about: `${about} Of ${items.map((name) => `\`${name}\``).join(", ")}.`,
    fallback,
    fallbackText: fallback.length === items.length ? "all" : fallback.join(","),
    read(value) {
      const names = value.split(",").map((name) => name.trim());
      const unknown = names.find((name) => !items.includes(name as Item));
      if (unknown !== undefined)
        return { mistake: `"${unknown}" is not one of ${items.join(", ")}` };
      return { value: items.filter((item) => names.includes(item)) };
    },
  };
}

/** Never repeats the value: a URL has a password in it. */
function databaseUrl(about: string): Variable<string | undefined> {
  return {
    about,
    fallback: undefined,
    fallbackText: "none",
    read: (value) =>
      isPostgresUrl(value)
        ? { value }
        : { mistake: "is not a URL of the form postgres://user:password@host:port/database" },
  };
}

function isPostgresUrl(value: unknown): boolean {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, pathname, username } = new URL(value);
  return /^postgres(ql)?:$/.test(protocol) && pathname.length > 1 && username !== "";
}

function redisUrls(about: string): Variable<readonly string[]> {
  return {
    about,
    fallback: [],
    fallbackText: "none",
    read(value) {
      const urls = value.split(",").map((url) => url.trim());
      if (urls.every(isRedisUrl) && new Set(urls).size === urls.length) return { value: urls };
      return {
        mistake: "is not a list of URLs of the form redis://user:password@host:port, each once",
      };
    },
  };
}

function isRedisUrl(value: string): boolean {
  return (
    URL.canParse(value) &&
    /^rediss?:$/.test(new URL(value).protocol) &&
    new URL(value).hostname !== ""
  );
}

function urlsByName(about: string): Variable<Readonly<Record<string, string>>> {
  return {
    about,
    fallback: {},
    fallbackText: "none",
    read(value) {
      const parsed = parseObject(value);
      if (!parsed) return { mistake: "is not a JSON object of owner URLs by name" };
      const wrong = Object.entries(parsed).find(
        ([name, url]) => !/^[a-z][a-z0-9_]{0,62}$/.test(name) || !isPostgresUrl(url),
      );
      if (wrong) return { mistake: `"${wrong[0]}" has a bad name or is not a postgres:// URL` };
      return { value: parsed as Record<string, string> };
    },
  };
}

function parseObject(value: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function origins(about: string): Variable<"*" | readonly string[]> {
  return {
    about,
    fallback: "*",
    fallbackText: "`*`",
    read(value) {
      if (value === "*") return { value };
      const found = value.split(",").map((origin) => origin.trim());
      const wrong = found.find(
        (origin) => !URL.canParse(origin) || new URL(origin).origin !== origin,
      );
      if (wrong !== undefined)
        return { mistake: `"${wrong}" is not an origin like https://shop.example` };
      return { value: found };
    },
  };
}

function cidrs(about: string): Variable<readonly string[]> {
  return {
    about,
    fallback: [],
    fallbackText: "none",
    read(value) {
      const found = value.split(",").map((range) => range.trim());
      const wrong = found.find((range) => !/^[0-9a-fA-F:.]+(\/\d{1,3})?$/.test(range));
      return wrong === undefined
        ? { value: found }
        : { mistake: `"${wrong}" is not an address range` };
    },
  };
}

function secret(about: string): Variable<string | undefined> {
  return {
    about: `${about} At least ${secretCharsMin} characters.`,
    fallback: undefined,
    fallbackText: "made once, kept in `BRANDOS_HOME`",
    read: (value) =>
      value.length >= secretCharsMin && !/\s/.test(value)
        ? { value }
        : { mistake: `has fewer than ${secretCharsMin} characters, or spaces` },
  };
}

/** The reference of all variables: docs/reference/config.md is this text. */
export function configReference(): string {
  const rows = Object.entries<Variable<unknown>>(variables).map(
    ([name, { about, fallbackText }]) => `| \`${name}\` | ${fallbackText} | ${about} |`,
  );
  return [
    "# Configuration",
    "",
    "The process reads its configuration from the environment, once, and reports every mistake at once.",
    "Empty variables count as absent. A `BRANDOS_` variable that is not listed here is a mistake.",
    "",
    "| Variable | Default | Meaning |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
