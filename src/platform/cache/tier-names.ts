import { createHash } from "node:crypto";
import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";

/** How a cache's keys and tags are called in the shared tier. */
export interface TierNames {
  readonly keyOf: (tenantId: TenantId, key: string) => string;
  readonly tagOf: (tenantId: TenantId, tag: string) => string;
  /** Named by every value of a tenant. */
  readonly tenantTag: (tenantId: TenantId) => string;
  /** Begins a new epoch before that of any of the tenant's tags does. */
  readonly anyTag: (tenantId: TenantId) => string;
  /** Named by every value of the cache. */
  readonly cacheTag: string;
}

const nameShape = /^[a-z0-9_.-]{1,60}$/;
const versionShape = /^[A-Za-z0-9_.-]{0,60}$/;
const printable = /^[!-~]*$/;
const plainMax = 200;

/**
 * @param name of the cache, 1 to 60 characters of a-z 0-9 _ . -
 * @param version part of every key: what another version wrote is never found, and ages out
 */
export function tierNames(name: string, version: string): TierNames {
  assert(nameShape.test(name), `a cache's name has 1 to 60 characters a-z 0-9 _ . -, not ${name}`);
  assert(versionShape.test(version), `a cache's version has up to 60 characters A-Z a-z 0-9 _ . -`);
  const scope = `${name}:${version}`;
  return {
    keyOf: (tenantId, key) => `${scope}:${tenantId}=${plain(key)}`,
    tagOf: (tenantId, tag) => `${scope}:${tenantId}#${plain(tag)}`,
    tenantTag: (tenantId) => `${scope}:${tenantId}*`,
    anyTag: (tenantId) => `${scope}:${tenantId}+`,
    cacheTag: `${scope}*`,
  };
}

/** Texts that a tier may not take are known by their hash; the first character tells them apart. */
function plain(text: string): string {
  if (text.length <= plainMax && printable.test(text)) return `=${text}`;
  return `~${createHash("sha256").update(text).digest("hex")}`;
}
