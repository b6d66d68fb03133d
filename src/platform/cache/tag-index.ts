import type { TenantId } from "../../kernel/ids.ts";

/** Which keys of a tenant name a tag, among those held in this process. */
export interface TagIndex {
  add(tenantId: TenantId, key: string, tags: readonly string[]): void;
  remove(tenantId: TenantId, key: string, tags: readonly string[]): void;
  keysOf(tenantId: TenantId, tag: string): readonly string[];
}

/** Makes an empty index. */
export function createTagIndex(): TagIndex {
  const tenants = new Map<TenantId, Map<string, Set<string>>>();
  return {
    add(tenantId, key, tags) {
      if (tags.length === 0) return;
      const named = tenants.get(tenantId) ?? new Map<string, Set<string>>();
      tenants.set(tenantId, named);
      for (const tag of tags) {
        const keys = named.get(tag);
        if (keys) keys.add(key);
        else named.set(tag, new Set([key]));
      }
    },
    remove(tenantId, key, tags) {
      const named = tenants.get(tenantId);
      if (!named) return;
      for (const tag of tags) {
        const keys = named.get(tag);
        keys?.delete(key);
        if (keys?.size === 0) named.delete(tag);
      }
      if (named.size === 0) tenants.delete(tenantId);
    },
    keysOf: (tenantId, tag) => [...(tenants.get(tenantId)?.get(tag) ?? [])],
  };
}
