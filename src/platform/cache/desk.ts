import type { TenantId } from "../../kernel/ids.ts";
import type { Random } from "../../kernel/random.ts";
import type { Codec } from "./envelope.ts";
import type { CacheCounts, CacheEvent } from "./events.ts";
import type { Floors } from "./floors.ts";
import type { Lifetimes, Span } from "./freshness.ts";
import type { Load } from "./load.ts";
import type { LocalStore } from "./local-store.ts";
import type { TagIndex } from "./tag-index.ts";
import type { TierLink } from "./tier-link.ts";
import type { TierNames } from "./tier-names.ts";

/** A value as this process holds it. */
export interface Held<Value> {
  /** Nothing: it is known not to exist. */
  readonly value: Value | undefined;
  readonly asOf: number | undefined;
  readonly tags: readonly string[];
  /** When it was loaded, epoch milliseconds by the clock of whoever did. */
  readonly loadedAtMs: number;
  readonly loadMs: number;
  readonly span: Span;
  /** Until when it is answered without a thought; put off while somebody refreshes it. */
  quietUntilMs: number;
}

/** What a flight brings: nothing when another node is about to. */
export type Landed<Value> = Pick<Held<Value>, "value" | "asOf"> | undefined;

/** One key being asked for, in the tier and at the source. */
export interface Flight<Value> {
  readonly tenantId: TenantId;
  readonly key: string;
  /** The tags its key names. */
  readonly tags: readonly string[];
  /** Nothing older lands, -Infinity: anything does. */
  readonly notBefore: number;
  /** What is to be replaced behind the answer; a refresh gives way to other nodes. */
  readonly refreshed: Held<Value> | undefined;
  readonly done: Promise<Landed<Value>>;
  readonly land: (landed: Landed<Value>) => void;
  readonly fail: (error: unknown) => void;
}

/** A write-through under way. */
export interface Writing {
  /** Something else happened to its key meanwhile: what it wrote may not be the last word. */
  isOvertaken: boolean;
}

/** Something per tenant and key. */
export type ByKey<Value> = Map<TenantId, Map<string, Value>>;

/** What the parts of a cache share. */
export interface Desk<Value> {
  readonly name: string;
  readonly load: Load<Value>;
  readonly lifetimes: Lifetimes;
  readonly limits: {
    readonly loadBatchMax: number;
    readonly flightsMax: number;
    readonly loadTimeoutMs: number;
    readonly leaseMs: number;
    readonly waitMs: number;
    readonly errorTtlMs: number;
  };
  readonly tagsOfKey: (key: string) => readonly string[];
  /** Absent: no value names tags of its own. */
  readonly tagsOfValue: ((key: string, value: Value) => readonly string[]) | undefined;
  readonly sizeOf: (value: Value | undefined, encodedBytes: number | undefined) => number;
  readonly codec: Codec<Value>;
  readonly names: TierNames;
  readonly link: TierLink | undefined;
  readonly local: LocalStore<Held<Value>>;
  readonly tagIndex: TagIndex;
  readonly floors: Floors;
  /** The flight that a caller may join; one that was overtaken is not here any more. */
  readonly flights: ByKey<Flight<Value>>;
  /** Flights that begin when the current turn is over. */
  readonly boarding: Map<TenantId, Flight<Value>[]>;
  readonly underWay: {
    /** Keys being asked for, whether or not somebody may join. */
    flights: number;
    /** Failures that are remembered. */
    failures: number;
  };
  readonly writings: ByKey<Writing>;
  readonly counts: CacheCounts;
  readonly now: () => number;
  readonly random: Random;
  readonly emit: (event: CacheEvent) => void;
  isStopped: boolean;
}

/** Whether a position is known and not before another. */
export function reaches(asOf: number | undefined, notBefore: number): boolean {
  return notBefore === Number.NEGATIVE_INFINITY || (asOf !== undefined && asOf >= notBefore);
}

/** Finds what there is for a key. */
export function findByKey<Value>(
  all: ByKey<Value>,
  tenantId: TenantId,
  key: string,
): Value | undefined {
  return all.get(tenantId)?.get(key);
}

/** Puts something down for a key, over whatever was there. */
export function setByKey<Value>(
  all: ByKey<Value>,
  tenantId: TenantId,
  key: string,
  value: Value,
): void {
  const keys = all.get(tenantId);
  if (keys) keys.set(key, value);
  else all.set(tenantId, new Map([[key, value]]));
}

/** Forgets what there is for a key, if it is still this. @returns whether it was */
export function deleteByKey<Value>(
  all: ByKey<Value>,
  tenantId: TenantId,
  key: string,
  value: Value,
): boolean {
  const keys = all.get(tenantId);
  if (keys?.get(key) !== value) return false;
  keys.delete(key);
  if (keys.size === 0) all.delete(tenantId);
  return true;
}

/** What an entry takes beside its key and value, bytes (measured: 430 for a value of one number). */
const entryBytes = 400;

/** Holds a value in this process. */
export function hold<Value>(
  desk: Desk<Value>,
  { tenantId, key }: { readonly tenantId: TenantId; readonly key: string },
  held: Held<Value>,
  encodedBytes: number | undefined,
): void {
  if (desk.isStopped || held.span.goodUntilMs <= desk.now()) return;
  const sizeBytes = entryBytes + key.length + desk.sizeOf(held.value, encodedBytes);
  const placing = { sizeBytes, expiresAtMs: held.span.keptUntilMs };
  if (desk.local.set(tenantId, key, held, placing)) desk.tagIndex.add(tenantId, key, held.tags);
}

/** Takes a flight off, so that nobody joins it any more. @returns false when it had been overtaken */
export function endFlight<Value>(desk: Desk<Value>, flight: Flight<Value>): boolean {
  return deleteByKey(desk.flights, flight.tenantId, flight.key, flight);
}

/** Tells whoever waits that it failed; the next ones hear the same for a moment, if there is one. */
export function failFlight<Value>(desk: Desk<Value>, flight: Flight<Value>, error: unknown): void {
  const { underWay, limits } = desk;
  if (limits.errorTtlMs > 0 && underWay.failures < limits.flightsMax) {
    underWay.failures++;
    const forget = () => {
      underWay.failures--;
      endFlight(desk, flight);
    };
    setTimeout(forget, limits.errorTtlMs).unref();
  } else {
    endFlight(desk, flight);
  }
  flight.fail(error);
}
