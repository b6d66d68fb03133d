import type { TenantId } from "../../kernel/ids.ts";
import type { Invalidation } from "./invalidation.ts";

/** Positions below which nothing is believed. */
export interface Floors {
  /** Takes in an invalidation that says where the truth stands. */
  raise(invalidation: Invalidation & { readonly position: number }, nowMs: number): void;
  /** @returns the position a value must be as of, -Infinity for none, Infinity for none is enough */
  of(tenantId: TenantId, key: string, tags: readonly string[], nowMs: number): number;
}

interface Floor {
  readonly position: number;
  readonly untilMs: number;
}

interface TenantFloors {
  all: Floor | undefined;
  keys: Map<string, Floor>;
  tags: Map<string, Floor>;
}

const none = Number.NEGATIVE_INFINITY;
const bucketCount = 4_096;

/**
 * Remembers floors for `keepMs`, longer than a value may lie anywhere. Memory is bounded: a tenant
 * with too many floors gets one for everything it has; a tenant that is one too many is remembered
 * by a bucket of tenants, of whom nothing old is believed for a while.
 */
export function createFloors(limits: {
  /** Floors of keys and tags, of one tenant. */
  readonly floorsMax: number;
  readonly tenantsMax: number;
  readonly keepMs: number;
}): Floors {
  const { floorsMax, tenantsMax, keepMs } = limits;
  const tenants = new Map<TenantId, TenantFloors>();
  const blindUntilMs = new Float64Array(bucketCount).fill(none);

  const floorsOf = (tenantId: TenantId, nowMs: number): TenantFloors => {
    // Moved to the end: the first is the one that was raised longest ago.
    const known = tenants.get(tenantId) ?? { all: undefined, keys: new Map(), tags: new Map() };
    tenants.delete(tenantId);
    if (tenants.size >= tenantsMax) {
      const [oldest] = tenants.keys();
      if (oldest !== undefined) {
        tenants.delete(oldest);
        blindUntilMs[bucketOf(oldest)] = nowMs + keepMs;
      }
    }
    tenants.set(tenantId, known);
    return known;
  };
  return {
    raise({ tenantId, keys = [], tags = [], position }, nowMs) {
      const floors = floorsOf(tenantId, nowMs);
      const floor = (before: Floor | undefined): Floor => ({
        position: Math.max(position, before && before.untilMs > nowMs ? before.position : none),
        untilMs: nowMs + keepMs,
      });
      if (keys.length + tags.length === 0) floors.all = floor(floors.all);
      for (const key of keys) floors.keys.set(key, floor(floors.keys.get(key)));
      for (const tag of tags) floors.tags.set(tag, floor(floors.tags.get(tag)));
      if (floors.keys.size + floors.tags.size > floorsMax) coarsen(floors, nowMs);
    },
    of(tenantId, key, tags, nowMs) {
      if ((blindUntilMs[bucketOf(tenantId)] ?? none) > nowMs) return Number.POSITIVE_INFINITY;
      const floors = tenants.get(tenantId);
      if (!floors) return none;
      const at = (floor: Floor | undefined) =>
        floor && floor.untilMs > nowMs ? floor.position : none;
      return Math.max(
        at(floors.all),
        at(floors.keys.get(key)),
        ...tags.map((tag) => at(floors.tags.get(tag))),
      );
    },
  };
}

/** Forgets what is over; when that is not enough, the highest floor counts for everything. */
function coarsen(floors: TenantFloors, nowMs: number): void {
  const counting = [...floors.keys.values(), ...floors.tags.values(), floors.all].filter(
    (floor) => floor !== undefined && floor.untilMs > nowMs,
  ) as Floor[];
  floors.all = {
    position: Math.max(...counting.map(({ position }) => position)),
    untilMs: Math.max(...counting.map(({ untilMs }) => untilMs)),
  };
  floors.keys = new Map();
  floors.tags = new Map();
}

function bucketOf(tenantId: TenantId): number {
  let hash = 0;
  for (let at = 0; at < tenantId.length; at++) hash = (hash * 31 + tenantId.charCodeAt(at)) | 0;
  return (hash >>> 0) % bucketCount;
}
