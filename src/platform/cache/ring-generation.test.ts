import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMemorySharedTier } from "./memory-tier.ts";
import { createGeneration } from "./ring-generation.ts";
import type { RingMember } from "./ring-member.ts";

/** A server that can be emptied, and two processes that are in touch with it. */
async function setup() {
  let server = createMemorySharedTier();
  const between: (() => Promise<void>)[] = [];
  const seen: Pick<RingMember, "epochs" | "renew"> = {
    epochs: (tags) => server.epochs(tags),
    async renew(tags) {
      const renewed = await server.renew(tags);
      await between.shift()?.();
      return renewed;
    },
  };
  const [here, there] = [createGeneration(seen), createGeneration(seen)];
  await here.look();
  await there.look();
  const empty = async () => {
    server = createMemorySharedTier();
    await there.look();
  };
  const epochsThere = () => server.knownEpochs([there.tag("t")]);
  return { here, there, between, empty, epochsThere };
}

describe("the generation of a member", () => {
  it("is looked for by a renewal: nobody would look in one that is over", async () => {
    const { here, empty, epochsThere } = await setup();
    await empty();
    const renewed = await here.renew(["t"]);
    assert.deepEqual(await epochsThere(), renewed);
  });

  it("that begins in the middle of a renewal gets it as well", async () => {
    const { here, between, empty, epochsThere } = await setup();
    between.push(empty, empty);
    assert.deepEqual(await epochsThere(), [undefined]);
    const renewed = await here.renew(["t"]);
    assert.deepEqual(await epochsThere(), renewed);
    assert.equal(between.length, 0);
  });

  it("that is raised leaves nothing to believe of what was written before", async () => {
    const { here, there } = await setup();
    const before = here.stamp(Buffer.from("old"));
    assert.equal(String(there.open(before)), "old");
    const [renewed = 0] = await here.renew(["t"]);
    assert((await there.raise()) > renewed);
    assert.equal(there.open(before), undefined);
    // Whoever reads what was written since learns of it.
    assert.equal(String(here.open(there.stamp(Buffer.from("new")))), "new");
    assert.equal(here.open(before), undefined);
  });
});
