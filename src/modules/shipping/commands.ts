import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { raiseVersion } from "../../platform/versions/versions.ts";
import {
  type NewShippingMethod,
  type NewShippingZone,
  type ShippingEvents,
  type ShippingFailure,
  type ShippingMethod,
  type ShippingMethodId,
  type ShippingMethodPatch,
  type ShippingZone,
  type ShippingZoneId,
  type ShippingZonePatch,
  shippingMethodsMax,
  shippingZonesMax,
} from "./contract.ts";
import { findMethodProblem, findZoneProblem } from "./shipping.ts";
import {
  deleteMethod as deleteMethodRow,
  deleteZone as deleteZoneRow,
  findMethod,
  findZone,
  insertMethod,
  insertZone,
  isZoneInUse,
  listMethods,
  listZones,
  replaceRates,
  shippingVersion,
  updateMethod as updateMethodRow,
  updateZone as updateZoneRow,
} from "./store.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly work: UnitOfWork;
}

/** What a command answers. */
export type Outcome<Value> = Promise<Result<Value, ShippingFailure | IdempotencyFailure>>;

/** What is changed, and the version the change is meant for. */
export interface Target<Id> {
  readonly id: Id;
  readonly expectedVersion?: number | undefined;
}

/** Makes a zone. */
export function createZone(
  { work }: CommandDeps,
  ctx: Context,
  { id = newId<"shipping_zone">(), name, areas }: NewShippingZone,
): Outcome<ShippingZone> {
  const zone: ShippingZone = { id, name, areas, version: 1 };
  const problem = findZoneProblem(zone);
  if (problem) return Promise.resolve(fail(problem));
  return work.transact<ShippingZone, ShippingFailure>(
    ctx,
    async (tx) => {
      const [zones, isNew] = await Promise.all([listZones(tx), insertZone(tx, zone)]);
      if (!isNew) return fail({ code: "shipping.id_taken", id });
      if (zones.length >= shippingZonesMax) return fail(tooMany("zones", shippingZonesMax));
      record(tx, ctx, "shipping.zone_saved", { zoneId: id, name, version: 1 });
      return ok(zone);
    },
    { name: "shipping.create_zone" },
  );
}

/** Changes a zone. */
export function updateZone(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<ShippingZoneId>,
  patch: ShippingZonePatch,
): Outcome<ShippingZone> {
  return work.transact<ShippingZone, ShippingFailure>(
    ctx,
    async (tx) => {
      const before = await findZone(tx, id, true);
      if (!before) return fail({ code: "shipping.zone_not_found", zoneId: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "shipping.stale", version: before.version });
      }
      const after: ShippingZone = {
        id,
        name: patch.name ?? before.name,
        areas: patch.areas ?? before.areas,
        version: before.version + 1,
      };
      const problem = findZoneProblem(after);
      if (problem) return fail(problem);
      updateZoneRow(tx, after);
      record(tx, ctx, "shipping.zone_saved", {
        zoneId: id,
        name: after.name,
        version: after.version,
      });
      return ok(after);
    },
    { name: "shipping.update_zone" },
  );
}

/** Deletes a zone that no method has a rate in. */
export function deleteZone({ work }: CommandDeps, ctx: Context, id: ShippingZoneId): Outcome<void> {
  return work.transact<void, ShippingFailure>(
    ctx,
    async (tx) => {
      // A rate that is being added holds a key share lock on its zone: this waits for it.
      const [zone, isUsed] = await Promise.all([findZone(tx, id, true), isZoneInUse(tx, id)]);
      if (!zone) return fail({ code: "shipping.zone_not_found", zoneId: id });
      if (isUsed) return fail({ code: "shipping.zone_in_use", zoneId: id });
      deleteZoneRow(tx, id);
      const { name, version } = zone;
      record(tx, ctx, "shipping.zone_deleted", { zoneId: id, name, version });
      return ok(undefined);
    },
    { name: "shipping.delete_zone" },
  );
}

/** Makes a method with its rates. */
export function createMethod(
  { work }: CommandDeps,
  ctx: Context,
  command: NewShippingMethod,
): Outcome<ShippingMethod> {
  const method: ShippingMethod = {
    id: command.id ?? newId<"shipping_method">(),
    name: command.name,
    description: command.description ?? "",
    status: command.status ?? "active",
    taxCategory: command.taxCategory ?? null,
    position: command.position ?? 0,
    deliveryDaysMin: command.deliveryDaysMin ?? null,
    deliveryDaysMax: command.deliveryDaysMax ?? null,
    rates: command.rates,
    version: 1,
  };
  const problem = findMethodProblem(method);
  if (problem) return Promise.resolve(fail(problem));
  return work.transact<ShippingMethod, ShippingFailure>(
    ctx,
    async (tx) => {
      const [unknown, methods] = await Promise.all([findUnknownZone(tx, method), listMethods(tx)]);
      if (unknown) return fail({ code: "shipping.zone_not_found", zoneId: unknown });
      if (methods.length >= shippingMethodsMax) return fail(tooMany("methods", shippingMethodsMax));
      const isNew = await insertMethod(tx, method);
      if (!isNew) return fail({ code: "shipping.id_taken", id: method.id });
      replaceRates(tx, method);
      record(tx, ctx, "shipping.method_saved", methodData(method));
      return ok(method);
    },
    { name: "shipping.create_method" },
  );
}

/** Changes a method. */
export function updateMethod(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: Target<ShippingMethodId>,
  patch: ShippingMethodPatch,
): Outcome<ShippingMethod> {
  return work.transact<ShippingMethod, ShippingFailure>(
    ctx,
    async (tx) => {
      const before = await findMethod(tx, id, true);
      if (!before) return fail({ code: "shipping.method_not_found", methodId: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "shipping.stale", version: before.version });
      }
      const given = Object.fromEntries(
        Object.entries(patch).filter(([, value]) => value !== undefined),
      ) as Partial<ShippingMethod>;
      const after: ShippingMethod = { ...before, ...given, version: before.version + 1 };
      const problem = findMethodProblem(after);
      if (problem) return fail(problem);
      const unknown = await findUnknownZone(tx, after);
      if (unknown) return fail({ code: "shipping.zone_not_found", zoneId: unknown });
      updateMethodRow(tx, after);
      if (patch.rates) replaceRates(tx, after);
      record(tx, ctx, "shipping.method_saved", methodData(after));
      return ok(after);
    },
    { name: "shipping.update_method" },
  );
}

/** Deletes a method; orders remember what they paid for it. */
export function deleteMethod(
  { work }: CommandDeps,
  ctx: Context,
  id: ShippingMethodId,
): Outcome<void> {
  return work.transact<void, ShippingFailure>(
    ctx,
    async (tx) => {
      const method = await findMethod(tx, id, true);
      if (!method) return fail({ code: "shipping.method_not_found", methodId: id });
      deleteMethodRow(tx, id);
      record(tx, ctx, "shipping.method_deleted", methodData(method));
      return ok(undefined);
    },
    { name: "shipping.delete_method" },
  );
}

async function findUnknownZone(
  tx: TenantTx,
  { rates }: ShippingMethod,
): Promise<ShippingZoneId | undefined> {
  const zones = new Set((await listZones(tx)).map(({ id }) => id));
  return rates.find(({ zoneId }) => !zones.has(zoneId))?.zoneId;
}

function tooMany(field: string, most: number): ShippingFailure {
  return { code: "shipping.invalid", field, reason: `a tenant has at most ${most}` };
}

function methodData({ id, name, version }: ShippingMethod) {
  return { methodId: id, name, version };
}

/** Tells of a change, and that what is in memory holds no longer. */
function record<Type extends keyof ShippingEvents>(
  tx: TenantTx,
  ctx: Context,
  type: Type,
  data: ShippingEvents[Type],
): void {
  const stream =
    "zoneId" in data ? `shipping_zone:${data.zoneId}` : `shipping_method:${data.methodId}`;
  raiseVersion(tx, shippingVersion);
  appendEvents(tx, ctx, [{ type, version: 1, stream, data }]);
}
