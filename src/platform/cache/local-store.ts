import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { type EvictionPolicy, type MakePolicy, type StoreLimits, s3Fifo } from "./eviction.ts";

/** A value in the store, with what bounds it. */
export interface LocalEntry<Value> {
  readonly tenantId: TenantId;
  readonly key: string;
  readonly value: Value;
  /** Counted against the store's limit. */
  readonly sizeBytes: number;
  /** From when on it is as good as gone, milliseconds of the clock that `get` is asked by. */
  readonly expiresAtMs: number;
}

/** Why an entry left the store by itself or by order. */
export type RemovalCause = "evicted" | "removed" | "replaced";

/** Hears what left a store. */
export type OnRemoved<Value> = (
  tenantId: TenantId,
  key: string,
  value: Value,
  cause: RemovalCause,
) => void;

/** How a store is made. */
export interface LocalStoreConfig<Value> extends StoreLimits {
  /** Who goes first; default S3-FIFO. */
  readonly policy?: MakePolicy;
  /** Hears of every value that left, after it did. */
  readonly onRemoved?: OnRemoved<Value>;
}

/** What a value is stored with. */
export interface Placing {
  readonly sizeBytes: number;
  readonly expiresAtMs: number;
}

/**
 * Holds values of many tenants in this process, up to so many bytes and entries: one order of
 * eviction over all, and the tenant in every key. Everything is synchronous.
 */
export interface LocalStore<Value> {
  /** Reads a value and counts the use. @returns undefined when it is not there or has expired */
  get(tenantId: TenantId, key: string, nowMs: number): Value | undefined;
  /** Looks at an entry, expired or not, without counting a use. */
  peek(tenantId: TenantId, key: string): LocalEntry<Value> | undefined;
  /** Stores a value over whatever was there. @returns false when it is larger than the store */
  set(tenantId: TenantId, key: string, value: Value, placing: Placing): boolean;
  /** @returns whether it was there */
  delete(tenantId: TenantId, key: string): boolean;
  /** Drops everything of a tenant. @returns how many entries */
  deleteTenant(tenantId: TenantId): number;
  clear(): void;
  entriesOf(tenantId: TenantId): Iterable<LocalEntry<Value>>;
  /** What is held now. */
  readonly usage: () => { readonly bytes: number; readonly entries: number };
}

/** An entry as the store keeps it; a ghost has no value and has long expired. */
interface Node<Value> {
  readonly tenantId: TenantId;
  readonly key: string;
  value: Value | undefined;
  sizeBytes: number;
  expiresAtMs: number;
  newer: Node<Value> | undefined;
  older: Node<Value> | undefined;
  uses: number;
  queue: number;
}

const ghostExpiry = Number.NEGATIVE_INFINITY;

interface Shelf<Value> {
  readonly limits: StoreLimits;
  readonly policy: EvictionPolicy<Node<Value>>;
  readonly tenants: Map<TenantId, Map<string, Node<Value>>>;
  readonly usage: { bytes: number; entries: number };
  readonly onRemoved: OnRemoved<Value>;
}

/** Makes an empty store. */
export function createLocalStore<Value>(config: LocalStoreConfig<Value>): LocalStore<Value> {
  const { bytesMax, entriesMax, policy = s3Fifo(), onRemoved = () => {} } = config;
  assert(bytesMax > 0 && entriesMax > 0, "a store's limits are positive");
  const limits = { bytesMax, entriesMax };
  const shelf: Shelf<Value> = {
    limits,
    policy: policy<Node<Value>>(limits),
    tenants: new Map(),
    usage: { bytes: 0, entries: 0 },
    onRemoved,
  };
  const { tenants, policy: chosen } = shelf;
  const live = (tenantId: TenantId, key: string): Node<Value> | undefined => {
    const node = tenants.get(tenantId)?.get(key);
    return node === undefined || node.expiresAtMs === ghostExpiry ? undefined : node;
  };
  return {
    get(tenantId, key, nowMs) {
      const node = tenants.get(tenantId)?.get(key);
      if (node === undefined || node.expiresAtMs <= nowMs) return undefined;
      chosen.use(node);
      return node.value;
    },
    peek: (tenantId, key) => live(tenantId, key) as LocalEntry<Value> | undefined,
    set(tenantId, key, value, placing) {
      const node = tenants.get(tenantId)?.get(key);
      if (node?.sizeBytes !== placing.sizeBytes || node.expiresAtMs === ghostExpiry) {
        return place(shelf, { tenantId, key, value, ...placing });
      }
      const before = node.value as Value;
      node.value = value;
      node.expiresAtMs = placing.expiresAtMs;
      chosen.use(node);
      onRemoved(tenantId, key, before, "replaced");
      return true;
    },
    delete(tenantId, key) {
      const node = live(tenantId, key);
      if (node) drop(shelf, node, "removed");
      return node !== undefined;
    },
    deleteTenant: (tenantId) => dropTenant(shelf, tenantId),
    clear() {
      for (const tenantId of [...tenants.keys()]) dropTenant(shelf, tenantId);
    },
    *entriesOf(tenantId) {
      for (const node of tenants.get(tenantId)?.values() ?? []) {
        if (node.expiresAtMs !== ghostExpiry) yield node as LocalEntry<Value>;
      }
    },
    usage: () => ({ ...shelf.usage }),
  };
}

/** Stores a value whose size is new, after making room for it. */
function place<Value>(shelf: Shelf<Value>, entry: LocalEntry<Value>): boolean {
  const { tenants, policy, limits, usage } = shelf;
  const { tenantId, key, value, sizeBytes, expiresAtMs } = entry;
  const known = tenants.get(tenantId)?.get(key);
  const isGhost = known?.expiresAtMs === ghostExpiry;
  if (known && isGhost) forget(shelf, known);
  if (known && !isGhost) drop(shelf, known, "replaced");
  if (sizeBytes > limits.bytesMax) return false;
  makeRoom(shelf, sizeBytes);
  const node: Node<Value> = {
    tenantId,
    key,
    value,
    sizeBytes,
    expiresAtMs,
    newer: undefined,
    older: undefined,
    uses: 0,
    queue: 0,
  };
  remember(shelf, node);
  usage.bytes += sizeBytes;
  usage.entries++;
  // What is written again was worth keeping.
  policy.add(node, known !== undefined);
  return true;
}

function makeRoom<Value>(shelf: Shelf<Value>, bytes: number): void {
  const { policy, limits, usage, onRemoved } = shelf;
  while (usage.bytes + bytes > limits.bytesMax || usage.entries >= limits.entriesMax) {
    const node = policy.victim();
    policy.remove(node);
    usage.bytes -= node.sizeBytes;
    usage.entries--;
    const value = node.value as Value;
    if (policy.haunt?.(node)) {
      node.value = undefined;
      node.expiresAtMs = ghostExpiry;
      let ghost = policy.ghostTooMany?.();
      while (ghost) {
        forget(shelf, ghost);
        ghost = policy.ghostTooMany?.();
      }
    } else {
      unmap(shelf, node);
    }
    onRemoved(node.tenantId, node.key, value, "evicted");
  }
}

function drop<Value>(shelf: Shelf<Value>, node: Node<Value>, cause: RemovalCause): void {
  shelf.usage.bytes -= node.sizeBytes;
  shelf.usage.entries--;
  forget(shelf, node);
  shelf.onRemoved(node.tenantId, node.key, node.value as Value, cause);
}

function dropTenant<Value>(shelf: Shelf<Value>, tenantId: TenantId): number {
  let dropped = 0;
  for (const node of [...(shelf.tenants.get(tenantId)?.values() ?? [])]) {
    if (node.expiresAtMs === ghostExpiry) forget(shelf, node);
    else {
      drop(shelf, node, "removed");
      dropped++;
    }
  }
  return dropped;
}

/** Takes a node out of the policy and out of the map. */
function forget<Value>(shelf: Shelf<Value>, node: Node<Value>): void {
  shelf.policy.remove(node);
  unmap(shelf, node);
}

function remember<Value>({ tenants }: Shelf<Value>, node: Node<Value>): void {
  const keys = tenants.get(node.tenantId);
  if (keys) keys.set(node.key, node);
  else tenants.set(node.tenantId, new Map([[node.key, node]]));
}

function unmap<Value>({ tenants }: Shelf<Value>, node: Node<Value>): void {
  const keys = tenants.get(node.tenantId);
  keys?.delete(node.key);
  if (keys?.size === 0) tenants.delete(node.tenantId);
}
