import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Invalidation } from "../../platform/cache/cache.ts";
import type { Db, Tx } from "../../platform/db/db.ts";
import type { MigrationLine } from "../../platform/db/migrate.ts";
import {
  assignPlacement,
  homeDatabase,
  type Placements,
  setPlacementState,
} from "../../platform/placement/placements.ts";
import { placeOf, provision } from "../../platform/placement/provision.ts";
import type {
  ChangeStatusFailure,
  ConfigureTenant,
  ConfigureTenantFailure,
  CreateTenant,
  CreateTenantFailure,
  Tenant,
  TenantStatus,
} from "./contract.ts";
import { type Door, staleAtDoors } from "./door.ts";
import { insertTenant, lockTenant, logTenantAction, selectTenant, updateTenant } from "./store.ts";

/** What tenants need from outside; the composition root provides it. */
export interface TenantsDeps {
  readonly db: Db;
  readonly placements: Placements;
  /** Migrations of the whole product: what a schema or database of its own is made with. */
  readonly lines: readonly MigrationLine[];
  readonly door: Door;
  /** Tells all nodes what is not true any more, with the commit. */
  readonly announce?: (tx: Tx, invalidations: readonly Invalidation[]) => void;
  /** How long other nodes may still believe a placement that ended, milliseconds. */
  readonly settleMs: number;
}

/**
 * Makes a tenant and its place. Done in steps that can be repeated: a command that was cut off is
 * finished by sending it again.
 */
export async function createTenant(
  deps: TenantsDeps,
  ctx: Context,
  command: CreateTenant,
): Promise<Result<Tenant, CreateTenantFailure>> {
  if (!command.currencies.includes(command.defaultCurrency)) {
    return fail({ code: "tenants.default_currency_missing" });
  }
  const cluster = command.cluster ?? homeDatabase;
  if (!isKnownCluster(deps.placements, cluster)) {
    return fail({ code: "tenants.unknown_cluster", cluster });
  }
  const place = placeOf(command.id, { style: command.style, cluster, slug: command.slug });
  const ready = command.style === "pool" && cluster === homeDatabase;
  const begun = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<Tenant["status"], CreateTenantFailure>> => {
      const status = ready ? "active" : "provisioning";
      if (!(await insertTenant(tx, command, status))) {
        const existing = await lockTenant(tx, command.id);
        if (!existing) return fail({ code: "tenants.slug_taken", slug: command.slug });
        const same = existing.slug === command.slug && existing.style === command.style;
        return same ? ok(existing.status) : fail({ code: "tenants.id_taken" });
      }
      const { id: tenantId, style } = command;
      assignPlacement(tx, { ...place, tenantId, style, state: ready ? "active" : "preparing" });
      record(deps, tx, ctx, { tenantId, action: "created", details: { style, ...place } });
      return ok(status);
    },
    { name: "tenants.create" },
  );
  if (!begun.ok) return begun;
  if (begun.value === "provisioning") {
    await provision(deps, { ...place, style: command.style });
    await activate(deps, ctx, command.id);
  }
  const [tenant] = await deps.placements.read<Tenant>(selectTenant(command.id));
  return tenant ? ok(tenant) : fail({ code: "tenants.id_taken" });
}

function isKnownCluster(placements: Placements, cluster: string): boolean {
  if (cluster.includes("/")) return false;
  try {
    placements.ownerUrlOf(cluster);
    return true;
  } catch {
    return false;
  }
}

async function activate(deps: TenantsDeps, ctx: Context, tenantId: TenantId): Promise<void> {
  await deps.db.platform(
    homeDatabase,
    async (tx) => {
      const tenant = await lockTenant(tx, tenantId);
      if (tenant?.status !== "provisioning") return;
      updateTenant(tx, { ...tenant, status: "active" });
      setPlacementState(tx, tenantId, "active");
      record(deps, tx, ctx, { tenantId, action: "activated" });
    },
    { name: "tenants.activate" },
  );
  forget(deps, tenantId);
}

/** Notes what is done to a tenant, in its transaction, and tells the doors of all nodes. */
export function record(
  { announce }: Pick<TenantsDeps, "announce">,
  tx: Tx,
  ctx: Context,
  entry: Parameters<typeof logTenantAction>[2],
): void {
  logTenantAction(tx, ctx, entry);
  announce?.(tx, staleAtDoors(entry.tenantId));
}

/** Forgets what this process knows of a tenant, at once; others hear of it. */
export function forget({ door, placements }: TenantsDeps, tenantId: TenantId): void {
  door.forget(tenantId);
  placements.poke(tenantId);
}

/** Refuses a tenant's credentials from now on; its data stays, and jobs under way finish. */
export function suspendTenant(
  deps: TenantsDeps,
  ctx: Context,
  tenantId: TenantId,
): Promise<Result<Tenant, ChangeStatusFailure>> {
  return changeStatus(deps, ctx, { tenantId, from: "active", to: "suspended" });
}

/** Serves a suspended tenant again. */
export function resumeTenant(
  deps: TenantsDeps,
  ctx: Context,
  tenantId: TenantId,
): Promise<Result<Tenant, ChangeStatusFailure>> {
  return changeStatus(deps, ctx, { tenantId, from: "suspended", to: "active" });
}

interface StatusChange {
  readonly tenantId: TenantId;
  readonly from: TenantStatus;
  readonly to: TenantStatus;
}

async function changeStatus(
  deps: TenantsDeps,
  ctx: Context,
  { tenantId, from, to }: StatusChange,
): Promise<Result<Tenant, ChangeStatusFailure>> {
  const changed = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<Tenant, ChangeStatusFailure>> => {
      const tenant = await lockTenant(tx, tenantId);
      if (!tenant) return fail({ code: "tenants.not_found" });
      // Asked for twice: it is as it should be.
      if (tenant.status === to) return ok(tenant);
      if (tenant.status !== from) {
        return fail({ code: "tenants.wrong_status", status: tenant.status });
      }
      updateTenant(tx, { ...tenant, status: to });
      record(deps, tx, ctx, { tenantId, action: to });
      return ok({ ...tenant, status: to, version: tenant.version + 1 });
    },
    { name: `tenants.${to}` },
  );
  forget(deps, tenantId);
  return changed;
}

/** Changes a tenant's name, currencies, locale, tax style or settings. */
export async function configureTenant(
  deps: TenantsDeps,
  ctx: Context,
  change: {
    readonly tenantId: TenantId;
    readonly ifVersion?: number;
    readonly to: ConfigureTenant;
  },
): Promise<Result<Tenant, ConfigureTenantFailure>> {
  const { tenantId, ifVersion, to } = change;
  const configured = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<Tenant, ConfigureTenantFailure>> => {
      const tenant = await lockTenant(tx, tenantId);
      if (!tenant) return fail({ code: "tenants.not_found" });
      if (ifVersion !== undefined && tenant.version !== ifVersion) {
        return fail({ code: "tenants.version_conflict", currentVersion: tenant.version });
      }
      const next = { ...tenant, ...to };
      if (!next.currencies.includes(next.defaultCurrency)) {
        return fail({ code: "tenants.default_currency_missing" });
      }
      updateTenant(tx, next);
      const details = { fields: Object.keys(to) };
      record(deps, tx, ctx, { tenantId, action: "configured", details });
      return ok({ ...next, version: tenant.version + 1 });
    },
    { name: "tenants.configure" },
  );
  forget(deps, tenantId);
  return configured;
}
