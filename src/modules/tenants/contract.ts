import type { Id, TenantId } from "../../kernel/ids.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";
import type { IsolationStyle } from "../../platform/placement/placements.ts";

export type ApiKeyId = Id<"api_key">;

/**
 * provisioning -> active <-> suspended -> erasing -> gone. Only an active tenant is served.
 */
export type TenantStatus = "provisioning" | "active" | "suspended" | "erasing";

/** What a brand may set for itself beside its name, currencies and locale. */
export interface TenantSettings {
  /** Where customers write to. */
  readonly supportEmail?: string;
  /** Accent of the shop, `#rrggbb`. */
  readonly colour?: string;
  /** How long stock is held for an unpaid order, minutes, 1 to 1,440. */
  readonly reservationMinutes?: number;
  /** Whether people may buy without an account. */
  readonly guestCheckout?: boolean;
  /** Publishable key that the brand's own shop page uses; public by nature. */
  readonly shopKey?: string;
}

/** A brand that sells through this deployment. */
export interface Tenant {
  readonly id: TenantId;
  /** Names the shop: 2 to 40 lower-case letters, digits and single hyphens. */
  readonly slug: string;
  readonly name: string;
  readonly status: TenantStatus;
  /** ISO 4217 codes, 1 to 50; the default is one of them. */
  readonly currencies: readonly string[];
  readonly defaultCurrency: string;
  /** BCP 47 tag. */
  readonly defaultLocale: string;
  readonly pricesIncludeTax: boolean;
  readonly settings: TenantSettings;
  readonly style: IsolationStyle;
  readonly version: number;
  readonly createdAt: Date;
}

/** Asks for a tenant. The same command again finishes what an earlier run began. */
export interface CreateTenant {
  /** Made by the caller, so that a retry is the same command. */
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly currencies: readonly string[];
  readonly defaultCurrency: string;
  readonly defaultLocale: string;
  readonly pricesIncludeTax: boolean;
  readonly settings?: TenantSettings;
  readonly style: IsolationStyle;
  /** Cluster to place it on; default `home`. */
  readonly cluster?: string;
}

/** What may be changed of a tenant; absent fields stay. */
export interface ConfigureTenant {
  readonly name?: string;
  readonly currencies?: readonly string[];
  readonly defaultCurrency?: string;
  readonly defaultLocale?: string;
  readonly pricesIncludeTax?: boolean;
  /** Replaces the settings as a whole. */
  readonly settings?: TenantSettings;
}

/** Secret keys are for servers, publishable ones for browsers. */
export type ApiKeyKind = "secret" | "publishable";

/** What is known of an API key; the key itself is known to its owner alone. */
export interface ApiKey {
  readonly id: ApiKeyId;
  readonly kind: ApiKeyKind;
  readonly name: string;
  /** Its last four characters. */
  readonly hint: string;
  readonly permissions: readonly string[];
  readonly createdAt: Date;
  /** When a request last came with it, to the minute; known some seconds later. */
  readonly lastUsedAt?: Date;
  readonly expiresAt?: Date;
  readonly revokedAt?: Date;
}

/** Asks for an API key. */
export interface CreateApiKey {
  readonly id: ApiKeyId;
  readonly kind: ApiKeyKind;
  readonly name: string;
  /** `orders:write`, `orders:*`, `*`; ignored for publishable keys. */
  readonly permissions: readonly string[];
  readonly expiresAt?: Date;
}

/** A key that was just made: the only time it can be seen. */
export interface IssuedApiKey extends ApiKey {
  /** `sk_…` or `pk_…`, 46 characters. */
  readonly key: string;
}

/** Counts of what was erased, by table. */
export interface ErasureReport {
  readonly tenantId: TenantId;
  readonly rows: Readonly<Record<string, number>>;
}

export type TenantNotFound = { readonly code: "tenants.not_found" };
export type TenantSuspended = { readonly code: "tenants.suspended" };
export type TenantVersionConflict = {
  readonly code: "tenants.version_conflict";
  readonly currentVersion: number;
};

export type CreateTenantFailure =
  | { readonly code: "tenants.slug_taken"; readonly slug: string }
  | { readonly code: "tenants.id_taken" }
  | { readonly code: "tenants.unknown_cluster"; readonly cluster: string }
  | { readonly code: "tenants.default_currency_missing" };

export type ConfigureTenantFailure =
  | TenantNotFound
  | TenantVersionConflict
  | { readonly code: "tenants.default_currency_missing" };

export type ChangeStatusFailure =
  | TenantNotFound
  | { readonly code: "tenants.wrong_status"; readonly status: TenantStatus };

export type ApiKeyFailure =
  | { readonly code: "tenants.key_not_found" }
  | { readonly code: "tenants.key_id_taken" }
  | { readonly code: "tenants.key_revoked" }
  | { readonly code: "tenants.permission_not_held"; readonly permission: string };

/** Everything this module refuses with. */
export type TenantsFailure =
  | TenantNotFound
  | TenantSuspended
  | CreateTenantFailure
  | ConfigureTenantFailure
  | ChangeStatusFailure
  | ApiKeyFailure;

/** HTTP statuses of the module's failures. */
export const tenantsFailureStatuses: FailureStatuses<TenantsFailure> = {
  "tenants.not_found": 404,
  "tenants.suspended": 403,
  "tenants.version_conflict": 412,
  "tenants.slug_taken": 409,
  "tenants.id_taken": 409,
  "tenants.unknown_cluster": 422,
  "tenants.default_currency_missing": 422,
  "tenants.wrong_status": 409,
  "tenants.key_not_found": 404,
  "tenants.key_id_taken": 409,
  "tenants.key_revoked": 409,
  "tenants.permission_not_held": 403,
};

/** One entry of what was done to a tenant. */
export interface TenantLogEntry {
  readonly at: Date;
  readonly actor: string;
  readonly requestId: string;
  readonly action: string;
  readonly details: JsonObject;
}
