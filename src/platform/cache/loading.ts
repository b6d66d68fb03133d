import type { TenantId } from "../../kernel/ids.ts";
import {
  type Desk,
  endFlight,
  type Flight,
  failFlight,
  findByKey,
  type Held,
  hold,
  reaches,
} from "./desk.ts";
import { enclose } from "./envelope.ts";
import { spanOf } from "./freshness.ts";
import { callLoad, type Loaded } from "./load.ts";
import type { Claim, TierWrite } from "./shared-tier.ts";

/** Epochs of tags by their names in the tier, as they were before anything was loaded. */
export type Epochs = ReadonlyMap<string, number>;

/** What vouches for a value with these tags: the cache, the tenant and the tags, by their names in the tier. */
export function tagNames<Value>(
  { names }: Desk<Value>,
  tenantId: TenantId,
  tags: readonly string[],
): string[] {
  return [
    names.cacheTag,
    names.tenantTag(tenantId),
    ...tags.map((tag) => names.tagOf(tenantId, tag)),
  ];
}

/** Under which rights something is loaded. */
export interface Rights<Value> {
  readonly claims: ReadonlyMap<Flight<Value>, Claim>;
  readonly epochs: Epochs;
}

/**
 * Loads what some flights ask for, gives it to whoever waits, and keeps it where that is safe.
 */
export async function loadAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: readonly Flight<Value>[],
  rights: Rights<Value>,
): Promise<void> {
  const { counts, limits, load, name } = desk;
  const keys = flights.map(({ key }) => key);
  const beganAtMs = performance.now();
  const loadedAtMs = Date.now();
  counts.loads++;
  counts.loadedKeys += keys.length;
  let loaded: Loaded<Value>;
  try {
    loaded = await callLoad(load, tenantId, keys, limits.loadTimeoutMs);
  } catch (error) {
    counts.loadErrors++;
    desk.emit({ kind: "load_failed", cache: name, tenantId, keys: keys.length, error });
    for (const flight of flights) failFlight(desk, flight, error);
    await giveBack(desk, rights.claims);
    return;
  }
  const loadMs = performance.now() - beganAtMs;
  desk.emit({ kind: "loaded", cache: name, tenantId, keys: keys.length, elapsedMs: loadMs });
  const { values, asOf } = loaded;
  const arrivals = flights.map((flight, at) => ({
    flight,
    held: holdable(desk, flight, { value: values[at], asOf, loadedAtMs, loadMs }),
  }));
  const claimed = arrivals.filter(({ flight }) => rights.claims.has(flight));
  for (const arrival of arrivals) {
    if (!rights.claims.has(arrival.flight)) settle(desk, arrival, undefined);
    arrival.flight.land(arrival.held);
  }
  if (rights.claims.size > 0) await keepAll(desk, tenantId, claimed, rights);
}

/** A loaded value, and who asked for it. */
interface ArrivedFlight<Value> {
  readonly flight: Flight<Value>;
  readonly held: Held<Value>;
}

/** Makes of a loaded value what is held. */
function holdable<Value>(
  desk: Desk<Value>,
  flight: Flight<Value>,
  {
    value,
    asOf,
    loadedAtMs,
    loadMs,
  }: Pick<Held<Value>, "value" | "asOf" | "loadedAtMs" | "loadMs">,
): Held<Value> {
  const own = value === undefined ? undefined : desk.tagsOfValue?.(flight.key, value);
  const tags = own ? [...new Set([...flight.tags, ...own])] : flight.tags;
  const arrival = { isMissing: value === undefined, ageMs: 0, loadMs };
  const span = spanOf(desk.lifetimes, arrival, desk.now(), desk.random);
  return { value, asOf, tags, loadedAtMs, loadMs, span, quietUntilMs: span.quietUntilMs };
}

/** Keeps what was loaded under claims, in the tier and then in this process. */
async function keepAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  arrivals: readonly ArrivedFlight<Value>[],
  { claims, epochs }: Rights<Value>,
): Promise<void> {
  const worthy = arrivals.filter(({ flight, held }) => mayKeep(desk, flight, held));
  const vouched = await vouch(desk, tenantId, worthy, epochs);
  const fills = new Map<Flight<Value>, { readonly claim: Claim; readonly write: TierWrite }>();
  for (const { flight, held } of worthy) {
    const claim = claims.get(flight);
    const write = claim && writeOf(desk, flight, held, vouched);
    if (claim && write) fills.set(flight, { claim, write });
  }
  const filled = await fillAll(desk, fills);
  for (const arrival of arrivals) {
    // Whoever took the right away has seen something newer.
    if (filled.get(arrival.flight) === false) {
      endFlight(desk, arrival.flight);
      desk.counts.overtaken++;
    } else {
      settle(desk, arrival, fills.get(arrival.flight)?.write.bytes.length);
    }
  }
  const unused = [...claims].filter(([flight]) => !fills.has(flight));
  await giveBack(desk, new Map(unused));
}

/** Takes a flight off, and holds what it brought in this process unless something came between. */
function settle<Value>(
  desk: Desk<Value>,
  { flight, held }: ArrivedFlight<Value>,
  encodedBytes: number | undefined,
): void {
  const isWorthy = mayKeep(desk, flight, held);
  if (!endFlight(desk, flight)) desk.counts.overtaken++;
  else if (isWorthy) hold(desk, flight, held, encodedBytes);
}

/** Whether nothing came between that makes a value too old to keep. */
function mayKeep<Value>(desk: Desk<Value>, flight: Flight<Value>, held: Held<Value>): boolean {
  const { tenantId, key } = flight;
  const nowMs = desk.now();
  if (findByKey(desk.flights, tenantId, key) !== flight) return false;
  if (desk.isStopped || held.span.goodUntilMs <= nowMs) return false;
  // A load that does not say where it stood began after the last invalidation, or it would not be current.
  const floor = desk.floors.of(tenantId, key, held.tags, nowMs);
  return held.asOf === undefined || reaches(held.asOf, floor);
}

/**
 * Finds the epochs of tags that only the loaded values name. They were not read before the load; that
 * no tag of the tenant began a new one since is as good.
 */
async function vouch<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  arrivals: readonly ArrivedFlight<Value>[],
  epochs: Epochs,
): Promise<Epochs> {
  const named = new Set(arrivals.flatMap(({ held }) => tagNames(desk, tenantId, held.tags)));
  const further = [...named].filter((tag) => !epochs.has(tag));
  if (!desk.link || epochs.size === 0 || further.length === 0) return epochs;
  const anyTag = desk.names.anyTag(tenantId);
  const current = await desk.link.ask((tier) => tier.epochs(further));
  // In this order: whoever begins a new epoch of a tag does so of any tag before.
  const [any] = (await desk.link.ask((tier) => tier.epochs([anyTag]))) ?? [];
  if (!current || any !== epochs.get(anyTag)) return epochs;
  return new Map([...epochs, ...further.map((tag, at) => [tag, current[at] ?? 0] as const)]);
}

/** Makes what is written to the tier. @returns nothing when it cannot be vouched for, or not encoded */
export function writeOf<Value>(
  desk: Desk<Value>,
  { tenantId, key }: Pick<Flight<Value>, "tenantId" | "key">,
  held: Held<Value>,
  epochs: Epochs,
): TierWrite | undefined {
  const vouching = tagNames(desk, tenantId, held.tags).map((tag) => epochs.get(tag));
  if (vouching.includes(undefined)) return undefined;
  const name = desk.names.keyOf(tenantId, key);
  try {
    const payload = held.value === undefined ? undefined : desk.codec.encode(held.value);
    const bytes = enclose(name, { ...held, payload, epochs: vouching as number[] });
    return { key: name, bytes, ttlMs: Math.max(1, Math.ceil(held.span.goodUntilMs - desk.now())) };
  } catch (error) {
    desk.emit({ kind: "not_encoded", cache: desk.name, tenantId, key, error });
    return undefined;
  }
}

/** Writes to the tier under claims. @returns per flight whether the claim was still good */
async function fillAll<Value>(
  desk: Desk<Value>,
  fills: ReadonlyMap<Flight<Value>, { readonly claim: Claim; readonly write: TierWrite }>,
): Promise<ReadonlyMap<Flight<Value>, boolean>> {
  if (fills.size === 0) return new Map();
  const filled = await desk.link?.ask((tier) =>
    Promise.all([...fills.values()].map(({ claim, write }) => tier.fill(claim, write))),
  );
  if (!filled) return new Map();
  return new Map([...fills.keys()].map((flight, at) => [flight, filled[at] ?? false]));
}

/** Gives rights back that were not used, so that others need not wait for their end. */
export async function giveBack<Value>(
  desk: Desk<Value>,
  claims: ReadonlyMap<Flight<Value>, Claim>,
): Promise<void> {
  if (claims.size === 0) return;
  await desk.link?.ask((tier) =>
    Promise.all(
      [...claims].map(([{ tenantId, key }, claim]) =>
        tier.unclaim(claim, desk.names.keyOf(tenantId, key)),
      ),
    ),
  );
}
