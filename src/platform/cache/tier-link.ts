import type { SharedTier } from "./shared-tier.ts";

/** What a removal takes away. */
export interface Removal {
  readonly keys: readonly string[];
  /** Tags whose new epochs have to be there before those of the others are. */
  readonly firstTags: readonly string[];
  readonly tags: readonly string[];
}

/** How a cache is bound to its shared tier. */
export interface TierLinkConfig {
  readonly tier: SharedTier;
  /** Named by everything in the tier; a new epoch of it makes everything gone. */
  readonly cacheTag: string;
  /** Longest a call may take, milliseconds. */
  readonly timeoutMs: number;
  /** How long a tier that failed is left alone before it is looked at again, milliseconds. */
  readonly restMs: number;
  /** Removals that are kept for a tier that is away; with more, everything in it is doubted. */
  readonly removalsMax: number;
  readonly onFailed: (error: unknown) => void;
  readonly onBack: (removals: number) => void;
}

/** A shared tier that never throws: one that is away has nothing, and misses no removal for good. */
export interface TierLink {
  /**
   * Asks the tier, unless it is away; what it could not be told is told before.
   *
   * @returns nothing when it is away
   */
  ask<Answer>(call: (tier: SharedTier) => Promise<Answer>): Promise<Answer | undefined>;
  /** Removes keys and begins new epochs of tags: now, or before the tier is asked again. */
  remove(removal: Removal): Promise<void>;
  /** Tries to deliver what waits, and ends. */
  stop(): Promise<void>;
}

/** Keys and tags in one call to the tier. */
const chunkMax = 500;

interface Link {
  readonly config: TierLinkConfig;
  /** What has to be delivered, by the number of the last removal that asked for it. */
  readonly keys: Map<string, number>;
  readonly firstTags: Map<string, number>;
  readonly tags: Map<string, number>;
  removals: number;
  isAway: boolean;
  delivery: Promise<boolean> | undefined;
  probe: NodeJS.Timeout | undefined;
  isStopped: boolean;
}

/** Binds a cache to a tier. */
export function createTierLink(config: TierLinkConfig): TierLink {
  const link: Link = {
    config,
    keys: new Map(),
    firstTags: new Map(),
    tags: new Map(),
    removals: 0,
    isAway: false,
    delivery: undefined,
    probe: undefined,
    isStopped: false,
  };
  return {
    async ask(call) {
      if (link.isAway || !(await isTold(link))) return undefined;
      return attempt(link, () => call(config.tier));
    },
    async remove(removal) {
      note(link, removal);
      if (!link.isAway) await isTold(link);
    },
    async stop() {
      if (link.isStopped) return;
      link.isStopped = true;
      clearTimeout(link.probe);
      await isTold(link);
    },
  };
}

function note(link: Link, removal: Removal): void {
  link.removals++;
  for (const key of removal.keys) link.keys.set(key, link.removals);
  for (const tag of removal.firstTags) link.firstTags.set(tag, link.removals);
  for (const tag of removal.tags) link.tags.set(tag, link.removals);
  if (waiting(link) <= link.config.removalsMax) return;
  for (const each of [link.keys, link.firstTags, link.tags]) each.clear();
  link.tags.set(link.config.cacheTag, link.removals);
}

function waiting({ keys, firstTags, tags }: Link): number {
  return keys.size + firstTags.size + tags.size;
}

/** Tells the tier what waits, if anything does. @returns whether it knows everything */
async function isTold(link: Link): Promise<boolean> {
  while (waiting(link) > 0) {
    link.delivery ??= deliver(link).finally(() => {
      link.delivery = undefined;
    });
    if (!(await link.delivery)) return false;
  }
  return true;
}

/** Delivers what waits now. @returns whether it arrived */
async function deliver(link: Link): Promise<boolean> {
  const { tier } = link.config;
  const stages = [
    { names: link.keys, send: (part: readonly string[]) => tier.remove(part) },
    { names: link.firstTags, send: (part: readonly string[]) => tier.renew(part) },
    { names: link.tags, send: (part: readonly string[]) => tier.renew(part) },
  ];
  for (const { names, send } of stages) {
    const all = [...names];
    for (let at = 0; at < all.length; at += chunkMax) {
      const part = all.slice(at, at + chunkMax);
      const done = await attempt(link, async () => {
        await send(part.map(([name]) => name));
        return true;
      });
      if (!done) return false;
      // What was removed once more meanwhile has to be delivered once more.
      for (const [name, removal] of part) if (names.get(name) === removal) names.delete(name);
    }
  }
  return true;
}

/** Calls the tier once, within its time. @returns nothing when it failed */
async function attempt<Answer>(
  link: Link,
  call: () => Promise<Answer>,
): Promise<Answer | undefined> {
  const { timeoutMs } = link.config;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = () => reject(new Error(`the tier did not answer within ${timeoutMs} ms`));
    timer = setTimeout(error, timeoutMs);
  });
  try {
    return await Promise.race([call(), late]);
  } catch (error) {
    leaveAlone(link, error);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Leaves the tier alone, and looks every now and then whether it is back: no caller waits for that. */
function leaveAlone(link: Link, error: unknown): void {
  link.config.onFailed(error);
  link.isAway = true;
  if (link.isStopped) return;
  clearTimeout(link.probe);
  link.probe = setTimeout(() => void probe(link), link.config.restMs);
  link.probe.unref();
}

async function probe(link: Link): Promise<void> {
  const { tier, cacheTag, onBack } = link.config;
  const removals = waiting(link);
  if (!(await isTold(link))) return;
  if ((await attempt(link, () => tier.epochs([cacheTag]))) === undefined) return;
  link.isAway = false;
  onBack(removals);
}
