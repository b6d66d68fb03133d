import { assert } from "../../kernel/assert.ts";
import type { Block, KeyMemory } from "./blocks.ts";
import { checkPolicy, type LimitPolicy } from "./policy.ts";
import type { StoreGuard } from "./store-guard.ts";

/** What a process remembers of keys: tokens taken ahead, and refusals. */
export interface KeyMemories {
  /** @throws AssertionError when a policy is out of bounds, or unlike another one of its name */
  check(policy: LimitPolicy): void;
  find(policy: LimitPolicy, key: string): KeyMemory | undefined;
  /** Finds it, or makes room for it. */
  remember(policy: LimitPolicy, key: string): KeyMemory;
  /** Puts another block in place of the last one, whose rest goes back. */
  replaceBlock(policy: LimitPolicy, key: string, block: Block): void;
  /** Gives back everything, and remembers nothing any more. */
  stop(): Promise<void>;
}

/** Keys of one policy. */
interface PolicyMemory {
  readonly policy: LimitPolicy;
  readonly keys: Map<string, KeyMemory>;
}

/** How often blocks that ended are given back and refusals forgotten, milliseconds. */
const sweepEveryMs = 1_000;

/**
 * Makes the memory of a process.
 *
 * @param keysMax keys of one policy; the oldest one goes for a new one
 */
export function createKeyMemories(guard: StoreGuard, keysMax: number): KeyMemories {
  const policies = createPolicyMemories();
  let sweeping: NodeJS.Timeout | undefined;
  let stopped = false;

  const giveBack = async (policy: LimitPolicy, key: string, block: Block | undefined) => {
    if (!block || block.left === 0) return;
    const { left, takenAtMs } = block;
    block.left = 0;
    const tokens = { policy, key, cost: left, upTo: left, ticket: takenAtMs };
    await guard.ask([{ verb: "give_back", ...tokens }]);
  };
  const forget = ({ policy, keys }: PolicyMemory, key: string): Promise<void> => {
    const block = keys.get(key)?.block;
    keys.delete(key);
    return giveBack(policy, key, block);
  };
  const sweep = (): void => {
    const nowMs = performance.now();
    for (const memory of policies.all()) {
      for (const [key, kept] of memory.keys) if (isOver(kept, nowMs)) void forget(memory, key);
    }
  };
  const remember = (policy: LimitPolicy, key: string): KeyMemory => {
    const memory = policies.of(policy);
    const known = memory.keys.get(key);
    if (known) return known;
    if (memory.keys.size >= keysMax) {
      const [oldest = ""] = memory.keys.keys();
      void forget(memory, oldest);
    }
    const made: KeyMemory = {
      block: undefined,
      refusal: undefined,
      size: 1,
      isAsking: false,
      coming: undefined,
      room: 0,
    };
    if (stopped) return made;
    memory.keys.set(key, made);
    sweeping ??= setInterval(sweep, sweepEveryMs).unref();
    return made;
  };

  return {
    check(policy) {
      policies.of(policy);
    },
    find: (policy, key) => policies.of(policy).keys.get(key),
    remember,
    replaceBlock(policy, key, block) {
      const memory = remember(policy, key);
      const before = memory.block;
      memory.block = block;
      memory.size = block.granted;
      memory.refusal = undefined;
      void giveBack(policy, key, before);
      if (stopped) void giveBack(policy, key, block);
    },
    async stop() {
      stopped = true;
      clearInterval(sweeping);
      const all = policies
        .all()
        .flatMap((memory) => [...memory.keys.keys().map((key) => forget(memory, key))]);
      await Promise.all(all);
    },
  };
}

function isOver({ block, refusal, isAsking }: KeyMemory, nowMs: number): boolean {
  if (isAsking || (block && block.endsAtMs > nowMs)) return false;
  return !refusal || refusal.endsAtMs <= nowMs;
}

/** Memories of policies: by the object, and by the name for those that share one. */
function createPolicyMemories() {
  const byName = new Map<string, PolicyMemory>();
  const byPolicy = new WeakMap<LimitPolicy, PolicyMemory>();
  const make = (policy: LimitPolicy): PolicyMemory => {
    checkPolicy(policy);
    const memory = byName.get(policy.name) ?? { policy, keys: new Map() };
    const { algorithm, limit, windowMs } = memory.policy;
    const isSame =
      algorithm === policy.algorithm && limit === policy.limit && windowMs === policy.windowMs;
    assert(isSame, `policies named ${policy.name} differ in nothing but their fallback`);
    byName.set(policy.name, memory);
    byPolicy.set(policy, memory);
    return memory;
  };
  return {
    of: (policy: LimitPolicy): PolicyMemory => byPolicy.get(policy) ?? make(policy),
    all: (): readonly PolicyMemory[] => [...byName.values()],
  };
}
