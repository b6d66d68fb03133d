import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { raiseVersion } from "../../platform/versions/versions.ts";
import {
  type NewTaxRate,
  type NewTaxZone,
  type TaxCategory,
  type TaxEvents,
  type TaxFailure,
  type TaxRate,
  type TaxRateId,
  type TaxRatePatch,
  type TaxZone,
  type TaxZoneId,
  type TaxZonePatch,
  taxZonesMax,
} from "./contract.ts";
import {
  deleteCategory as deleteCategoryRow,
  deleteRate as deleteRateRow,
  deleteZone as deleteZoneRow,
  findRate,
  findZone,
  insertZone,
  isCategoryInUse,
  listRates,
  listZones,
  lockCategory,
  saveCategory as saveCategoryRow,
  saveRate,
  taxVersion,
  updateZone as updateZoneRow,
} from "./store.ts";
import { findCategoryProblem, findRateProblem, findZoneProblem } from "./tax.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly work: UnitOfWork;
}

/** What a command answers. */
export type Outcome<Value> = Promise<Result<Value, TaxFailure | IdempotencyFailure>>;

/** What is changed, and the version the change is meant for. */
export interface Target<Id> {
  readonly id: Id;
  readonly expectedVersion?: number | undefined;
}

/** Makes a zone. */
export function createZone(
  { work }: CommandDeps,
  ctx: Context,
  { id = newId<"tax_zone">(), ...rest }: NewTaxZone,
): Outcome<TaxZone> {
  const zone: TaxZone = { ...rest, id, version: 1 };
  const problem = findZoneProblem(zone);
  if (problem) return Promise.resolve(fail(problem));
  return work.transact<TaxZone, TaxFailure>(
    ctx,
    async (tx) => {
      const [zones, isNew] = await Promise.all([listZones(tx), insertZone(tx, zone)]);
      if (!isNew) return fail({ code: "tax.id_taken", id });
      if (zones.length >= taxZonesMax) {
        const reason = `a tenant has at most ${taxZonesMax}`;
        return fail({ code: "tax.invalid", field: "zones", reason });
      }
      record(tx, ctx, "tax.zone_saved", zoneData(zone));
      return ok(zone);
    },
    { name: "tax.create_zone" },
  );
}

/** Changes a zone. */
export function updateZone(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<TaxZoneId>,
  patch: TaxZonePatch,
): Outcome<TaxZone> {
  return work.transact<TaxZone, TaxFailure>(
    ctx,
    async (tx) => {
      const before = await findZone(tx, id, true);
      if (!before) return fail({ code: "tax.zone_not_found", zoneId: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "tax.stale", version: before.version });
      }
      const after: TaxZone = {
        id,
        name: patch.name ?? before.name,
        areas: patch.areas ?? before.areas,
        priceIncludesTax: patch.priceIncludesTax ?? before.priceIncludesTax,
        version: before.version + 1,
      };
      const problem = findZoneProblem(after);
      if (problem) return fail(problem);
      updateZoneRow(tx, after);
      record(tx, ctx, "tax.zone_saved", zoneData(after));
      return ok(after);
    },
    { name: "tax.update_zone" },
  );
}

/** Deletes a zone with its rates. */
export function deleteZone({ work }: CommandDeps, ctx: Context, id: TaxZoneId): Outcome<void> {
  return work.transact<void, TaxFailure>(
    ctx,
    async (tx) => {
      const zone = await findZone(tx, id, true);
      if (!zone) return fail({ code: "tax.zone_not_found", zoneId: id });
      deleteZoneRow(tx, id);
      record(tx, ctx, "tax.zone_deleted", zoneData(zone));
      return ok(undefined);
    },
    { name: "tax.delete_zone" },
  );
}

/** Makes a rate of a zone. */
export function createRate(
  { work }: CommandDeps,
  ctx: Context,
  command: NewTaxRate,
): Outcome<TaxRate> {
  const rate: TaxRate = {
    id: command.id ?? newId<"tax_rate">(),
    zoneId: command.zoneId,
    category: command.category ?? null,
    name: command.name,
    rateBps: command.rateBps,
    isCompound: command.isCompound ?? false,
    appliesToShipping: command.appliesToShipping ?? true,
    priority: command.priority ?? 0,
    version: 1,
  };
  return work.transact<TaxRate, TaxFailure>(
    ctx,
    async (tx) => {
      const existing = await findRate(tx, rate.id);
      if (existing) return fail({ code: "tax.id_taken", id: rate.id });
      return writeRate(tx, ctx, rate);
    },
    { name: "tax.create_rate" },
  );
}

/** Changes a rate; it stays in its zone. */
export function updateRate(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<TaxRateId>,
  patch: TaxRatePatch,
): Outcome<TaxRate> {
  return work.transact<TaxRate, TaxFailure>(
    ctx,
    async (tx) => {
      const found = await findRate(tx, id);
      // Rates change under the lock of their zone: read again once it is held.
      const [, before] = found
        ? await Promise.all([findZone(tx, found.zoneId, true), findRate(tx, id)])
        : [];
      if (!before) return fail({ code: "tax.rate_not_found", rateId: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "tax.stale", version: before.version });
      }
      const given = Object.fromEntries(
        Object.entries(patch).filter(([, value]) => value !== undefined),
      ) as Partial<TaxRate>;
      return writeRate(tx, ctx, { ...before, ...given, version: before.version + 1 });
    },
    { name: "tax.update_rate" },
  );
}

/** Deletes a rate. */
export function deleteRate({ work }: CommandDeps, ctx: Context, id: TaxRateId): Outcome<void> {
  return work.transact<void, TaxFailure>(
    ctx,
    async (tx) => {
      const rate = await findRate(tx, id);
      if (!rate) return fail({ code: "tax.rate_not_found", rateId: id });
      deleteRateRow(tx, id);
      record(tx, ctx, "tax.rate_deleted", rateData(rate));
      return ok(undefined);
    },
    { name: "tax.delete_rate" },
  );
}

/** Makes a category, or renames it. */
export function saveCategory(
  { work }: CommandDeps,
  ctx: Context,
  category: TaxCategory,
): Outcome<TaxCategory> {
  const problem = findCategoryProblem(category);
  if (problem) return Promise.resolve(fail(problem));
  return work.transact<TaxCategory, TaxFailure>(
    ctx,
    async (tx) => {
      saveCategoryRow(tx, category);
      record(tx, ctx, "tax.category_saved", { category: category.code, name: category.name });
      return ok(category);
    },
    { name: "tax.save_category" },
  );
}

/** Deletes a category that no rate names. */
export function deleteCategory({ work }: CommandDeps, ctx: Context, code: string): Outcome<void> {
  return work.transact<void, TaxFailure>(
    ctx,
    async (tx) => {
      const [category, isUsed] = await Promise.all([
        lockCategory(tx, code),
        isCategoryInUse(tx, code),
      ]);
      if (!category) return fail({ code: "tax.category_not_found", category: code });
      if (isUsed) return fail({ code: "tax.category_in_use", category: code });
      deleteCategoryRow(tx, code);
      record(tx, ctx, "tax.category_deleted", { category: code, name: category.name });
      return ok(undefined);
    },
    { name: "tax.delete_category" },
  );
}

async function writeRate(
  tx: TenantTx,
  ctx: Context,
  rate: TaxRate,
): Promise<Result<TaxRate, TaxFailure>> {
  const { zoneId, category } = rate;
  const [zone, known, siblings] = await Promise.all([
    findZone(tx, zoneId, true),
    category === null ? undefined : lockCategory(tx, category),
    listRates(tx, zoneId),
  ]);
  if (!zone) return fail({ code: "tax.zone_not_found", zoneId });
  if (category !== null && !known) return fail({ code: "tax.category_not_found", category });
  const problem = findRateProblem(rate, siblings);
  if (problem) return fail(problem);
  saveRate(tx, rate);
  record(tx, ctx, "tax.rate_saved", rateData(rate));
  return ok(rate);
}

function zoneData({ id, name, version }: TaxZone) {
  return { zoneId: id, name, version };
}

function rateData({ id, zoneId, rateBps, version }: TaxRate) {
  return { rateId: id, zoneId, rateBps, version };
}

/** Tells of a change, and that what is in memory holds no longer. */
function record<Type extends keyof TaxEvents>(
  tx: TenantTx,
  ctx: Context,
  type: Type,
  data: TaxEvents[Type],
): void {
  const stream = "zoneId" in data ? `tax_zone:${data.zoneId}` : `tax_category:${data.category}`;
  raiseVersion(tx, taxVersion);
  appendEvents(tx, ctx, [{ type, version: 1, stream, data }]);
}
