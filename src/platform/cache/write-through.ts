import type { TenantId } from "../../kernel/ids.ts";
import {
  type Desk,
  deleteByKey,
  endFlight,
  findByKey,
  type Held,
  hold,
  setByKey,
  type Writing,
} from "./desk.ts";
import { spanOf } from "./freshness.ts";
import { type Epochs, tagNames, writeOf } from "./loading.ts";
import type { Claim } from "./shared-tier.ts";

/** A value to write; nothing: it does not exist any more. */
export interface Put<Value> {
  readonly key: string;
  readonly value: Value | undefined;
}

/**
 * Writes values to the source.
 *
 * @returns where the truth stands after it, as `asOf` of a load, if that is known
 */
export type Write<Value> = (
  tenantId: TenantId,
  puts: readonly Put<Value>[],
) => Promise<number | undefined>;

/** One key being written through. */
interface Passage<Value> {
  readonly key: string;
  readonly value: Value | undefined;
  readonly tags: readonly string[];
  /** The key's name in the tier. */
  readonly name: string;
  readonly writing: Writing;
}

/**
 * Writes to the source, then to the tiers. The tier forgets the key before, and is written only under
 * a claim that nobody took away meanwhile: a crash in the middle, or another node that writes the same
 * key, leaves it empty, never old.
 *
 * @throws what `write` throws; whether it wrote is then not known, and nothing is kept
 */
export async function putThrough<Value>(
  desk: Desk<Value>,
  write: Write<Value>,
  tenantId: TenantId,
  puts: readonly Put<Value>[],
): Promise<void> {
  const passages = puts.map((put) => begin(desk, tenantId, put));
  const forget = async (some: readonly Passage<Value>[]) => {
    const keys = some.map(({ name }) => name);
    if (keys.length > 0) await desk.link?.remove({ keys, firstTags: [], tags: [] });
  };
  try {
    await forget(passages);
    const rights = await claimAll(desk, tenantId, passages);
    const beganAtMs = performance.now();
    const asOf = await write(tenantId, puts).finally(() => {
      // What was loaded while it was written may be from before.
      for (const { key } of passages) drop(desk, tenantId, key);
    });
    const loadMs = performance.now() - beganAtMs;
    const kept = await keepAll(desk, tenantId, passages, { asOf, loadMs, rights });
    await forget(passages.filter((passage) => !kept.has(passage)));
  } catch (error) {
    await forget(passages);
    throw error;
  } finally {
    for (const { key, writing } of passages) deleteByKey(desk.writings, tenantId, key, writing);
  }
}

/** Of two writes of a key that overlap nobody here knows which is the last: neither is kept. */
function begin<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  { key, value }: Put<Value>,
): Passage<Value> {
  const other = findByKey(desk.writings, tenantId, key);
  if (other) other.isOvertaken = true;
  const writing: Writing = { isOvertaken: other !== undefined };
  setByKey(desk.writings, tenantId, key, writing);
  drop(desk, tenantId, key);
  const own = value === undefined ? undefined : desk.tagsOfValue?.(key, value);
  const tags = [...new Set([...desk.tagsOfKey(key), ...(own ?? [])])];
  return { key, value, tags, name: desk.names.keyOf(tenantId, key), writing };
}

/** Drops what this process holds of a key, and whoever is asking for it. */
function drop<Value>(desk: Desk<Value>, tenantId: TenantId, key: string): void {
  const flight = findByKey(desk.flights, tenantId, key);
  if (flight) endFlight(desk, flight);
  desk.local.delete(tenantId, key);
}

/** The rights to fill the tier, and what vouches for what was written after they were had. */
interface Rights<Value> {
  readonly claims: ReadonlyMap<Passage<Value>, Claim>;
  readonly epochs: Epochs;
}

async function claimAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  passages: readonly Passage<Value>[],
): Promise<Rights<Value>> {
  const tags = [...new Set(passages.flatMap((each) => tagNames(desk, tenantId, each.tags)))];
  const { leaseMs } = desk.limits;
  const answer = await desk.link?.ask((tier) =>
    Promise.all([
      tier.epochs(tags),
      Promise.all(passages.map(({ name }) => tier.claim(name, leaseMs))),
    ]),
  );
  if (!answer) return { claims: new Map(), epochs: new Map() };
  const [epochs, claims] = answer;
  const had = passages.flatMap((passage, at) => {
    const claim = claims[at];
    return claim ? [[passage, claim] as const] : [];
  });
  return {
    claims: new Map(had),
    epochs: new Map(tags.map((tag, at) => [tag, epochs[at] ?? 0] as const)),
  };
}

/** What is known once the source is written. */
interface Written<Value> {
  readonly asOf: number | undefined;
  readonly loadMs: number;
  readonly rights: Rights<Value>;
}

/** Keeps what was written where that is safe. @returns what was kept */
async function keepAll<Value>(
  desk: Desk<Value>,
  tenantId: TenantId,
  passages: readonly Passage<Value>[],
  { asOf, loadMs, rights }: Written<Value>,
): Promise<ReadonlySet<Passage<Value>>> {
  const kept = new Set<Passage<Value>>();
  const keep = async (passage: Passage<Value>) => {
    const { key, value, tags, writing } = passage;
    const arrival = { isMissing: value === undefined, ageMs: 0, loadMs };
    const span = spanOf(desk.lifetimes, arrival, desk.now(), desk.random);
    const { quietUntilMs } = span;
    const held: Held<Value> = {
      ...{ value, asOf, tags, loadMs, span, quietUntilMs },
      loadedAtMs: Date.now(),
    };
    const claim = rights.claims.get(passage);
    const entry = claim && writeOf(desk, { tenantId, key }, held, rights.epochs);
    if (desk.link && (!claim || !entry || writing.isOvertaken)) return;
    const filled = claim && entry && (await desk.link?.ask((tier) => tier.fill(claim, entry)));
    if ((desk.link && !filled) || writing.isOvertaken) return;
    hold(desk, { tenantId, key }, held, entry?.bytes.length);
    kept.add(passage);
  };
  await Promise.all(passages.map(keep));
  return kept;
}
