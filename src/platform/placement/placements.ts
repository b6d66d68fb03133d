import { present } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { DatabaseUrls, Placement, Tx } from "../db/db.ts";
import type { MigrationTarget } from "../db/migrate.ts";
import { roleUrls } from "../db/roles.ts";
import { type Statement, sql } from "../db/sql.ts";
import type { DependencyFigures } from "../resilience/resilience.ts";
import { createDirectoryReader, type DirectoryReader } from "./directory.ts";
import type { DirectoryEntry, IsolationStyle, PlacementState } from "./entry.ts";

export type { DirectoryEntry, IsolationStyle, PlacementState } from "./entry.ts";

/** Where the databases are; a URL is an owner's unless its name says otherwise. */
export interface PlacementsConfig {
  /** Owner URL of the home database, which holds the directory. */
  readonly homeUrl: string;
  /** Application role in the home database; derived from the owner's when absent. */
  readonly homeAppUrl?: string;
  /** Platform role in the home database; derived from the owner's when absent. */
  readonly homePlatformUrl?: string;
  /** Other clusters: owner URL by name. */
  readonly clusters?: Readonly<Record<string, string>>;
  /** How long an entry is believed without asking again, milliseconds; default 5,000. */
  readonly cacheTtlMs?: number;
  /** Entries kept at most; default 10,000. */
  readonly cacheMax?: number;
}

/** The directory of tenants, databases and schemas. */
export interface Placements {
  /** Addresses of a database by its name. @throws PlacementError when unknown */
  urlsOf(database: string): DatabaseUrls;
  /** Owner URL of a database, for migrations and for making schemas. @throws PlacementError */
  ownerUrlOf(database: string): string;
  /** Where a tenant lives; cached. @throws PlacementError when unknown or not being served */
  placementOf(tenantId: TenantId): Promise<Placement>;
  /** The directory's row, past the cache. */
  find(tenantId: TenantId): Promise<DirectoryEntry | undefined>;
  /** Forgets what is cached of a tenant, or of all: call it when a placement has changed. */
  poke(tenantId?: TenantId): void;
  /** Names of the databases tenants may live in, `home` first. */
  databases(): Promise<readonly string[]>;
  /** What to migrate at start: every database with its tenant schemas, `home` first. */
  targets(): Promise<readonly MigrationPlace[]>;
  /**
   * Reads the control schema as the platform role, outside any transaction: for look-ups that are
   * cached. @throws DbError
   */
  read<Row>(statement: Statement): Promise<Row[]>;
  /** What happened to questions to the directory. */
  figures(): DependencyFigures;
  /** Ends the directory's connections. */
  stop(): Promise<void>;
}

/** A database and its schemas, as `migrate` wants them. */
export type MigrationPlace = Pick<MigrationTarget, "ownerUrl" | "home" | "schemas"> & {
  readonly database: string;
};

/** A tenant or a database is not in the directory, or must not be used now. */
export class PlacementError extends Error {
  override readonly name = "PlacementError";
  readonly code: "ERR_PLACEMENT_UNKNOWN" | "ERR_PLACEMENT_NOT_SERVED" | "ERR_DATABASE_UNKNOWN";
  readonly retryable = false;

  constructor(code: PlacementError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The database that holds the directory. */
export const homeDatabase = "home";

/** Opens the directory; connections are made on first use. */
export function createPlacements(config: PlacementsConfig): Placements {
  const owners = new Map<string, string>(Object.entries(config.clusters ?? {}));
  owners.set(homeDatabase, config.homeUrl);
  const derived = new Map<string, DatabaseUrls>();

  const ownerUrlOf = (database: string): string => {
    const [cluster = "", besides] = database.split("/");
    const url = owners.get(cluster);
    if (url === undefined) {
      const message = `database "${database}" is not configured: name it in BRANDOS_DATABASES`;
      throw new PlacementError("ERR_DATABASE_UNKNOWN", message);
    }
    return besides === undefined ? url : withDatabase(url, besides);
  };
  const urlsOf = (database: string): DatabaseUrls => {
    const known = derived.get(database);
    if (known) return known;
    const urls = workingUrls(config, database, ownerUrlOf(database));
    derived.set(database, urls);
    return urls;
  };
  const directory = createDirectoryReader({
    url: () => urlsOf(homeDatabase).platform,
    ttlMs: config.cacheTtlMs ?? 5_000,
    entriesMax: config.cacheMax ?? 10_000,
  });

  return {
    urlsOf,
    ownerUrlOf,
    placementOf: async (tenantId) => served(tenantId, await directory.entryOf(tenantId)),
    find: (tenantId) => directory.read(tenantId),
    poke: (tenantId) => directory.forget(tenantId),
    databases: async () => (await directory.databases()).toSorted(homeFirst),
    targets: () => migrationPlaces(directory, ownerUrlOf),
    read: (statement) => directory.query(statement),
    figures: () => directory.figures(),
    stop: () => directory.stop(),
  };
}

function served(tenantId: TenantId, entry: DirectoryEntry | undefined): Placement {
  if (!entry) {
    throw new PlacementError("ERR_PLACEMENT_UNKNOWN", `tenant ${tenantId} is in no directory`);
  }
  if (entry.state !== "active") {
    const message = `tenant ${tenantId} is ${entry.state} and not being served`;
    throw new PlacementError("ERR_PLACEMENT_NOT_SERVED", message);
  }
  return entry;
}

function workingUrls(config: PlacementsConfig, database: string, ownerUrl: string): DatabaseUrls {
  const [cluster, besides] = database.split("/");
  const derived = roleUrls(ownerUrl);
  if (cluster !== homeDatabase) return derived;
  const place = (url: string) => (besides === undefined ? url : withDatabase(url, besides));
  return {
    app: config.homeAppUrl ? place(config.homeAppUrl) : derived.app,
    platform: config.homePlatformUrl ? place(config.homePlatformUrl) : derived.platform,
  };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

function homeFirst(a: string, b: string): number {
  if (a === b) return 0;
  if (a === homeDatabase) return -1;
  return b === homeDatabase || a > b ? 1 : -1;
}

async function migrationPlaces(
  directory: DirectoryReader,
  ownerUrlOf: (database: string) => string,
): Promise<readonly MigrationPlace[]> {
  const schemasOf = await directory.schemas();
  const names = [...schemasOf.keys()].toSorted(homeFirst);
  return names.map((database) => ({
    database,
    ownerUrl: ownerUrlOf(database),
    home: database === homeDatabase,
    schemas: present(schemasOf.get(database), `schemas of ${database}`),
  }));
}

/** A tenant's place, to be written to the directory. */
export interface NewPlacement extends Placement {
  readonly tenantId: TenantId;
  readonly style: IsolationStyle;
  readonly state: PlacementState;
}

/** Adds a placement within a transaction of the platform role in the home database. */
export function assignPlacement(tx: Tx, placement: NewPlacement): void {
  tx.write(sql("placement.add_database")`
    insert into databases (name) values (${placement.database}) on conflict do nothing`);
  tx.write(sql("placement.assign")`
    insert into placements (tenant_id, style, database, schema, state)
    values (${placement.tenantId}, ${placement.style}, ${placement.database},
            ${placement.schema}, ${placement.state})`);
}

/** Changes whether a tenant is served; poke the placements afterwards. */
export function setPlacementState(tx: Tx, tenantId: TenantId, state: PlacementState): void {
  tx.write(sql("placement.set_state")`
    update placements set state = ${state} where tenant_id = ${tenantId}`);
}

/** Takes a tenant off the directory, and its silo database with it. */
export function removePlacement(tx: Tx, tenantId: TenantId): void {
  tx.write(sql("placement.remove")`
    with gone as (delete from placements where tenant_id = ${tenantId} returning database, style)
    delete from databases d using gone
    where gone.style = 'silo' and d.name = gone.database`);
}
