import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Tx } from "../../platform/db/db.ts";
import { homeDatabase } from "../../platform/placement/placements.ts";
import { hashKey, mintKey, missingPermission } from "./api-key.ts";
import type { TenantsDeps } from "./commands.ts";
import { forget, record } from "./commands.ts";
import type { ApiKey, ApiKeyFailure, ApiKeyId, CreateApiKey, IssuedApiKey } from "./contract.ts";
import { type ApiKeyRow, endKey, insertKey, lockKey } from "./store.ts";

/** Who hands out keys: what it may give on is what it has. */
export interface KeyIssuer {
  readonly permissions: readonly string[];
}

/** Longest a rotated key works beside its successor, milliseconds: 30 days. */
export const rotationOverlapMaxMs = 30 * 86_400_000;

/**
 * Makes an API key for the tenant of the context. The key is in the answer and nowhere else.
 *
 * The same id again is refused: the key cannot be shown a second time.
 */
export function createApiKey(
  deps: TenantsDeps,
  ctx: Context,
  issuer: KeyIssuer,
  command: CreateApiKey,
): Promise<Result<IssuedApiKey, ApiKeyFailure>> {
  const permissions = command.kind === "publishable" ? [] : command.permissions;
  const missing = missingPermission(issuer.permissions, permissions);
  if (missing) {
    return Promise.resolve(fail({ code: "tenants.permission_not_held", permission: missing }));
  }
  return deps.db.platform(
    homeDatabase,
    (tx) => issue(deps, tx, ctx, { ...command, permissions, lineageId: command.id }),
    { name: "tenants.create_key" },
  );
}

async function issue(
  deps: TenantsDeps,
  tx: Tx,
  ctx: Context,
  command: CreateApiKey & { readonly lineageId: ApiKeyId },
): Promise<Result<IssuedApiKey, ApiKeyFailure>> {
  const { tenantId } = ctx;
  const key = mintKey(command.kind);
  const stored = { ...command, tenantId, hash: hashKey(key), hint: key.slice(-4) };
  const row = await insertKey(tx, stored);
  if (!row) return fail({ code: "tenants.key_id_taken" });
  const details = { keyId: row.id, kind: row.kind };
  record(deps, tx, ctx, { tenantId, action: "key_created", details });
  return ok({ ...toApiKey(row), key });
}

/** Asks for a successor of a key. */
export interface RotateApiKey {
  readonly id: ApiKeyId;
  /** Id of the successor, made by the caller. */
  readonly newId: ApiKeyId;
  /** How long both work, milliseconds, 0 to {@link rotationOverlapMaxMs}. */
  readonly overlapMs: number;
}

/** Makes a successor with the same permissions; the key itself ends after the overlap. */
export async function rotateApiKey(
  deps: TenantsDeps,
  ctx: Context,
  command: RotateApiKey,
): Promise<Result<IssuedApiKey, ApiKeyFailure>> {
  const rotated = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<IssuedApiKey, ApiKeyFailure>> => {
      const old = await lockKey(tx, ctx.tenantId, command.id);
      if (!old) return fail({ code: "tenants.key_not_found" });
      if (old.revokedAt) return fail({ code: "tenants.key_revoked" });
      const { kind, name, permissions, lineageId } = old;
      const issued = await issue(deps, tx, ctx, {
        id: command.newId,
        kind,
        name,
        permissions,
        lineageId,
      });
      if (issued.ok) await endKey(tx, old.id, command.overlapMs);
      return issued;
    },
    { name: "tenants.rotate_key" },
  );
  forget(deps, ctx.tenantId);
  return rotated;
}

/** Ends a key now; other nodes hear of it within a moment. */
export async function revokeApiKey(
  deps: TenantsDeps,
  ctx: Context,
  id: ApiKeyId,
): Promise<Result<ApiKey, ApiKeyFailure>> {
  const { tenantId } = ctx;
  const revoked = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<ApiKey, ApiKeyFailure>> => {
      const key = await lockKey(tx, tenantId, id);
      if (!key) return fail({ code: "tenants.key_not_found" });
      if (key.revokedAt) return ok(toApiKey(key));
      const ended = await endKey(tx, id, 0);
      record(deps, tx, ctx, { tenantId, action: "key_revoked", details: { keyId: id } });
      return ok(toApiKey(ended));
    },
    { name: "tenants.revoke_key" },
  );
  forget(deps, tenantId);
  return revoked;
}

/** A key as its owner may see it. */
export function toApiKey(row: ApiKeyRow): ApiKey {
  const { id, kind, name, hint, permissions, createdAt, lastUsedAt, expiresAt, revokedAt } = row;
  return {
    ...{ id, kind, name, hint, permissions, createdAt },
    ...(lastUsedAt ? { lastUsedAt } : {}),
    ...(expiresAt ? { expiresAt } : {}),
    ...(revokedAt ? { revokedAt: present(revokedAt, "revokedAt") } : {}),
  };
}
