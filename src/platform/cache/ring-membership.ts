import { newId } from "../../kernel/ids.ts";
import type { RingFloors } from "./ring-floors.ts";
import { createGeneration, type Generation } from "./ring-generation.ts";
import type { RingMember } from "./ring-member.ts";
import { createMissed, type Missed, type Missing } from "./ring-missed.ts";
import type { Claim, SharedTier } from "./shared-tier.ts";

/**
 * How a member of a ring stands for this process: `joining`, it is not known yet whether what is in it
 * may be believed; `live`, asked; `away`, it failed and is tried again.
 */
export type MemberState = "joining" | "live" | "away";

/** What happens to members, for observers. */
export interface MembershipEvent {
  readonly kind: "member";
  readonly member: string;
  readonly state: MemberState;
  /** What made it leave. */
  readonly error?: unknown;
  /** Whether nothing is believed of what was in it before it became live. */
  readonly isDoubted?: boolean;
}

/** Limits of a membership. */
export interface MembershipConfig {
  readonly beatMs?: number;
  readonly pauseMs?: number;
  readonly missedMax: number;
  readonly onEvent?: (event: MembershipEvent) => void;
}

/** A member of a ring as this process sees it: every call rejects while it is not live. */
export interface RingTierMember extends SharedTier, Pick<RingMember, "knownEpochs" | "lift"> {
  isLive(): boolean;
  state(): MemberState;
  untilLive(): Promise<void>;
  stop(): Promise<void>;
}

/** The tier, or the part of a ring that keeps a key, cannot be asked now. */
export class RingTierError extends Error {
  override readonly name = "RingTierError";
  readonly code = "ERR_CACHE_TIER_AWAY";
  readonly retryable = true;
}

/** Where processes of a ring say that they are in touch with a member. */
const touchKey = "ring:touch";
/** Beats that somebody's word lasts. */
const touchBeats = 3;

/** What one membership consists of. */
interface Membership {
  readonly name: string;
  readonly tier: RingMember;
  readonly missed: Missed;
  readonly generation: Generation;
  readonly floors: RingFloors;
  readonly beatMs: number;
  state: MemberState;
  /** What is known of it since this process began. */
  seen: { touch?: string; life?: string };
  /** Beats in touch. */
  touches: number;
  /** Whether everything in it was doubted since it was live. */
  isDoubted: boolean;
}

/**
 * Opens a member and looks after it until it is stopped. A call that fails makes it leave; what it
 * misses then is kept, and delivered before it is live again. Everything in it is doubted
 *
 * - when it missed too much,
 * - when its server may have gone back to an older state,
 * - at the beginning, unless another process was in touch with it before and still is: whoever
 *   begins does not know what it missed while nobody was there.
 */
export function openMember(
  name: string,
  tier: RingMember,
  config: MembershipConfig,
  floors: RingFloors,
): RingTierMember {
  const { beatMs = 1_000, pauseMs = 50, missedMax, onEvent = () => {} } = config;
  const generation = createGeneration(tier);
  const missed = createMissed(missedMax);
  const standing = { state: "joining", seen: {}, touches: 0, isDoubted: false } as const;
  const member: Membership = {
    name,
    tier,
    missed,
    generation,
    floors,
    beatMs,
    ...standing,
  };
  const waiting = new Set<() => void>();
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let beating: Promise<void> = Promise.resolve();
  let stopped = false;

  const beatIn = (ms: number): void => {
    clearTimeout(timer);
    if (stopped) return;
    // One after the other: who delivers what was missed must be alone with it.
    timer = setTimeout(() => {
      beating = beating.then(beat);
    }, ms);
    timer.unref();
  };
  const leave = (error: unknown): void => {
    if (member.state === "live") onEvent({ kind: "member", member: name, state: "away", error });
    if (member.state !== "joining") member.state = "away";
    const waitMs = Math.min(beatMs, pauseMs * 2 ** Math.min(failures++, 10));
    beatIn(waitMs * (0.5 + Math.random() / 2));
  };
  const beat = async (): Promise<void> => {
    try {
      const before = member.state;
      await meet(member);
      beatIn(member.state === "away" ? 0 : beatMs);
      const { isDoubted } = member;
      if (member.state !== "live" || (before === "live" && !isDoubted)) return;
      member.isDoubted = false;
      failures = 0;
      for (const resolve of waiting) resolve();
      waiting.clear();
      onEvent({ kind: "member", member: name, state: "live", isDoubted });
    } catch (error) {
      leave(error);
    }
  };
  beatIn(0);
  return {
    name,
    ...callsOf(member, leave),
    isLive: () => member.state === "live",
    state: () => member.state,
    untilLive() {
      if (member.state === "live") return Promise.resolve();
      return new Promise((resolve) => waiting.add(resolve));
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
    },
  };
}

/** Gets, or stays, in touch with a member. */
async function meet(member: Membership): Promise<void> {
  const { tier, missed, generation } = member;
  if (member.state === "joining") {
    const isVouchedFor = await askWhoVouches(member);
    if (isVouchedFor === undefined) return;
    if (!isVouchedFor) missed.add({ isAll: true });
    member.state = "away";
  }
  const life = await tier.life();
  if (member.seen.life !== undefined && member.seen.life !== life) {
    missed.add({ isAll: true });
    member.state = "away";
  }
  member.seen.life = life;
  if (member.state === "away") await deliver(member);
  await generation.look();
  // Nothing may come between the look at what it missed and its being live.
  if (missed.isEmpty()) member.state = "live";
  if (member.state === "live") await touch(member);
}

/** @returns undefined while it cannot be said: somebody was in touch, but may be gone */
async function askWhoVouches({ tier, seen }: Membership): Promise<boolean | undefined> {
  const [found] = await tier.read([touchKey]);
  if (!found) return false;
  const touched = found.toString();
  seen.touch ??= touched;
  return touched === seen.touch ? undefined : true;
}

const self = newId();

async function touch(member: Membership): Promise<void> {
  const bytes = Buffer.from(`${self} ${++member.touches}`);
  const ttlMs = touchBeats * member.beatMs;
  await member.tier.write([{ key: touchKey, bytes, ttlMs }]);
}

/** Tells a member what it missed. */
async function deliver(member: Membership): Promise<void> {
  const { tier, missed, generation, floors } = member;
  while (!missed.isEmpty()) {
    const missing: Missing = missed.take();
    try {
      if (missing.isAll) floors.raiseAll(await generation.raise());
      if (missing.tags.length > 0) floors.raise(missing.tags, await generation.renew(missing.tags));
      if (missing.keys.length > 0) await tier.remove(missing.keys);
      member.isDoubted ||= missing.isAll;
    } catch (error) {
      missed.add(missing);
      throw error;
    }
  }
}

/** A right to load says in which generation it was asked for. */
function sinceGeneration(generation: number, { token }: Claim): Claim {
  return { token: `${generation}:${token}` };
}

function withGeneration({ token }: Claim): readonly [generation: number, claim: Claim] {
  const at = token.indexOf(":");
  return [Number(token.slice(0, at)), { token: token.slice(at + 1) }];
}

/** The calls of a tier; what fails to change something is kept as missed. */
function callsOf(
  member: Membership,
  leave: (error: unknown) => void,
): Omit<SharedTier, "name"> & Pick<RingMember, "knownEpochs" | "lift"> {
  const { tier, missed, generation } = member;
  const attempt = async <Value>(
    call: () => Promise<Value>,
    missing: Partial<Missing> = {},
  ): Promise<Value> => {
    if (member.state !== "live") {
      missed.add(missing);
      throw new RingTierError(`${member.name} is ${member.state}`);
    }
    try {
      return await call();
    } catch (error) {
      missed.add(missing);
      leave(error);
      throw error;
    }
  };
  return {
    async read(keys) {
      const found = await attempt(() => tier.read(keys));
      return found.map((stamped) => stamped && generation.open(stamped));
    },
    write(entries) {
      const stamped = entries.map((entry) => ({ ...entry, bytes: generation.stamp(entry.bytes) }));
      return attempt(() => tier.write(stamped), { keys: entries.map(({ key }) => key) });
    },
    remove: (keys) => attempt(() => tier.remove(keys), { keys }),
    async claim(key, leaseMs) {
      const began = generation.current();
      const claim = await attempt(() => tier.claim(key, leaseMs));
      return claim && sinceGeneration(began, claim);
    },
    fill(claim, { bytes, ...entry }) {
      // The removal that it missed may be one of those for which everything is doubted since.
      const [began, given] = withGeneration(claim);
      return attempt(() => tier.fill(given, { ...entry, bytes: generation.stamp(bytes, began) }));
    },
    unclaim: (claim, key) => attempt(() => tier.unclaim(withGeneration(claim)[1], key)),
    knownEpochs: (tags) => attempt(() => tier.knownEpochs(tags.map(generation.tag))),
    epochs: (tags) => attempt(() => tier.epochs(tags.map(generation.tag))),
    renew: (tags) => attempt(() => generation.renew(tags), { tags }),
    lift: (tags, epochs) => attempt(() => tier.lift(tags.map(generation.tag), epochs)),
  };
}
