import { crc32 } from "node:zlib";
import { assert } from "../../kernel/assert.ts";
import { type Coalescer, createCoalescer } from "../coalescer/coalescer.ts";
import type { RedisNode } from "../redis/node.ts";
import { runScript } from "../redis/script.ts";
import { answersOf, argumentOf, scriptFor } from "./redis-script.ts";
import { storedKey } from "./settle.ts";
import type { LimitStore, StoreAnswer, StoreAsk, StoreCall } from "./store.ts";

/** What the store works with. */
export interface RedisLimitStoreConfig {
  /** Independent servers: a key belongs to one of them. Or one connection to a cluster. */
  readonly nodes: readonly Pick<RedisNode, "eval" | "evalsha">[];
  /** Whether the connection is to a Redis Cluster; default false. */
  readonly isCluster?: boolean;
  /** Prefix of its keys; default `brandos:limit:`. */
  readonly prefix?: string;
}

/** Keys that may be worked on in one step: a server, or a hash tag of a cluster. */
interface Lane {
  readonly tag: string;
  readonly calls: Coalescer<StoreCall, readonly StoreAnswer[]>;
}

/** Hash tags over which the keys of a cluster are spread. */
const clusterTags = 256;

/**
 * Counts in Redis or Valkey, by the server's clock, in a script: nobody comes between. Concurrent calls
 * of a process share one.
 *
 * Limits asked together are taken together where one server, or one hash tag of a cluster, has all of
 * their keys; else each is taken by itself and given back when another refuses: for that moment
 * somebody else may be refused.
 */
export function createRedisLimitStore(config: RedisLimitStoreConfig): LimitStore {
  const { nodes, isCluster = false, prefix = "brandos:limit:" } = config;
  const [only] = nodes;
  assert(only, "there is a server");
  assert(!isCluster || nodes.length === 1, "a cluster is one connection");
  const sites = isCluster ? Array.from({ length: clusterTags }, () => only) : nodes;
  const lanes = sites.map((node, at) => openLane(node, `${prefix}{${at}}:`));
  const laneOf = (ask: StoreAsk): Lane => lanes[crc32(storedKey(ask)) % lanes.length] as Lane;

  const askApart = async (parts: ReadonlyMap<Lane, StoreCall>): Promise<readonly StoreAnswer[]> => {
    const asked = await Promise.all(
      [...parts].map(async ([lane, part]) => {
        const answers = await lane.calls.submit("", part);
        return part.map((ask, at) => ({ ask, answer: answers[at] as StoreAnswer }));
      }),
    );
    const taken = asked.flat();
    if (taken.every(({ answer }) => answer.isGranted)) return taken.map(({ answer }) => answer);
    const back = taken.filter(({ ask, answer }) => ask.verb === "take" && answer.granted > 0);
    await Promise.all(
      back.map(({ ask, answer }) => laneOf(ask).calls.submit("", [undo(ask, answer)])),
    );
    return taken.map(({ answer }) => ({ ...answer, granted: 0 }));
  };
  const ask = (call: StoreCall): Promise<readonly StoreAnswer[]> => {
    if (lanes.length === 1) return (lanes[0] as Lane).calls.submit("", call);
    const parts = Map.groupBy(call, laneOf);
    if (parts.size === 1) return laneOf(call[0] as StoreAsk).calls.submit("", call);
    return inOrder(call, askApart(parts), parts);
  };
  return {
    apply(calls) {
      const [only] = calls;
      return only && calls.length === 1 ? ask(only).then(alone) : Promise.all(calls.map(ask));
    },
  };
}

const alone = (answers: readonly StoreAnswer[]) => [answers];

function undo(ask: StoreAsk, { granted, atMs }: StoreAnswer): StoreAsk {
  const ticket = ask.policy.algorithm === "concurrency" ? ask.ticket : atMs;
  return { ...ask, verb: "give_back", cost: granted, upTo: granted, ticket };
}

/** Answers came lane by lane; they are given in the order of the asks. */
async function inOrder(
  call: StoreCall,
  asked: Promise<readonly StoreAnswer[]>,
  parts: ReadonlyMap<Lane, StoreCall>,
): Promise<readonly StoreAnswer[]> {
  const answers = await asked;
  const order = [...parts.values()].flat();
  return call.map((ask) => answers[order.indexOf(ask)] as StoreAnswer);
}

function openLane(node: Pick<RedisNode, "eval" | "evalsha">, tag: string): Lane {
  const calls = createCoalescer<StoreCall, readonly StoreAnswer[]>({
    name: "limits.redis",
    batchMax: 100,
    // Small batches, many at once, so that neither side waits for the other: 89,000 takes a second by 10
    // callers; one by one it is 52,000, in two batches 45,000.
    inFlightMax: 8,
    divideInto: 4,
    waitingMax: 10_000,
    // A server that is away is away for each of them.
    isSplittable: () => false,
    async run(_, batch) {
      const asks = batch.flat();
      const keys = asks.map((ask) => tag + storedKey(ask));
      const numbers = await runScript(node, scriptFor(batch), keys, [argumentOf(batch)]);
      return answersOf(batch, numbers as number[]);
    },
  });
  return { tag, calls };
}
