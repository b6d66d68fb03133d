import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimedJob } from "./claim.ts";
import { createFairBuffer } from "./fair-buffer.ts";

const job = (tenant: string, seq: number, priority = 0) =>
  ({ tenantId: tenant, id: `${tenant}${seq}`, seq, priority }) as unknown as ClaimedJob;
const anyone = () => true;

describe("a fair buffer", () => {
  it("lets tenants take turns, whatever the length of their lines", () => {
    const buffer = createFairBuffer();
    buffer.add([job("a", 1), job("a", 2), job("a", 3), job("b", 4), job("c", 5), job("c", 6)]);
    const order = Array.from({ length: 6 }, () => buffer.next(anyone)?.id);
    assert.deepEqual(order, ["a1", "b4", "c5", "a2", "c6", "a3"]);
    assert.equal(buffer.next(anyone), undefined);
    assert.equal(buffer.size, 0);
  });

  it("hands out a tenant's jobs by priority, then by arrival", () => {
    const buffer = createFairBuffer();
    buffer.add([job("a", 1), job("a", 2)]);
    buffer.add([job("a", 9, -1), job("a", 3, 5)]);
    const order = Array.from({ length: 4 }, () => buffer.next(anyone)?.id);
    assert.deepEqual(order, ["a9", "a1", "a2", "a3"]);
  });

  it("passes over tenants that may not run", () => {
    const buffer = createFairBuffer();
    buffer.add([job("a", 1), job("b", 2)]);
    assert.equal(buffer.next((tenant) => tenant !== "a")?.id, "b2");
    assert.equal(
      buffer.next((tenant) => tenant !== "a"),
      undefined,
    );
    assert.equal(buffer.size, 1);
  });

  it("gives up single jobs and all that is left", () => {
    const buffer = createFairBuffer();
    buffer.add([job("a", 1), job("a", 2), job("b", 3)]);
    assert.equal(buffer.remove("a1")?.id, "a1");
    assert.equal(buffer.remove("a1"), undefined);
    assert.deepEqual(
      buffer.drain().map(({ id }) => id),
      ["a2", "b3"],
    );
    assert.equal(buffer.size, 0);
  });
});
