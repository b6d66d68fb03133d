/**
 * The dependency rules of the code base, as data. `tidy` enforces them; ARCHITECTURE.md prints
 * them.
 * Read a rule as "a file in this place may import from these places, and from its own".
 */
export const layers: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  platform: ["kernel"],
  modules: ["kernel", "platform"],
  processes: ["kernel", "platform", "modules"],
  /** Files directly in `src`: the composition root and what belongs to it. */
  app: ["kernel", "platform", "modules", "processes", "demo", "simulator"],
  demo: ["kernel", "platform", "modules", "processes", "app", "simulator"],
  simulator: ["kernel", "platform"],
  testing: ["kernel", "platform", "modules", "processes", "app", "demo", "simulator"],
  cli: ["kernel", "platform", "modules", "processes", "app", "demo", "simulator", "testing"],
};

/** Which modules each module may know, by their `contract.ts` only. Acyclic. */
export const moduleDeps: Readonly<Record<string, readonly string[]>> = {
  tenants: [],
  ledger: [],
  catalog: [],
  customers: [],
  inventory: ["catalog"],
  promotions: ["catalog"],
  shipping: [],
  tax: [],
  carts: ["catalog", "promotions", "shipping", "tax", "customers"],
  payments: [],
  orders: ["catalog"],
  receipts: ["orders"],
};

/**
 * Inside a module: presentation -> business -> data access -> infrastructure. The role of a file is
 * the first or last word of its name: `store-lines.ts` is a store, `key-routes.ts` routes. A file
 * with another name is a command if it loads or saves anything, and else pure business (`domain`).
 */
export const moduleFiles: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  domain: ["contract"],
  store: ["contract", "domain"],
  queries: ["contract", "domain", "store"],
  commands: ["contract", "domain", "store", "queries"],
  jobs: ["contract", "domain", "store", "queries", "commands"],
  routes: ["contract", "domain", "queries", "commands"],
  index: ["contract", "domain", "store", "queries", "commands", "jobs", "routes"],
};

/**
 * Who owns a table is who creates it: the folder of the migration. Only the owner writes to it.
 * Modules and processes read a module's table through a view named `…_view`; these look at
 * everything.
 */
export const readersOfEverything: readonly string[] = ["cli", "testing", "demo"];

/** Places that may speak to the driver without a named statement, each with its reason. */
export const rawQueryPlaces: readonly string[] = [
  "platform/db", // is what makes named statements
  "platform/embedded", // a server before there are any tables
  "platform/wakeup", // LISTEN and NOTIFY take no parameters
  "platform/placement", // creates databases and schemas
  "modules/tenants/erase.ts", // visits every table there is, by the catalog
  "modules/tenants/export.ts", // the same
  "platform/http/health.ts", // "select 1" on a connection of its own
  "home-database.ts", // makes the owner and the database
  "processes/housekeeping", // makes partitions as the owner
  "testing",
];

/**
 * Longest a file and a line may be. Biome wraps code at 100 columns; comments, strings and SQL, which
 * it leaves alone, get some slack.
 */
export const limits = { fileLines: 500, lineColumns: 120 } as const;

/** Folders of TypeScript that the rules about text hold for. */
export const tidyFolders: readonly string[] = ["src", "tools", "bench", "examples", "sdk/src"];
