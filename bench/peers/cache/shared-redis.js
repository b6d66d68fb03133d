// Reading from Redis by hand and by a library: plain JavaScript, because it is not installed where
// types are checked.
import { crc32 } from "node:zlib";
import { BentoCache, bentostore } from "bentocache";
import { redisDriver } from "bentocache/drivers/redis";
import { Redis } from "ioredis";

/**
 * @param {readonly string[]} urls of three Redis servers; the first has all keys, and each a third of them
 * @param {(key: string) => Promise<string>} load
 */
export async function openSubjects(urls, load) {
  const [url] = urls;
  const three = urls.map((each) => new Redis(each, { enableAutoPipelining: true }));
  const ofThree = (key) => three[crc32(key) % three.length];
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
      await ofThree(key).set(key, value);
      await bento.set({ key, value: value.toString("latin1"), ttl: 60_000 });
    },
    one: [
      { name: "ioredis get", get: (key) => single.getBuffer(key) },
      { name: "ioredis get, automatic pipelining", get: (key) => pipelined.getBuffer(key) },
      { name: "bentocache over Redis", get: (key) => bento.get({ key }) },
    ],
    many: [{ name: "ioredis mget", get: (keys) => single.mgetBuffer(...keys) }],
    spread: [{ name: "ioredis, a third of the keys each", get: (key) => ofThree(key).getBuffer(key) }],
    /** Three processes' caches, in one. */
    stampede: {
      name: "bentocache over Redis",
      get: (node, key) =>
        nodes[node].getOrSet({ key, factory: () => load(key), ttl: 60_000 }),
    },
    async stop() {
      await Promise.all([bento, ...nodes].map((each) => each.disconnectAll()));
      for (const client of [single, pipelined, ...three]) client.disconnect();
    },
  };
}
