import type { Actor } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Failure, Result } from "../../kernel/result.ts";

/** What a credential stands for. */
export interface Principal {
  readonly kind: "secret" | "publishable" | "operator";
  /** The brand whose key it is; absent for the operator, who belongs to none. */
  readonly tenantId?: TenantId;
  readonly actor: Actor;
  /** `orders:write`, `orders:*` or `*`. */
  readonly permissions: readonly string[];
}

/** Why a credential is refused at the door. */
export type AuthenticationFailure = Failure & {
  readonly code: "auth.invalid_credential" | "tenants.suspended" | "tenants.not_found";
};

/** What came with a request to say who asks. */
export interface Credential {
  /** The bearer token: `sk_…`, `pk_…` or the operator's key. */
  readonly token: string;
  /** The brand an operator wants to act for, from `BrandOS-Tenant`; refused for everybody else. */
  readonly onBehalfOf?: TenantId;
}

/**
 * Tells who a credential belongs to. It answers at once from its cache where it can: a promise
 * costs a turn of the event loop per request.
 */
export type Authenticate = (
  credential: Credential,
) => Result<Principal, AuthenticationFailure> | Promise<Result<Principal, AuthenticationFailure>>;

/** Whether a list of permissions covers one: itself, its `<noun>:*`, or `*`. */
export function permits(permissions: readonly string[], wanted: string): boolean {
  if (permissions.includes(wanted) || permissions.includes("*")) return true;
  return permissions.includes(`${wanted.slice(0, wanted.indexOf(":"))}:*`);
}
