import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Random, seededRandom } from "./random.ts";
import { createRing, type Ring } from "./ring.ts";

const keyOf = (at: number) => `products:0192f7a1-7a3e-7cc1-9a3f-0123456789ab:${at}`;
const nodesNamed = (...names: readonly string[]) => names.map((name) => ({ name }));

/** Addresses as deployments have them. */
function randomNodes(random: Random) {
  const below = (limit: number) => Math.floor(random() * limit);
  const count = 2 + below(15);
  const names = new Set<string>();
  while (names.size < count) names.add(`10.${below(256)}.${below(256)}.${below(256)}:6379`);
  return nodesNamed(...names);
}

function sharesOf(ring: Ring, keys: number): Map<string, number> {
  const shares = new Map<string, number>();
  for (let key = 0; key < keys; key++) {
    const [owner = ""] = ring.ownersOf(keyOf(key), 1);
    shares.set(owner, (shares.get(owner) ?? 0) + 1 / keys);
  }
  return shares;
}

describe("a ring", () => {
  it("gives each of 2 to 16 nodes a share within 10 % of a fair one, whatever they are called", () => {
    const random = seededRandom(20261129);
    for (let set = 0; set < 100; set++) {
      const nodes = randomNodes(random);
      const shares = sharesOf(createRing(nodes), 50_000);
      for (const { name } of nodes) {
        const ofFair = (shares.get(name) ?? 0) * nodes.length;
        assert(Math.abs(ofFair - 1) <= 0.1, `set ${set}, ${name} of ${nodes.length}: ${ofFair}`);
      }
    }
  });

  it("moves no more than 22 % of the keys when one of five nodes is lost, and only its own", () => {
    const keys = 100_000;
    const random = seededRandom(5);
    for (let set = 0; set < 5; set++) {
      const names = Array.from({ length: 5 }, () => `redis-${Math.floor(random() * 1e6)}:6379`);
      const ring = createRing(nodesNamed(...names));
      const lost = names[set] as string;
      const smaller = ring.remove(lost);
      let moved = 0;
      for (let key = 0; key < keys; key++) {
        const [before, next] = ring.ownersOf(keyOf(key), 2);
        const [now] = smaller.ownersOf(keyOf(key), 1);
        if (before === now) continue;
        moved++;
        assert.equal(before, lost);
        // Its second owner takes over, which has it already.
        assert.equal(now, next);
      }
      assert(moved > 0.18 * keys && moved <= 0.22 * keys, `${moved} keys moved`);
    }
  });

  it("gives a new node keys of all others, and moves nothing between those", () => {
    const ring = createRing(nodesNamed("a", "b", "c"));
    const larger = ring.add({ name: "d" });
    const gaveAway = new Set<string>();
    for (let key = 0; key < 10_000; key++) {
      const [before = ""] = ring.ownersOf(keyOf(key), 1);
      const [now] = larger.ownersOf(keyOf(key), 1);
      if (before === now) continue;
      assert.equal(now, "d");
      gaveAway.add(before);
    }
    assert.deepEqual([...gaveAway].sort(), ["a", "b", "c"]);
  });

  it("names different owners, in an order that another node does not change", () => {
    const random = seededRandom(11);
    for (let set = 0; set < 20; set++) {
      const nodes = randomNodes(random);
      const ring = createRing(nodes);
      const { name } = nodes[set % nodes.length] ?? { name: "" };
      const smaller = ring.remove(name);
      for (let key = 0; key < 200; key++) {
        const owners = ring.ownersOf(keyOf(key), nodes.length);
        assert.equal(new Set(owners).size, nodes.length);
        assert.deepEqual(ring.ownersOf(keyOf(key), 2), owners.slice(0, 2));
        const others = owners.filter((owner) => owner !== name);
        assert.deepEqual(smaller.ownersOf(keyOf(key), nodes.length), others);
      }
    }
  });

  it("gives a node of twice the weight twice the keys", () => {
    const ring = createRing([{ name: "a" }, { name: "b", weight: 2 }, { name: "c" }]);
    const share = sharesOf(ring, 50_000).get("b") ?? 0;
    assert(Math.abs(share - 0.5) <= 0.05, `${share}`);
  });

  it("is the same in whatever order its nodes are named, on every machine", () => {
    const ring = createRing(nodesNamed("a", "b", "c", "d", "e"));
    const other = createRing(nodesNamed("e", "c", "a", "d", "b"));
    const owners = Array.from({ length: 12 }, (_, key) => ring.ownersOf(keyOf(key), 1)[0]);
    assert.deepEqual(
      Array.from({ length: 12 }, (_, key) => other.ownersOf(keyOf(key), 1)[0]),
      owners,
    );
    assert.equal(owners.join(""), "edcbcacecdae");
  });

  it("of one node or none answers all the same", () => {
    assert.deepEqual(createRing(nodesNamed("a")).ownersOf("x", 3), ["a"]);
    assert.deepEqual(createRing([]).ownersOf("x", 3), []);
    assert.throws(() => createRing(nodesNamed("a", "a")), /name of its own/);
  });
});
