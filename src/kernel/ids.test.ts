import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isId, lowestIdAt, newId, newIdAt, timeOfId } from "./ids.ts";

describe("ids", () => {
  it("ascend in the order they are minted", () => {
    const ids = Array.from({ length: 1_000 }, () => newId());
    assert.deepEqual(ids.toSorted(), ids);
  });

  it("carry the moment they are minted for", () => {
    const at = new Date("2010-12-01T08:26:00.123Z");
    assert.equal(timeOfId(newIdAt(at)).getTime(), at.getTime());
  });

  it("fall between the bounds of their millisecond", () => {
    const at = new Date("2026-02-28T23:59:59.999Z");
    const next = new Date(at.getTime() + 1);
    const id = newIdAt(at);
    assert(lowestIdAt(at) <= id && id < lowestIdAt(next));
  });

  it("are told from other texts", () => {
    assert(isId(newId()));
    for (const other of ["", "x", null, 7, newId().toUpperCase()]) assert(!isId(other));
  });
});
