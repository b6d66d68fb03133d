import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { ask, startNode, type TestNode } from "../../src/testing/nodes.ts";
import { openTestShop, type TestShop } from "../../src/testing/shop.ts";

const limit = 200;
/** What a node takes ahead at most: a twentieth. */
const blockMax = limit / 20;

let shop: TestShop;
let nodes: readonly TestNode[];

before(async () => {
  shop = await openTestShop();
  // Nobody counts alone here because the machine is busy.
  const env = { BRANDOS_RATE_PER_MINUTE: String(limit), BRANDOS_RATE_STORE_WAIT_MS: "5000" };
  const { ownerUrl } = shop.database;
  nodes = await Promise.all([1, 2, 3].map(() => startNode({ ownerUrl, roles: "api", env })));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  await shop.stop();
});

/** Answers of a node by status; 0 where none came. */
async function hammer(node: TestNode, brand: TestBrand, requests: number): Promise<number[]> {
  const get = { method: "GET", path: "/v1/products", key: brand.secretKey };
  const statuses: number[] = [];
  const caller = async () => {
    while (statuses.length < requests) {
      statuses.push(-1);
      const at = statuses.length - 1;
      statuses[at] = (await ask(node.url, get))?.status ?? 0;
    }
  };
  await Promise.all(Array.from({ length: 8 }, caller));
  return statuses;
}

const count = (statuses: readonly number[], wanted: number) =>
  statuses.filter((status) => status === wanted).length;

describe("a limit of requests", () => {
  test("holds over three nodes, to the request", async () => {
    const brand = await openTestBrand(shop.app);
    // Each asks for more than there is: nothing that was taken ahead stays unspent.
    const answers = (await Promise.all(nodes.map((node) => hammer(node, brand, 250)))).flat();
    assert.equal(count(answers, 200), limit);
    assert.equal(count(answers, 429), answers.length - limit);
    // Another credential is none of its business.
    const other = await openTestBrand(shop.app);
    assert.equal(count(await hammer(nodes[0] as TestNode, other, 20), 200), 20);
  });

  test("is not exceeded when a node is killed; what it had taken ahead is lost", async () => {
    const brand = await openTestBrand(shop.app);
    const [first, second, third] = nodes as [TestNode, TestNode, TestNode];
    const dying = hammer(first, brand, 60);
    const living = await hammer(second, brand, 40);
    await first.kill();
    const answers = [...(await dying), ...living, ...(await hammer(third, brand, 250))];
    const served = count(answers, 200);
    assert(served <= limit, `${served} were served`);
    // Requests under way in the killed node were counted, and their answers lost.
    const lost = blockMax + count(answers, 0);
    assert(served >= limit - lost, `${served} were served, ${lost} may be lost`);
  });
});
