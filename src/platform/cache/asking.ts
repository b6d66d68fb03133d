import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import {
  type Desk,
  type Flight,
  findByKey,
  type Held,
  type Landed,
  reaches,
  setByKey,
} from "./desk.ts";
import { CacheError } from "./errors.ts";
import { fetchAll } from "./fetching.ts";

/** Longest key, characters. */
const keyLengthMax = 1_000;
/** While a value is refreshed, nobody else tries to, milliseconds. */
const refreshPauseMs = 1_000;

/**
 * Asks for a value that is not held: joins whoever asks already, or begins a flight.
 *
 * @throws what the load throws, unless there is an old value for that case
 */
export async function ask<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  key: string,
  notBefore = Number.NEGATIVE_INFINITY,
): Promise<Value | undefined> {
  desk.counts.misses++;
  try {
    for (;;) {
      const landed = await join(desk, tenantId, key, notBefore);
      // A refresh that gave way to another node brings nothing; whoever needs the value asks on.
      if (!landed) continue;
      // A load that does not say where it stood began after it was asked for, and has seen that.
      if (landed.asOf === undefined || landed.asOf >= notBefore) return landed.value;
      const message = `${desk.name}: the source stands at ${landed.asOf}, not at ${notBefore}`;
      throw new CacheError("ERR_CACHE_BEHIND", message);
    }
  } catch (error) {
    const old = desk.local.peek(tenantId, key)?.value;
    if (!old || desk.now() >= old.span.keptUntilMs || !reaches(old.asOf, notBefore)) throw error;
    desk.counts.staleAnswers++;
    desk.emit({ kind: "stale_answered", cache: desk.name, tenantId });
    return old.value;
  }
}

/** Has a value loaded again, behind the answer. */
export function refresh<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  key: string,
  held: Held<Value>,
): void {
  held.quietUntilMs = Math.min(held.span.goodUntilMs, desk.now() + refreshPauseMs);
  if (findByKey(desk.flights, tenantId, key) || isFull(desk)) return;
  desk.counts.refreshes++;
  begin(desk, tenantId, key, { notBefore: Number.NEGATIVE_INFINITY, refreshed: held });
}

function join<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  key: string,
  notBefore: number,
): Promise<Landed<Value>> {
  const flight = findByKey(desk.flights, tenantId, key);
  // Who asked for as much before this caller began after what this caller knows of.
  if (flight && flight.notBefore >= notBefore) {
    desk.counts.joined++;
    return flight.done;
  }
  if (isFull(desk)) {
    const message = `${desk.name}: ${desk.limits.flightsMax} keys are being asked for already`;
    return Promise.reject(new CacheError("ERR_CACHE_FULL", message));
  }
  return begin(desk, tenantId, key, { notBefore, refreshed: undefined }).done;
}

function isFull<Value>({ underWay, limits }: Desk<Value>): boolean {
  return underWay.flights >= limits.flightsMax;
}

/** Begins a flight; those of a tenant that begin in one turn go together. */
function begin<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  key: string,
  how: Pick<Flight<Value>, "notBefore" | "refreshed">,
): Flight<Value> {
  assert(key.length <= keyLengthMax, `a key has up to ${keyLengthMax} characters`);
  const { promise, resolve, reject } = Promise.withResolvers<Landed<Value>>();
  const tags = desk.tagsOfKey(key);
  const flight = { tenantId, key, tags, ...how, done: promise, land: resolve, fail: reject };
  desk.underWay.flights++;
  const count = () => {
    desk.underWay.flights--;
  };
  promise.then(count, count);
  setByKey(desk.flights, tenantId, key, flight);
  const boarding = desk.boarding.get(tenantId);
  if (boarding) boarding.push(flight);
  else {
    desk.boarding.set(tenantId, [flight]);
    // Behind the current I/O turn: callers woken by the same packet share a load.
    setImmediate(depart, desk, tenantId);
  }
  return flight;
}

function depart<Value>(desk: Desk<Value>, tenantId: TenantId): void {
  const flights = desk.boarding.get(tenantId) ?? [];
  desk.boarding.delete(tenantId);
  const { loadBatchMax } = desk.limits;
  for (let at = 0; at < flights.length; at += loadBatchMax) {
    void fetchAll(desk, tenantId, flights.slice(at, at + loadBatchMax));
  }
}
