import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Authenticate } from "../../platform/http/principal.ts";
import { homeDatabase } from "../../platform/placement/placements.ts";
import {
  configureTenant,
  createTenant,
  resumeTenant,
  suspendTenant,
  type TenantsDeps,
} from "./commands.ts";
import type {
  ApiKey,
  ApiKeyFailure,
  ApiKeyId,
  ChangeStatusFailure,
  ConfigureTenant,
  ConfigureTenantFailure,
  CreateApiKey,
  CreateTenant,
  CreateTenantFailure,
  ErasureReport,
  IssuedApiKey,
  Tenant,
  TenantLogEntry,
  TenantNotFound,
} from "./contract.ts";
import { createDoor, type Door, type DoorConfig } from "./door.ts";
import { eraseTenant } from "./erase.ts";
import { exportTenant } from "./export.ts";
import { createKeyUses } from "./key-uses.ts";
import {
  createApiKey,
  type KeyIssuer,
  type RotateApiKey,
  revokeApiKey,
  rotateApiKey,
  toApiKey,
} from "./keys.ts";
import {
  type ApiKeyRow,
  selectKeys,
  selectTenant,
  selectTenantBySlug,
  selectTenantLog,
  selectTenants,
  updateKeyUses,
} from "./store.ts";

/** What the rest of the system may ask of tenants. */
export interface Tenants {
  readonly authenticate: Authenticate;
  create(ctx: Context, command: CreateTenant): Promise<Result<Tenant, CreateTenantFailure>>;
  get(id: TenantId): Promise<Result<Tenant, TenantNotFound>>;
  findBySlug(slug: string): Promise<Tenant | undefined>;
  /** By slug; the cursor is the last slug. @param limit 1 to 100 */
  list(after: string | undefined, limit: number): Promise<Page<Tenant>>;
  suspend(ctx: Context, id: TenantId): Promise<Result<Tenant, ChangeStatusFailure>>;
  resume(ctx: Context, id: TenantId): Promise<Result<Tenant, ChangeStatusFailure>>;
  configure(
    ctx: Context,
    change: { tenantId: TenantId; ifVersion?: number; to: ConfigureTenant },
  ): Promise<Result<Tenant, ConfigureTenantFailure>>;
  /** Everything held of a tenant as JSON lines; nothing for an unknown one. */
  export(id: TenantId): AsyncIterable<string>;
  /** Erases a suspended tenant; may take minutes, may be called again. */
  erase(ctx: Context, id: TenantId): Promise<Result<ErasureReport, ChangeStatusFailure>>;
  /** What was done to a tenant, newest first, at most 100 entries; also after its erasure. */
  log(id: TenantId): Promise<readonly TenantLogEntry[]>;
  createKey(
    ctx: Context,
    issuer: KeyIssuer,
    command: CreateApiKey,
  ): Promise<Result<IssuedApiKey, ApiKeyFailure>>;
  /** Keys of the context's tenant, oldest first. @param limit 1 to 100 */
  listKeys(ctx: Context, after: string | undefined, limit: number): Promise<Page<ApiKey>>;
  rotateKey(ctx: Context, command: RotateApiKey): Promise<Result<IssuedApiKey, ApiKeyFailure>>;
  revokeKey(ctx: Context, id: ApiKeyId): Promise<Result<ApiKey, ApiKeyFailure>>;
  /** What happened to the caches of credentials since the start, by their names. */
  readonly cacheStats: Door["stats"];
  /** Writes what was noted of keys, and hears of changes no more. May be called twice. */
  stop(): Promise<void>;
}

/** What {@link createTenants} is given. */
export interface TenantsConfig
  extends Omit<TenantsDeps, "door" | "settleMs">,
    Pick<DoorConfig, "invalidations"> {
  /** The operator's key, at least 32 characters. */
  readonly operatorKey: string;
  /** How long the door believes an answer when it hears of nothing, milliseconds; default 5,000. */
  readonly doorTtlMs?: number;
  /** Told when uses of keys could not be noted. */
  readonly onKeyUsesFailed?: (error: unknown) => void;
  /** How long an erasure waits for other nodes to forget the placement, milliseconds; default 6,000. */
  readonly settleMs?: number;
}

const firstId = "00000000-0000-0000-0000-000000000000";

/** Builds the module. */
export function createTenants(config: TenantsConfig): Tenants {
  const { db, placements, lines, operatorKey, doorTtlMs, settleMs = 6_000 } = config;
  const { announce, invalidations, onKeyUsesFailed } = config;
  const keyUses = createKeyUses(
    (uses) =>
      db.platform(homeDatabase, (tx) => updateKeyUses(tx, uses), { name: "tenants.key_uses" }),
    onKeyUsesFailed,
  );
  const door = createDoor({
    placements,
    operatorKey,
    ...(doorTtlMs === undefined ? {} : { ttlMs: doorTtlMs }),
    ...(invalidations ? { invalidations } : {}),
    onKeyUse: keyUses.note,
  });
  const deps: TenantsDeps = {
    ...{ db, placements, lines, door, settleMs },
    ...(announce ? { announce } : {}),
  };
  return {
    authenticate: door.authenticate,
    create: (ctx, command) => createTenant(deps, ctx, command),
    async get(id) {
      const [tenant] = await placements.read<Tenant>(selectTenant(id));
      return tenant ? ok(tenant) : fail({ code: "tenants.not_found" });
    },
    findBySlug: async (slug) => (await placements.read<Tenant>(selectTenantBySlug(slug)))[0],
    async list(after, limit) {
      const rows = await placements.read<Tenant>(selectTenants(after ?? "", limit + 1));
      return pageOf(rows, limit, (tenant) => tenant.slug);
    },
    suspend: (ctx, id) => suspendTenant(deps, ctx, id),
    resume: (ctx, id) => resumeTenant(deps, ctx, id),
    configure: (ctx, change) => configureTenant(deps, ctx, change),
    export: (id) => exportTenant(placements, id),
    erase: (ctx, id) => eraseTenant(deps, ctx, id),
    log: (id) => placements.read<TenantLogEntry>(selectTenantLog(id, 100)),
    createKey: (ctx, issuer, command) => createApiKey(deps, ctx, issuer, command),
    async listKeys(ctx, after, limit) {
      const statement = selectKeys(ctx.tenantId, after ?? firstId, limit + 1);
      const rows = await placements.read<ApiKeyRow>(statement);
      return pageOf(rows.map(toApiKey), limit, (key) => key.id);
    },
    rotateKey: (ctx, command) => rotateApiKey(deps, ctx, command),
    revokeKey: (ctx, id) => revokeApiKey(deps, ctx, id),
    cacheStats: door.stats,
    async stop() {
      await Promise.all([door.stop(), keyUses.stop()]);
    },
  };
}

function pageOf<Item>(
  rows: readonly Item[],
  limit: number,
  positionOf: (item: Item) => string,
): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  if (rows.length <= limit || last === undefined) return { items };
  return { items, nextCursor: positionOf(last) };
}
