import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createOrderNumbers } from "./numbers.ts";
import { startOrders } from "./orders.fixture.ts";

describe("order numbers", async () => {
  const fixture = await startOrders();
  after(() => fixture.stop());

  it("begin at 1001 and have no gaps in a quiet shop", async () => {
    const numbers = createOrderNumbers(fixture.db);
    const tenantId = newId<"tenant">();
    assert.deepEqual(await numbers.take(tenantId, 1), [1_001]);
    const other = createOrderNumbers(fixture.db);
    assert.deepEqual(await other.take(tenantId, 2), [1_002, 1_003]);
    assert.deepEqual(await other.take(newId<"tenant">(), 1), [1_001]);
  });

  it("are unique over racing callers of several processes", async () => {
    const tenantId = newId<"tenant">();
    const processes = Array.from({ length: 3 }, () => createOrderNumbers(fixture.db));
    const taken = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        processes[index % 3]?.take(tenantId, 1 + (index % 7)),
      ),
    );
    const all = taken.flatMap((numbers) => numbers ?? []);
    assert.equal(all.length, 300 + taken.reduce((sum, _, index) => sum + (index % 7), 0));
    assert.equal(new Set(all).size, all.length);
  });

  it("cost a busy shop few statements", async () => {
    const numbers = createOrderNumbers(fixture.db);
    const tenantId = newId<"tenant">();
    fixture.statements.length = 0;
    for (let batch = 0; batch < 200; batch++) await numbers.take(tenantId, 50);
    const asked = fixture.statements.filter(
      ({ name }) => name === "orders.allocate_numbers",
    ).length;
    assert(asked <= 20, `${asked} allocations for 10,000 numbers`);
  });
});
