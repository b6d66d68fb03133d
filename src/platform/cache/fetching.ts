import type { TenantId } from "../../kernel/ids.ts";
import { type Desk, endFlight, type Flight, failFlight, hold, reaches } from "./desk.ts";
import { disclose, type Enclosed } from "./envelope.ts";
import { spanOf } from "./freshness.ts";
import { type Epochs, giveBack, loadAll, tagNames } from "./loading.ts";
import type { Claim } from "./shared-tier.ts";

/** Flights that begin together, of one tenant. */
type Flights<Value> = readonly Flight<Value>[];

/** Waits for another node begin so short, milliseconds, and double up to the longest. */
const pauseMs = { first: 5, longest: 160 } as const;

/** Brings every one of some flights down, from the tier or from the source. */
export async function fetchAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
): Promise<void> {
  try {
    const untilMs = performance.now() + desk.limits.waitMs;
    await fetchRound(desk, tenantId, flights, { untilMs, pauseMs: pauseMs.first });
  } catch (error) {
    for (const flight of flights) failFlight(desk, flight, error);
  }
}

interface Patience {
  /** Until when another node's load is waited for, milliseconds of `performance.now()`. */
  readonly untilMs: number;
  readonly pauseMs: number;
}

async function fetchRound<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
  patience: Patience,
): Promise<void> {
  const epochs = new Map<string, number>();
  const missing = await lookUp(desk, tenantId, flights, epochs);
  if (missing.length === 0) return;
  const isPatient = performance.now() < patience.untilMs;
  const claims = isPatient ? await claimAll(desk, tenantId, missing, epochs) : undefined;
  if (!claims) return loadAll(desk, tenantId, missing, { claims: new Map(), epochs });
  const mine = missing.filter((flight) => claims.has(flight));
  const theirs = missing.filter((flight) => !claims.has(flight) && !giveWay(desk, flight));
  const rounds: Promise<void>[] = [];
  if (mine.length > 0) rounds.push(loadClaimed(desk, tenantId, mine, { claims, epochs }));
  if (theirs.length > 0) rounds.push(fetchLater(desk, tenantId, theirs, patience));
  await Promise.all(rounds);
}

/**
 * Loads under claims, what is still missing: since the look another node may have loaded it and used
 * its claim up. One look more for a load, and a thousand callers of three nodes load once, not twice.
 */
async function loadClaimed<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
  { claims, epochs }: { claims: ReadonlyMap<Flight<Value>, Claim>; epochs: Map<string, number> },
): Promise<void> {
  const missing = new Set(await lookUp(desk, tenantId, flights, epochs));
  const unused = [...claims].filter(([flight]) => !missing.has(flight));
  const used = [...claims].filter(([flight]) => missing.has(flight));
  await Promise.all([
    giveBack(desk, new Map(unused)),
    missing.size > 0 && loadAll(desk, tenantId, [...missing], { claims: new Map(used), epochs }),
  ]);
}

async function fetchLater<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
  patience: Patience,
): Promise<void> {
  const jittered = patience.pauseMs * (0.5 + desk.random() / 2);
  await new Promise((resolve) => setTimeout(resolve, jittered));
  const next = Math.min(patience.pauseMs * 2, pauseMs.longest);
  await fetchRound(desk, tenantId, flights, { ...patience, pauseMs: next });
}

/** A refresh leaves a key to the node that has claimed it. */
function giveWay<Value>(desk: Desk<Value>, flight: Flight<Value>): boolean {
  if (!flight.refreshed) return false;
  endFlight(desk, flight);
  flight.land(undefined);
  return true;
}

/**
 * Looks in the tier, and lands what it finds there.
 *
 * @param epochs gets the epochs that vouch for a load that begins after this
 * @returns what it did not find
 */
async function lookUp<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
  epochs: Map<string, number>,
): Promise<Flights<Value>> {
  const { link, names } = desk;
  if (!link) return flights;
  const tags = new Set(flights.flatMap((flight) => tagNames(desk, tenantId, flight.tags)));
  if (desk.tagsOfValue) tags.add(names.anyTag(tenantId));
  const keys = flights.map(({ key }) => names.keyOf(tenantId, key));
  const asked = [...tags];
  const found = await link.ask((tier) => Promise.all([tier.read(keys), tier.epochs(asked)]));
  if (!found) return flights;
  const [values, current] = found;
  const enclosed = values.map((bytes, at) => openBytes(desk, keys[at] ?? "", bytes));
  for (const [at, tag] of asked.entries()) epochs.set(tag, current[at] ?? 0);
  const all = await withFurtherEpochs(desk, tenantId, enclosed, epochs);
  return flights.filter((flight, at) => {
    const each = enclosed[at];
    return !(each && all && landFound(desk, flight, each, all));
  });
}

function openBytes<Value>(
  desk: Desk<Value>,
  key: string,
  bytes: Buffer | undefined,
): Enclosed | undefined {
  if (!bytes) return undefined;
  const enclosed = disclose(key, bytes);
  if (!enclosed) desk.emit({ kind: "tier_garbled", cache: desk.name });
  return enclosed;
}

/** Asks for the epochs of tags that only the values themselves name. */
async function withFurtherEpochs<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  enclosed: readonly (Enclosed | undefined)[],
  epochs: Epochs,
): Promise<Epochs | undefined> {
  const named = enclosed.flatMap((each) => each?.tags ?? []);
  const further = [...new Set(named.map((tag) => desk.names.tagOf(tenantId, tag)))].filter(
    (tag) => !epochs.has(tag),
  );
  if (further.length === 0) return epochs;
  const current = await desk.link?.ask((tier) => tier.epochs(further));
  if (!current) return undefined;
  return new Map([...epochs, ...further.map((tag, at) => [tag, current[at] ?? 0] as const)]);
}

/** Lands what was found in the tier, if it can be believed. @returns whether it could */
function landFound<Value>(
  desk: Desk<Value>,
  flight: Flight<Value>,
  enclosed: Enclosed,
  epochs: Epochs,
): boolean {
  const { tenantId, key } = flight;
  const { asOf, tags, loadedAtMs, loadMs, payload } = enclosed;
  const nowMs = desk.now();
  const vouching = tagNames(desk, tenantId, tags);
  if (vouching.some((tag, at) => epochs.get(tag) !== enclosed.epochs[at])) return false;
  const floor = desk.floors.of(tenantId, key, tags, nowMs);
  if (!reaches(asOf, Math.max(floor, flight.notBefore))) return false;
  // Clocks of nodes differ: a value from the future is taken to be new.
  const ageMs = Math.max(0, Date.now() - loadedAtMs);
  const isMissing = payload === undefined;
  const span = spanOf(desk.lifetimes, { isMissing, ageMs, loadMs }, nowMs, desk.random);
  if (span.goodUntilMs <= nowMs) return false;
  const { refreshed } = flight;
  if (refreshed && (loadedAtMs <= refreshed.loadedAtMs || span.freshUntilMs <= nowMs)) return false;
  let value: Value | undefined;
  try {
    value = payload && desk.codec.decode(payload);
  } catch {
    desk.emit({ kind: "tier_garbled", cache: desk.name });
    return false;
  }
  desk.counts.sharedHits++;
  const held = { value, asOf, tags, loadedAtMs, loadMs, span, quietUntilMs: span.quietUntilMs };
  if (endFlight(desk, flight)) hold(desk, flight, held, payload?.length);
  flight.land(held);
  return true;
}

/** Asks for the right to load. @returns nothing when the tier is away */
async function claimAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  flights: Flights<Value>,
  epochs: Epochs,
): Promise<ReadonlyMap<Flight<Value>, Claim> | undefined> {
  // Without epochs from before the load nothing can be stored.
  if (!desk.link || epochs.size === 0) return undefined;
  const claims = await desk.link.ask((tier) =>
    Promise.all(
      flights.map(({ key }) => tier.claim(desk.names.keyOf(tenantId, key), desk.limits.leaseMs)),
    ),
  );
  return (
    claims &&
    new Map(
      flights.flatMap((flight, at) => {
        const claim = claims[at];
        return claim ? [[flight, claim] as const] : [];
      }),
    )
  );
}
