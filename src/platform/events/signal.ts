import type { TenantId } from "../../kernel/ids.ts";

/** Hears of every append this process committed, right after the commit. */
export type AppendListener = (tenantId: TenantId) => void;

// One per process: a transaction does not know who listens, and listeners only look sooner.
const listeners = new Set<AppendListener>();

/** Tells this process's subscriptions that there is something new. Carries no content. */
export function announceAppend(tenantId: TenantId): void {
  for (const listener of listeners) listener(tenantId);
}

/** Listens to appends of this process. @returns the function that ends it */
export function onAppend(listener: AppendListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
