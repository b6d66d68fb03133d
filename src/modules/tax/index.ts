import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { type Kept, keepByVersion } from "../../platform/versions/versions.ts";
import {
  type CommandDeps,
  createRate,
  createZone,
  deleteCategory,
  deleteRate,
  deleteZone,
  type Outcome,
  saveCategory,
  type Target,
  updateRate,
  updateZone,
} from "./commands.ts";
import type {
  NewTaxRate,
  NewTaxZone,
  TaxCategory,
  TaxQuote,
  TaxRate,
  TaxRateId,
  TaxRatePatch,
  TaxRequest,
  TaxTable,
  TaxZone,
  TaxZoneId,
  TaxZonePatch,
} from "./contract.ts";
import { quoteTax } from "./quote.ts";
import {
  findRate,
  findZone,
  listCategories,
  listRates,
  listZones,
  loadTax,
  taxVersion,
} from "./store.ts";

export type { Target } from "./commands.ts";
export { createTableTaxProvider } from "./quote.ts";
export { taxRoutes } from "./routes.ts";

/** What tax needs from outside; `app.ts` provides it. */
export interface TaxDeps {
  readonly db: Db;
}

/** What the rest of the system may ask of tax. */
export interface Tax {
  createZone(ctx: Context, command: NewTaxZone): Outcome<TaxZone>;
  updateZone(ctx: Context, target: Target<TaxZoneId>, patch: TaxZonePatch): Outcome<TaxZone>;
  deleteZone(ctx: Context, id: TaxZoneId): Outcome<void>;
  findZone(tenantId: TenantId, id: TaxZoneId): Promise<TaxZone | undefined>;
  listZones(tenantId: TenantId): Promise<readonly TaxZone[]>;
  createRate(ctx: Context, command: NewTaxRate): Outcome<TaxRate>;
  updateRate(ctx: Context, target: Target<TaxRateId>, patch: TaxRatePatch): Outcome<TaxRate>;
  deleteRate(ctx: Context, id: TaxRateId): Outcome<void>;
  findRate(tenantId: TenantId, id: TaxRateId): Promise<TaxRate | undefined>;
  /** Of one zone, or of all. */
  listRates(tenantId: TenantId, zoneId: TaxZoneId | null): Promise<readonly TaxRate[]>;
  saveCategory(ctx: Context, category: TaxCategory): Outcome<TaxCategory>;
  deleteCategory(ctx: Context, code: string): Outcome<void>;
  listCategories(tenantId: TenantId): Promise<readonly TaxCategory[]>;
  /** All that quotes need, as of the caller's transaction: from memory, or loaded in it. */
  readonly taxTable: Kept<TaxTable>;
  /** Computes the taxes of a request by a table; pure. */
  quoteTax(request: TaxRequest, table: TaxTable): TaxQuote;
}

/** Builds the module. */
export function createTax({ db }: TaxDeps): Tax {
  const deps: CommandDeps = { work: createUnitOfWork(db) };
  const name = "tax.read";
  return {
    createZone: (ctx, command) => createZone(deps, ctx, command),
    updateZone: (ctx, target, patch) => updateZone(deps, ctx, target, patch),
    deleteZone: (ctx, id) => deleteZone(deps, ctx, id),
    findZone: (tenantId, id) => db.read(tenantId, (tx) => findZone(tx, id), { name }),
    listZones: (tenantId) => db.read(tenantId, listZones, { name }),
    createRate: (ctx, command) => createRate(deps, ctx, command),
    updateRate: (ctx, target, patch) => updateRate(deps, ctx, target, patch),
    deleteRate: (ctx, id) => deleteRate(deps, ctx, id),
    findRate: (tenantId, id) => db.read(tenantId, (tx) => findRate(tx, id), { name }),
    listRates: (tenantId, zoneId) => db.read(tenantId, (tx) => listRates(tx, zoneId), { name }),
    saveCategory: (ctx, category) => saveCategory(deps, ctx, category),
    deleteCategory: (ctx, code) => deleteCategory(deps, ctx, code),
    listCategories: (tenantId) => db.read(tenantId, listCategories, { name }),
    taxTable: keepByVersion({ name: taxVersion, load: loadTax }),
    quoteTax,
  };
}
