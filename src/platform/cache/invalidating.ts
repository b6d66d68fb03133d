import type { TenantId } from "../../kernel/ids.ts";
import { type Desk, findByKey, type Held } from "./desk.ts";
import type { Invalidation } from "./invalidation.ts";
import type { Removal } from "./tier-link.ts";

/** Takes an invalidation in, in this process: at once. */
export function invalidateLocally<Value>(desk: Desk<Value>, invalidation: Invalidation): void {
  const { tenantId, position } = invalidation;
  if (position !== undefined) desk.floors.raise({ ...invalidation, position }, desk.now());
  overtake(desk, invalidation);
  let dropped = 0;
  for (const key of heldKeys(desk, invalidation)) {
    const held = desk.local.peek(tenantId, key)?.value;
    if (held && isOlder(held, position) && desk.local.delete(tenantId, key)) dropped++;
  }
  desk.emit({ kind: "invalidated", cache: desk.name, tenantId, dropped });
}

/** What an invalidation has to remove from the tier. */
export function removalOf<Value>(
  { names, tagsOfValue }: Desk<Value>,
  { tenantId, keys = [], tags = [] }: Invalidation,
): Removal {
  if (keys.length + tags.length === 0) {
    return { keys: [], firstTags: [], tags: [names.tenantTag(tenantId)] };
  }
  return {
    keys: keys.map((key) => names.keyOf(tenantId, key)),
    firstTags: tags.length > 0 && tagsOfValue ? [names.anyTag(tenantId)] : [],
    tags: tags.map((tag) => names.tagOf(tenantId, tag)),
  };
}

/** Drops everything, because announcements may have been missed. */
export function doubtEverything<Value>(desk: Desk<Value>): void {
  desk.flights.clear();
  for (const writings of desk.writings.values()) {
    for (const writing of writings.values()) writing.isOvertaken = true;
  }
  desk.local.clear();
  desk.emit({ kind: "doubted", cache: desk.name });
}

function isOlder<Value>({ asOf }: Held<Value>, position: number | undefined): boolean {
  return position === undefined || asOf === undefined || asOf < position;
}

function heldKeys<Value>(
  { tagIndex, local }: Desk<Value>,
  { tenantId, keys = [], tags = [] }: Invalidation,
): ReadonlySet<string> {
  if (keys.length + tags.length > 0) {
    return new Set([...keys, ...tags.flatMap((tag) => tagIndex.keysOf(tenantId, tag))]);
  }
  return new Set([...local.entriesOf(tenantId)].map(({ key }) => key));
}

/** What is under way and may have seen the old state is not kept, and nobody joins it any more. */
function overtake<Value>(desk: Desk<Value>, invalidation: Invalidation): void {
  const { tenantId, keys = [], tags = [] } = invalidation;
  if (tags.length === 0 && keys.length > 0) {
    for (const key of keys) overtakeKey(desk, tenantId, key);
    return;
  }
  const named = new Set(tags);
  const isMeant = (flightTags: readonly string[]) =>
    tags.length === 0 || desk.tagsOfValue !== undefined || flightTags.some((tag) => named.has(tag));
  for (const { key, tags: flightTags } of [...(desk.flights.get(tenantId)?.values() ?? [])]) {
    if (keys.includes(key) || isMeant(flightTags)) overtakeKey(desk, tenantId, key);
  }
  for (const writing of desk.writings.get(tenantId)?.values() ?? []) writing.isOvertaken = true;
}

/** Overtakes what is under way for one key. */
export function overtakeKey<Value>(desk: Desk<Value>, tenantId: TenantId, key: string): void {
  const flights = desk.flights.get(tenantId);
  if (flights?.delete(key) && flights.size === 0) desk.flights.delete(tenantId);
  const writing = findByKey(desk.writings, tenantId, key);
  if (writing) writing.isOvertaken = true;
}
