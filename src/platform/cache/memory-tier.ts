import { newId } from "../../kernel/ids.ts";
import type { RingMember } from "./ring-member.ts";
import type { TierWrite } from "./shared-tier.ts";

/** Limits of a tier in this process. */
export interface MemorySharedTierConfig {
  /** Bytes of keys and values at most; the entries longest unused go first; default 64 MiB. */
  readonly bytesMax?: number;
  /** Epoch milliseconds with fractions. */
  readonly now?: () => number;
}

interface Entry {
  readonly bytes: Buffer;
  readonly endsAtMs: number;
}

interface Claimed {
  readonly token: string;
  readonly endsAtMs: number;
}

/** What an entry costs beside its key and value, bytes. */
const overheadBytes = 100;
/** Claims and tags kept at most; those longest unused are forgotten, which is safe. */
const namesMax = 100_000;

/** Keeps a shared tier in this process: for caches of one process, and for tests. */
export function createMemorySharedTier(config: MemorySharedTierConfig = {}): RingMember {
  const { bytesMax = 64 * 1024 * 1024, now = () => performance.timeOrigin + performance.now() } =
    config;
  const entries = createEntries(bytesMax, now);
  const claims = new Map<string, Claimed>();
  const isClaimedBy = (token: string, key: string): boolean => {
    const claimed = claims.get(key);
    return claimed?.token === token && claimed.endsAtMs > now();
  };
  return {
    name: "memory",
    life: async () => "",
    ...createEpochs(now),
    read: async (keys) => keys.map(entries.find),
    async write(writes) {
      for (const write of writes) {
        entries.put(write);
        claims.delete(write.key);
      }
    },
    async remove(keys) {
      for (const key of keys) {
        entries.drop(key);
        claims.delete(key);
      }
    },
    async claim(key, leaseMs) {
      const claimed = claims.get(key);
      if (claimed && claimed.endsAtMs > now()) return undefined;
      const token = newId();
      remember(claims, key, { token, endsAtMs: now() + leaseMs });
      return { token };
    },
    async fill({ token }, entry) {
      if (!isClaimedBy(token, entry.key)) return false;
      claims.delete(entry.key);
      entries.put(entry);
      return true;
    },
    async unclaim({ token }, key) {
      if (isClaimedBy(token, key)) claims.delete(key);
    },
  };
}

/** Values by key, those longest unused first. */
function createEntries(bytesMax: number, now: () => number) {
  const entries = new Map<string, Entry>();
  let bytesUsed = 0;
  const drop = (key: string): void => {
    const entry = entries.get(key);
    if (entry) bytesUsed -= sizeOf(key, entry.bytes);
    entries.delete(key);
  };
  return {
    drop,
    find(key: string): Buffer | undefined {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (entry.endsAtMs <= now()) {
        drop(key);
        return undefined;
      }
      entries.delete(key);
      entries.set(key, entry);
      return entry.bytes;
    },
    put({ key, bytes, ttlMs }: TierWrite): void {
      drop(key);
      entries.set(key, { bytes, endsAtMs: now() + ttlMs });
      bytesUsed += sizeOf(key, bytes);
      for (const oldest of entries.keys()) {
        if (bytesUsed <= bytesMax) break;
        drop(oldest);
      }
    },
  };
}

function createEpochs(
  now: () => number,
): Pick<RingMember, "epochs" | "knownEpochs" | "renew" | "lift"> {
  const epochs = new Map<string, number>();
  let last = 0;
  /** One row for all tags: a tag that was forgotten begins above whatever it had. */
  const next = (): number => {
    last = Math.max(last + 1, Math.floor(now() * 1_000));
    return last;
  };
  const epochOf = (tag: string): number => {
    const epoch = epochs.get(tag) ?? next();
    remember(epochs, tag, epoch);
    return epoch;
  };
  return {
    epochs: async (tags) => tags.map(epochOf),
    knownEpochs: async (tags) => tags.map((tag) => epochs.get(tag)),
    async renew(tags) {
      const renewed = tags.map(() => next());
      for (const [at, tag] of tags.entries()) remember(epochs, tag, renewed[at] as number);
      return renewed;
    },
    async lift(tags, least) {
      for (const [at, tag] of tags.entries()) {
        const epoch = Math.max(epochs.get(tag) ?? 0, least[at] ?? 0);
        last = Math.max(last, epoch);
        remember(epochs, tag, epoch);
      }
    },
  };
}

function sizeOf(key: string, bytes: Buffer): number {
  return key.length + bytes.length + overheadBytes;
}

/** Puts a name last, and forgets the first when there are too many. */
function remember<Value>(names: Map<string, Value>, name: string, value: Value): void {
  names.delete(name);
  names.set(name, value);
  if (names.size <= namesMax) return;
  const [oldest] = names.keys();
  if (oldest !== undefined) names.delete(oldest);
}
