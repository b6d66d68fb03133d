import { timingSafeEqual } from "node:crypto";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type {
  Authenticate,
  AuthenticationFailure,
  Principal,
} from "../../platform/http/principal.ts";
import type { Placements } from "../../platform/placement/placements.ts";
import { hashKey, looksLikeKey } from "./api-key.ts";
import type { Tenant } from "./contract.ts";
import { createLookupCache } from "./lookup-cache.ts";
import { type KnownKeyRow, selectKeyByHash, selectTenant } from "./store.ts";

/** Who stands at the door. */
export interface DoorConfig {
  readonly placements: Pick<Placements, "read">;
  /** The operator's key, at least 32 characters. */
  readonly operatorKey: string;
  /** How long an answer is believed, milliseconds: the longest a revoked key still works; default 2,000. */
  readonly ttlMs?: number;
  /** Answers kept at most; default 10,000. */
  readonly entriesMax?: number;
}

/** Tells who a credential belongs to. */
export interface Door {
  readonly authenticate: Authenticate;
  /** Forgets the answers about a tenant: its keys or status have changed. */
  forget(tenantId: TenantId): void;
}

type Admission = Result<Principal, AuthenticationFailure>;

const invalid: Admission = fail({ code: "auth.invalid_credential" });

/** Makes the door of a process. Answers come from memory where they can. */
export function createDoor(config: DoorConfig): Door {
  const limits = { ttlMs: config.ttlMs ?? 2_000, entriesMax: config.entriesMax ?? 10_000 };
  const operatorHash = hashKey(config.operatorKey);
  const keys = createLookupCache<KnownKey>(limits, async (hash) => {
    const [row] = await config.placements.read<KnownKeyRow>(
      selectKeyByHash(Buffer.from(hash, "base64")),
    );
    return knownKey(row);
  });
  const tenants = createLookupCache<Admission>(limits, async (id) => {
    const [row] = await config.placements.read<Tenant>(selectTenant(id as TenantId));
    return operatorFor(row);
  });

  const ofKey = (token: string): Admission | Promise<Admission> => {
    if (!looksLikeKey(token)) return invalid;
    const known = keys.get(hashKey(token).toString("base64"));
    return known instanceof Promise ? known.then(admissionOf) : admissionOf(known);
  };
  return {
    authenticate({ token, onBehalfOf }) {
      if (timingSafeEqual(hashKey(token), operatorHash)) {
        return onBehalfOf ? tenants.get(onBehalfOf) : operator;
      }
      const admission = ofKey(token);
      if (onBehalfOf === undefined) return admission;
      return Promise.resolve(admission).then((found) => forItself(found, onBehalfOf));
    },
    forget(tenantId) {
      tenants.forget((id) => id === tenantId);
      keys.forget((_, known) => known?.tenantId === tenantId);
    },
  };
}

interface KnownKey {
  readonly tenantId: TenantId | undefined;
  readonly admission: Admission;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly endsAt: number;
}

function knownKey(row: KnownKeyRow | undefined): KnownKey {
  if (!row) return { tenantId: undefined, admission: invalid, endsAt: Number.POSITIVE_INFINITY };
  return {
    tenantId: row.tenantId,
    admission: judge(row),
    endsAt: row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
  };
}

function judge(row: KnownKeyRow): Admission {
  if (row.revokedAt) return invalid;
  if (row.status === "suspended") return fail({ code: "tenants.suspended" });
  if (row.status !== "active") return invalid;
  const { kind, tenantId, permissions } = row;
  // The lineage, not the key: what a rotated key began, its successor may finish.
  return ok({ kind, tenantId, permissions, actor: { kind: "api_key", id: row.lineageId } });
}

function admissionOf(known: KnownKey): Admission {
  return Date.now() < known.endsAt ? known.admission : invalid;
}

const operatorActor = { kind: "operator", id: "operator" } as const;
const operator: Admission = ok({ kind: "operator", actor: operatorActor, permissions: ["*"] });

function operatorFor(tenant: Tenant | undefined): Admission {
  if (!tenant) return fail({ code: "tenants.not_found" });
  const { id: tenantId } = tenant;
  return ok({ kind: "operator", tenantId, actor: operatorActor, permissions: ["*"] });
}

/** A key may name its own tenant, and no other. */
function forItself(admission: Admission, tenantId: TenantId): Admission {
  if (!admission.ok || admission.value.tenantId === tenantId) return admission;
  return invalid;
}
