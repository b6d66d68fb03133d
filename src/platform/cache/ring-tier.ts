import { assert } from "../../kernel/assert.ts";
import { createRing, type RingNode } from "../../kernel/ring.ts";
import { createRingFloors, type RingFloors } from "./ring-floors.ts";
import type { RingMember } from "./ring-member.ts";
import {
  type MemberState,
  type MembershipEvent,
  openMember,
  RingTierError,
  type RingTierMember,
} from "./ring-membership.ts";
import type { Claim, SharedTier, TierWrite } from "./shared-tier.ts";

/** A tier as part of a ring. */
export interface RingTierNode extends RingNode {
  readonly tier: RingMember;
}

/** How a ring of tiers works; everything but its members has a default. */
export interface RingTierConfig {
  /** Every process names the same members: names and weights say who owns which keys. */
  readonly members: readonly RingTierNode[];
  /** Members that keep each key, 1 to 4; default 2. */
  readonly replicas?: number;
  /** Time between two looks at every member, milliseconds; default 1,000. */
  readonly beatMs?: number;
  /** Shortest time a member that failed is left out, milliseconds; it doubles up to `beatMs`; default 50. */
  readonly pauseMs?: number;
  /** Removals kept for a member that is away; with more everything in it is doubted; default 10,000. */
  readonly missedMax?: number;
  readonly onEvent?: (event: MembershipEvent) => void;
}

/** A shared tier over several, and its end. */
export interface RingTier extends SharedTier {
  readonly name: "ring";
  /** How each member stands, by name. */
  states(): ReadonlyMap<string, MemberState>;
  /** Resolves when every member is read, or after so long, milliseconds. */
  untilReady(withinMs: number): Promise<void>;
  /** Looks after members no more. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Spreads keys over several tiers by consistent hashing, each key on `replicas` of them. Reads ask the
 * first that answers; writes and removals reach all, or are kept for those that are away and delivered
 * before they are read again.
 *
 * A member that was away is told what was removed and renewed through this ring before it is read again,
 * or everything in it is doubted. Every process has to remove what it hears of through its own ring.
 */
export function createRingTier(config: RingTierConfig): RingTier {
  const { replicas = 2, missedMax = 10_000 } = config;
  assert(config.members.length > 0, "a ring of tiers has a member");
  assert(replicas >= 1 && replicas <= 4, "1 to 4 replicas");
  const ring = createRing(config.members);
  const floors = createRingFloors(missedMax);
  const onEvent = (event: MembershipEvent): void => {
    if (areAllLive()) floors.clear();
    config.onEvent?.(event);
  };
  const membership = { ...config, missedMax, onEvent };
  const members = new Map(
    config.members.map(({ name, tier }) => [name, openMember(name, tier, membership, floors)]),
  );
  const areAllLive = () => [...members.values()].every((member) => member.isLive());
  const ownersOf = (key: string): RingTierMember[] =>
    ring.ownersOf(key, replicas).map((name) => members.get(name) as RingTierMember);
  return {
    name: "ring",
    states: () => new Map([...members].map(([name, member]) => [name, member.state()])),
    async untilReady(withinMs) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, withinMs).unref());
      await Promise.race([
        Promise.all([...members.values()].map((each) => each.untilLive())),
        late,
      ]);
    },
    async stop() {
      await Promise.all([...members.values()].map((member) => member.stop()));
    },
    read: (keys) => (keys.length === 1 ? readOne(ownersOf, keys) : readFirst(ownersOf, keys)),
    write: (entries) => reachAll(ownersOf, entries, keyOf, (member, part) => member.write(part)),
    remove: (keys) => reachAll(ownersOf, keys, itself, (member, part) => member.remove(part)),
    async renew(tags) {
      const renewed: (readonly [readonly string[], readonly number[]])[] = [];
      await reachAll(ownersOf, tags, itself, async (member, part) => {
        renewed.push([part, await member.renew(part)]);
      });
      // Asked now: until a member that could not be told was told, it is not live.
      if (!areAllLive()) for (const [part, epochs] of renewed) floors.raise(part, epochs);
      return agreeOnEpochs(ownersOf, tags, floors);
    },
    epochs: (tags) => agreeOnEpochs(ownersOf, tags, floors),
    claim: (key, leaseMs) => claimAll(ownersOf(key), key, leaseMs),
    fill: ({ token }, entry) => fillAll(ownersOf(entry.key), token, entry),
    async unclaim({ token }, key) {
      const claims = claimsOf(token);
      const claimed = ownersOf(key).filter(({ name }) => claims.has(name));
      await atAll(claimed, key, (member) => member.unclaim(claims.get(member.name) as Claim, key));
    },
  };
}

export { type MemberState, type MembershipEvent, RingTierError } from "./ring-membership.ts";

type OwnersOf = (key: string) => readonly RingTierMember[];

const itself = (name: string) => name;
const keyOf = ({ key }: TierWrite) => key;

function away(what: string): RingTierError {
  return new RingTierError(`no member of the ring that keeps ${what} answers`);
}

/** What most reads are: without sorting keys by owner. */
async function readOne(
  ownersOf: OwnersOf,
  keys: readonly string[],
): Promise<readonly (Buffer | undefined)[]> {
  const [key = ""] = keys;
  for (const owner of ownersOf(key)) {
    const found = owner.isLive() && (await owner.read(keys).catch(() => undefined));
    if (found) return found;
  }
  throw away(key);
}

/** Asks for every key the first of its owners that answers; a round for each one that fails. */
async function readFirst(
  ownersOf: OwnersOf,
  keys: readonly string[],
): Promise<readonly (Buffer | undefined)[]> {
  const found: (Buffer | undefined)[] = new Array(keys.length).fill(undefined);
  let wanted = keys.map((key, at) => ({ key, at }));
  while (wanted.length > 0) {
    const parts = new Map<RingTierMember, typeof wanted>();
    for (const each of wanted) {
      const owner = ownersOf(each.key).find((member) => member.isLive());
      if (!owner) throw away(each.key);
      const part = parts.get(owner);
      if (part) part.push(each);
      else parts.set(owner, [each]);
    }
    const failed: typeof wanted = [];
    await Promise.all(
      [...parts].map(async ([member, part]) => {
        const values = await member.read(part.map(({ key }) => key)).catch(() => undefined);
        if (!values) failed.push(...part);
        else for (const [index, { at }] of part.entries()) found[at] = values[index];
      }),
    );
    wanted = failed;
  }
  return found;
}

/** The owners of some names, each with the places of those it owns. */
function partsOf(
  ownersOf: OwnersOf,
  names: readonly string[],
): ReadonlyMap<RingTierMember, readonly number[]> {
  const parts = new Map<RingTierMember, number[]>();
  for (const [at, name] of names.entries()) {
    for (const member of ownersOf(name)) {
      const part = parts.get(member);
      if (part) part.push(at);
      else parts.set(member, [at]);
    }
  }
  return parts;
}

/** Hands every item to all its owners. @throws RingTierError when one reached none of them */
async function reachAll<Item>(
  ownersOf: OwnersOf,
  items: readonly Item[],
  nameOf: (item: Item) => string,
  reach: (member: RingTierMember, part: readonly Item[]) => Promise<void>,
): Promise<void> {
  const parts = partsOf(ownersOf, items.map(nameOf));
  const reached = new Set<Item>();
  await Promise.all(
    [...parts].map(async ([member, places]) => {
      const part = places.map((at) => items[at] as Item);
      const isDone = await reach(member, part).then(
        () => true,
        () => false,
      );
      if (isDone) for (const item of part) reached.add(item);
    }),
  );
  const missed = items.find((item) => !reached.has(item));
  if (missed !== undefined) throw away(nameOf(missed));
}

/** Asks all of these that can be asked. @throws RingTierError when none answers */
async function atAll<Value>(
  owners: readonly RingTierMember[],
  key: string,
  ask: (member: RingTierMember) => Promise<Value>,
): Promise<readonly Value[]> {
  const live = owners.filter((member) => member.isLive());
  const answers = await Promise.allSettled(live.map(ask));
  const given = answers.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  if (owners.length > 0 && given.length === 0) throw away(key);
  return given;
}

/**
 * The largest epoch that an owner knows, made known to those that know less or none. An owner that may
 * be asked was told of every renewal, so the largest is at least the last one; and it is not lost with
 * the owner that had it, nor with one that was emptied. Only a tag that no owner knows begins.
 */
async function agreeOnEpochs(
  ownersOf: OwnersOf,
  tags: readonly string[],
  floors: RingFloors,
): Promise<readonly number[]> {
  const known = await askOwners(ownersOf, tags, (member, part) => member.knownEpochs(part));
  for (const tag of tags) {
    if (![...known.values()].some((epochs) => epochs.has(tag))) throw away(tag);
  }
  const largest = tags.map((tag) => Math.max(floors.of(tag), ...valuesOf(known, tag)));
  const unknown = tags.filter((_, at) => largest[at] === 0);
  if (unknown.length > 0) {
    const begun = await askOwners(ownersOf, unknown, (member, part) => member.epochs(part));
    for (const [at, tag] of tags.entries()) {
      if (largest[at] === 0) largest[at] = Math.max(0, ...valuesOf(begun, tag));
      if (largest[at] === 0) throw away(tag);
    }
    for (const [member, epochs] of begun)
      known.set(member, new Map([...(known.get(member) ?? []), ...epochs]));
  }
  await Promise.all(
    [...known].map(async ([member, epochs]) => {
      const behind = tags
        .map((tag, at) => ({ tag, epoch: largest[at] as number }))
        .filter(({ tag, epoch }) => epochs.has(tag) && (epochs.get(tag) ?? 0) < epoch);
      if (behind.length === 0) return;
      const lifting = member.lift(
        behind.map(({ tag }) => tag),
        behind.map(({ epoch }) => epoch),
      );
      await lifting.catch(() => {});
    }),
  );
  return largest;
}

type EpochsByMember = Map<RingTierMember, ReadonlyMap<string, number | undefined>>;

/** Asks every owner that can be asked. @returns what those said who answered */
async function askOwners(
  ownersOf: OwnersOf,
  tags: readonly string[],
  ask: (
    member: RingTierMember,
    part: readonly string[],
  ) => Promise<readonly (number | undefined)[]>,
): Promise<EpochsByMember> {
  const answers: EpochsByMember = new Map();
  await Promise.all(
    [...partsOf(ownersOf, tags)].map(async ([member, places]) => {
      if (!member.isLive()) return;
      const part = places.map((at) => tags[at] as string);
      const epochs = await ask(member, part).catch(() => undefined);
      if (epochs) answers.set(member, new Map(part.map((tag, at) => [tag, epochs[at]])));
    }),
  );
  return answers;
}

function valuesOf(answers: EpochsByMember, tag: string): readonly number[] {
  return [...answers.values()].flatMap((epochs) => epochs.get(tag) ?? []);
}

/** The first owner that answers decides; the others are asked so that a copy is refused like the value. */
async function claimAll(
  owners: readonly RingTierMember[],
  key: string,
  leaseMs: number,
): Promise<Claim | undefined> {
  for (const [at, first] of owners.entries()) {
    if (!first.isLive()) continue;
    const answer = await first.claim(key, leaseMs).then(
      (claim) => ({ claim }),
      () => undefined,
    );
    if (!answer) continue;
    if (!answer.claim) return undefined;
    const claims = new Map([[first.name, answer.claim]]);
    const others = owners.slice(at + 1).filter((member) => member.isLive());
    await Promise.allSettled(
      others.map(async (member) => {
        const claim = await member.claim(key, leaseMs);
        if (claim) claims.set(member.name, claim);
      }),
    );
    return { token: tokenOf(claims) };
  }
  throw away(key);
}

/**
 * Fills where the right was given. Where one of them refuses, the key was changed: what the others
 * took goes again.
 */
async function fillAll(
  owners: readonly RingTierMember[],
  token: string,
  entry: TierWrite,
): Promise<boolean> {
  const claims = claimsOf(token);
  const filled: RingTierMember[] = [];
  const claimed = owners.filter(({ name }) => claims.has(name));
  const answers = await atAll(claimed, entry.key, async (member) => {
    const isFilled = await member.fill(claims.get(member.name) as Claim, entry);
    if (isFilled) filled.push(member);
    return isFilled;
  });
  if (answers.every(Boolean)) return answers.length > 0;
  await Promise.allSettled(filled.map((member) => member.remove([entry.key])));
  return false;
}

/** `member=token` of each owner that gave a right. */
function tokenOf(claims: ReadonlyMap<string, Claim>): string {
  return [...claims].map(([name, { token }]) => `${encodeURIComponent(name)}=${token}`).join("&");
}

function claimsOf(token: string): ReadonlyMap<string, Claim> {
  return new Map([...new URLSearchParams(token)].map(([name, each]) => [name, { token: each }]));
}
