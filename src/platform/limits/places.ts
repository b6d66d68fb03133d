import type { Random } from "../../kernel/random.ts";
import type { MemoryLimitStore } from "./memory-store.ts";
import { fallbackOf, type LimitPolicy } from "./policy.ts";
import type { StoreAnswer, StoreAsk } from "./store.ts";
import type { StoreGuard } from "./store-guard.ts";
import type { Verdict } from "./verdict.ts";

/** A place among those who may work at once, until it is released. */
export interface Place extends AsyncDisposable {
  /** Gives it back. May be called twice. */
  release(): Promise<void>;
}

/** What came of wanting a place. */
export interface Entrance {
  readonly verdict: Verdict;
  /** Absent after a refusal. */
  readonly place: Place | undefined;
}

/** What places are made of. */
export interface PlacesConfig {
  readonly guard: StoreGuard;
  /** Counts the places of this process, for when the store is away. */
  readonly fallback: MemoryLimitStore;
  readonly random: Random;
}

/** The places that this process has. */
export interface Places {
  enter(policy: LimitPolicy, key: string): Promise<Entrance>;
  /** Releases all of them. */
  stop(): Promise<void>;
}

/** Holders are told apart by a number below this. */
const tickets = 2 ** 48;

/** Makes the places of a process. */
export function createPlaces({ guard, fallback, random }: PlacesConfig): Places {
  const held = new Set<Place>();

  const hold = (ask: StoreAsk): Place => {
    const renew = () => {
      // Beside the store's count there is one of this process: it knows its own when the store is away.
      fallback.apply([[{ ...ask, verb: "extend" }]]);
      void guard.ask([{ ...ask, verb: "extend" }]);
    };
    const timer = setInterval(renew, ask.policy.windowMs / 3).unref();
    let releasing: Promise<void> | undefined;
    const giveBack = async () => {
      clearInterval(timer);
      held.delete(place);
      fallback.apply([[{ ...ask, verb: "give_back" }]]);
      await guard.ask([{ ...ask, verb: "give_back" }]);
    };
    const release = () => {
      releasing ??= giveBack();
      return releasing;
    };
    const place: Place = { release, [Symbol.asyncDispose]: release };
    held.add(place);
    return place;
  };

  return {
    async enter(policy, key) {
      const ticket = 1 + Math.floor(random() * tickets);
      const ask: StoreAsk = { verb: "take", policy, key, cost: 1, upTo: 1, ticket };
      const asked = await guard.ask([ask]);
      const here = fallbackOf(policy);
      const answers = asked ?? fallback.apply([[{ ...ask, policy: here }]])[0] ?? [];
      const [answer] = answers as readonly [StoreAnswer];
      const isAllowed = answer.isGranted;
      if (isAllowed && asked) fallback.apply([[{ ...ask, verb: "extend" }]]);
      const verdict: Verdict = {
        policy,
        isAllowed,
        limit: asked ? policy.limit : here.limit,
        remaining: answer.remaining,
        resetMs: answer.resetMs,
        retryAfterMs: answer.retryAfterMs,
        source: asked ? "store" : "fallback",
      };
      return { verdict, place: isAllowed ? hold(ask) : undefined };
    },
    async stop() {
      await Promise.all([...held].map((place) => place.release()));
    },
  };
}
