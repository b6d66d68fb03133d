// Reading from Redis by hand and by a library: plain JavaScript, because it is not installed where
// types are checked.
import { BentoCache, bentostore } from "bentocache";
import { redisDriver } from "bentocache/drivers/redis";
import { Redis } from "ioredis";

/**
 * @param {string} url of a Redis server
 * @param {(key: string) => Promise<string>} load
 */
export async function openSubjects(url, load) {
  const single = new Redis(url, { enableAutoPipelining: false });
  const pipelined = new Redis(url, { enableAutoPipelining: true });
  const openBento = () =>
    new BentoCache({
      default: "redis",
      stores: {
        redis: bentostore().useL2Layer(redisDriver({ connection: new Redis(url, { enableAutoPipelining: true }) })),
      },
    });
  const bento = openBento();
  const nodes = [openBento(), openBento(), openBento()];
  return {
    /** @param {string} key @param {Buffer} value */
    async write(key, value) {
      await single.set(key, value);
      await bento.set({ key, value: value.toString("latin1"), ttl: 60_000 });
    },
    one: [
      { name: "ioredis get", get: (key) => single.getBuffer(key) },
      { name: "ioredis get, automatic pipelining", get: (key) => pipelined.getBuffer(key) },
      { name: "bentocache over Redis", get: (key) => bento.get({ key }) },
    ],
    many: [{ name: "ioredis mget", get: (keys) => single.mgetBuffer(...keys) }],
    /** Three processes' caches, in one. */
    stampede: {
      name: "bentocache over Redis",
      get: (node, key) =>
        nodes[node].getOrSet({ key, factory: () => load(key), ttl: 60_000 }),
    },
    async stop() {
      await Promise.all([bento, ...nodes].map((each) => each.disconnectAll()));
      for (const client of [single, pipelined]) client.disconnect();
    },
  };
}
