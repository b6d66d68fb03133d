import { timingSafeEqual } from "node:crypto";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type Cache,
  createCache,
  type Invalidation,
  type InvalidationBus,
} from "../../platform/cache/cache.ts";
import type {
  Authenticate,
  AuthenticationFailure,
  Principal,
} from "../../platform/http/principal.ts";
import { noTenant } from "../../platform/http/request-call.ts";
import type { Placements } from "../../platform/placement/placements.ts";
import { hashKey, looksLikeKey } from "./api-key.ts";
import type { ApiKeyId, Tenant } from "./contract.ts";
import { type KnownKeyRow, selectKeyByHash, selectTenant } from "./store.ts";

/** Who stands at the door. */
export interface DoorConfig {
  readonly placements: Pick<Placements, "read">;
  /** The operator's key, at least 32 characters. */
  readonly operatorKey: string;
  /**
   * How long an answer is believed, milliseconds: the longest a revoked key still works on a node that
   * hears of nothing; default 5,000.
   */
  readonly ttlMs?: number;
  /** Answers kept at most; default 10,000. */
  readonly entriesMax?: number;
  /** Who tells of changes on other nodes. */
  readonly invalidations?: InvalidationBus;
  /** Called when a key was used, once a minute and key at most. */
  readonly onKeyUse?: (keyId: ApiKeyId) => void;
}

/** Tells who a credential belongs to. */
export interface Door {
  readonly authenticate: Authenticate;
  /** Forgets the answers about a tenant, in this process: its keys or status have changed. */
  forget(tenantId: TenantId): void;
  /** What happened to its caches since the start, by their names. */
  stats(): Readonly<Record<string, ReturnType<Cache<unknown>["stats"]>>>;
  stop(): Promise<void>;
}

/** How long a door believes an answer, milliseconds. */
export const doorDefaults = { ttlMs: 5_000, freshMs: 2_000 } as const;

type Admission = Result<Principal, AuthenticationFailure>;

const invalid: Admission = fail({ code: "auth.invalid_credential" });

/** Names of the caches: of keys by their hash, and of the tenants that operators act for. */
const caches = { keys: "tenants.keys", acting: "tenants.acting" } as const;

/** What the doors of all nodes must not believe any more when a tenant or its keys change. */
export function staleAtDoors(tenantId: TenantId): readonly Invalidation[] {
  return Object.values(caches).map((cache) => ({ cache, tenantId: noTenant, tags: [tenantId] }));
}

/**
 * Makes the door of a process. Answers come from memory where they can, and are looked up again behind
 * the answer when they are 2 s old; nothing of it leaves the process.
 */
export function createDoor(config: DoorConfig): Door {
  const { placements, ttlMs = doorDefaults.ttlMs, onKeyUse } = config;
  const limits = {
    ttlMs,
    freshMs: Math.min(doorDefaults.freshMs, ttlMs),
    missingTtlMs: ttlMs,
    entriesMax: config.entriesMax ?? 10_000,
    ...(config.invalidations ? { invalidations: config.invalidations } : {}),
  };
  const operatorHash = hashKey(config.operatorKey);
  // Nobody knows the tenant before the key is known: they lie under none, and name theirs by a tag.
  const keys = createCache<KnownKey>({
    ...limits,
    name: caches.keys,
    load: (_, hashes) => Promise.all(hashes.map((hash) => findKey(placements, hash))),
    tagsOfValue: (_, { tenantId }) => (tenantId ? [tenantId] : []),
  });
  const acting = createCache<Admission>({
    ...limits,
    name: caches.acting,
    load: (_, ids) => Promise.all(ids.map((id) => findTenant(placements, id as TenantId))),
    tagsOfKey: (id) => [id],
  });

  const admissionOf = (known: KnownKey): Admission => {
    const nowMs = Date.now();
    if (nowMs >= known.endsAt) return invalid;
    if (onKeyUse && known.keyId && nowMs >= known.notedUntilMs) {
      known.notedUntilMs = nowMs + noteEveryMs;
      onKeyUse(known.keyId);
    }
    return known.admission;
  };
  const ofKey = (token: string): Admission | Promise<Admission> => {
    if (!looksLikeKey(token)) return invalid;
    const known = keys.get(noTenant, hashKey(token).toString("base64"));
    if (known instanceof Promise) return known.then((found) => admissionOf(found ?? unknownKey));
    return admissionOf(known ?? unknownKey);
  };
  const actingFor = (tenantId: TenantId): Admission | Promise<Admission> =>
    acting.get(noTenant, tenantId) as Admission | Promise<Admission>;
  return {
    authenticate({ token, onBehalfOf }) {
      if (timingSafeEqual(hashKey(token), operatorHash)) {
        return onBehalfOf ? actingFor(onBehalfOf) : operator;
      }
      const admission = ofKey(token);
      if (onBehalfOf === undefined) return admission;
      return Promise.resolve(admission).then((found) => forItself(found, onBehalfOf));
    },
    forget(tenantId) {
      // In this process it is done when the call returns; there is no other tier.
      void keys.invalidate(noTenant, { tags: [tenantId] });
      void acting.invalidate(noTenant, { tags: [tenantId] });
    },
    stats: () => ({ [caches.keys]: keys.stats(), [caches.acting]: acting.stats() }),
    async stop() {
      await Promise.all([keys.stop(), acting.stop()]);
    },
  };
}

/** A use is noted so often, milliseconds. */
const noteEveryMs = 60_000;

async function findKey(placements: Pick<Placements, "read">, hash: string): Promise<KnownKey> {
  const statement = selectKeyByHash(Buffer.from(hash, "base64"));
  const [row] = await placements.read<KnownKeyRow>(statement);
  return row ? knownKey(row) : unknownKey;
}

async function findTenant(placements: Pick<Placements, "read">, id: TenantId): Promise<Admission> {
  const [row] = await placements.read<Tenant>(selectTenant(id));
  return operatorFor(row);
}

interface KnownKey {
  readonly keyId: ApiKeyId | undefined;
  readonly tenantId: TenantId | undefined;
  readonly admission: Admission;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly endsAt: number;
  /** Until when another use is not noted, the same. */
  notedUntilMs: number;
}

const unknownKey: KnownKey = {
  keyId: undefined,
  tenantId: undefined,
  admission: invalid,
  endsAt: Number.POSITIVE_INFINITY,
  notedUntilMs: Number.POSITIVE_INFINITY,
};

function knownKey(row: KnownKeyRow): KnownKey {
  const admission = judge(row);
  return {
    keyId: admission.ok ? row.id : undefined,
    tenantId: row.tenantId,
    admission,
    endsAt: row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    notedUntilMs: (row.lastUsedAt?.getTime() ?? 0) + noteEveryMs,
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
