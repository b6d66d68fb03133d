import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TenantId } from "../../kernel/ids.ts";
import type { OpenLane } from "./lanes.ts";
import { createQueue } from "./queue.ts";
import type { ActiveRun } from "./run.ts";

const lane = (tenant: string, priority = 0): OpenLane => ({
  tenantId: tenant as TenantId,
  queue: "mail",
  priority,
  mark: 0,
});
const runOf = (tenant: string) => ({ job: { tenantId: tenant } }) as unknown as ActiveRun;
const shares = (queue: ReturnType<typeof createQueue>, lanes: readonly OpenLane[]) =>
  queue.shareOut(lanes).map((share) => [share.lane.tenantId, share.lane.priority, share.jobsMax]);

describe("a worked queue", () => {
  it("shares a claim evenly among tenants", () => {
    const queue = createQueue("mail", { concurrency: 9, tenantConcurrency: 9 });
    assert.deepEqual(shares(queue, [lane("a"), lane("b"), lane("c")]), [
      ["a", 0, 3],
      ["b", 0, 3],
      ["c", 0, 3],
    ]);
  });

  it("claims only a tenant's most urgent lane", () => {
    const queue = createQueue("mail", { concurrency: 4 });
    assert.deepEqual(shares(queue, [lane("a", 5), lane("a", -1)]), [["a", -1, 3]]);
  });

  it("leaves a slot for tenants that come later", () => {
    const queue = createQueue("mail", { concurrency: 4 });
    for (let count = 0; count < 3; count++) queue.started(runOf("a"));
    assert.deepEqual(shares(queue, [lane("a")]), []);
    assert.deepEqual(shares(queue, [lane("a"), lane("b")]), [["b", 0, 1]]);
  });

  it("serves first who has least in hand, then who waited longest", () => {
    const queue = createQueue("mail", { concurrency: 2, tenantConcurrency: 2 });
    queue.started(runOf("a"));
    assert.deepEqual(shares(queue, [lane("a"), lane("b")]), [["b", 0, 1]]);
    assert.deepEqual(shares(queue, [lane("b"), lane("c")]), [["c", 0, 1]]);
  });

  it("reads ahead as far as its handlers are fast", () => {
    const queue = createQueue("mail", { concurrency: 10, tenantConcurrency: 10 });
    assert.equal(shares(queue, [lane("a")])[0]?.[2], 10);
    const slow = runOf("a");
    queue.started(slow);
    queue.ended(slow, 1_000);
    assert.equal(shares(queue, [lane("a")])[0]?.[2], 10);
    const fast = createQueue("mail", { concurrency: 10, tenantConcurrency: 10 });
    fast.started(slow);
    fast.ended(slow, 1);
    assert.equal(shares(fast, [lane("a")])[0]?.[2], 510);
  });
});
