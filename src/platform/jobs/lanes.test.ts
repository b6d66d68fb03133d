import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TenantId } from "../../kernel/ids.ts";
import { createLaneBook, type LaneKey } from "./lanes.ts";

const lane: LaneKey = {
  tenantId: "01900000-0000-7000-8000-000000000001" as TenantId,
  queue: "mail",
  priority: 0,
};
const limits = { rewalkMax: 100, rememberFrom: 10, lanesMax: 10 };
const snapshot = (xmin: number, xmax: number) => ({ xmin: BigInt(xmin), xmax: BigInt(xmax) });
const markOf = (book: ReturnType<typeof createLaneBook>) => book.open("mail")[0]?.mark;

describe("the low-water mark of a lane", () => {
  it("stays behind what was claimed until every transaction of that time is over", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    book.claimed(lane, { asked: 50, taken: 50, lastSeq: 50 }, snapshot(90, 100));
    assert.equal(markOf(book), 0);
    // Transaction 95 may still commit a job at a position below 50.
    book.claimed(lane, { asked: 20, taken: 20, lastSeq: 70 }, snapshot(95, 120));
    assert.equal(markOf(book), 0);
    book.claimed(lane, { asked: 20, taken: 20, lastSeq: 90 }, snapshot(119, 130));
    assert.equal(markOf(book), 0);
    book.claimed(lane, { asked: 5, taken: 5, lastSeq: 95 }, snapshot(120, 140));
    assert.equal(markOf(book), 50);
  });

  it("moves to what was claimed when too much would be walked again", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    for (let claim = 1; claim <= 3; claim++) {
      book.claimed(lane, { asked: 50, taken: 50, lastSeq: claim * 50 }, snapshot(90, 100 + claim));
    }
    assert.equal(markOf(book), 150);
    assert.equal(book.marks("near")[0]?.mark, 150);
    assert.equal(book.marks("safe")[0]?.mark, 0);
    assert.deepEqual(book.marks("full"), []);
  });

  it("goes back to a job that appears behind it", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    for (let claim = 1; claim <= 3; claim++) {
      book.claimed(lane, { asked: 50, taken: 50, lastSeq: claim * 50 }, snapshot(90, 100 + claim));
    }
    book.found([{ ...lane, seq: 20 }], true);
    assert.equal(markOf(book), 19);
  });

  it("lets claims that read from `near` not pass a job that has committed late", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    for (let claim = 1; claim <= 3; claim++) {
      book.claimed(lane, { asked: 50, taken: 50, lastSeq: claim * 50 }, snapshot(90, 100 + claim));
    }
    // Everything of that time is over, and something below 50 may wait now.
    book.claimed(lane, { asked: 50, taken: 0, lastSeq: 0 }, snapshot(200, 200));
    assert.equal(book.marks("safe")[0]?.mark, 0);
    book.found([], true, { depth: "near", snapshot: snapshot(200, 200), wasLong: false });
    assert.equal(book.marks("safe")[0]?.mark, 0);
    book.found([], true, { depth: "safe", snapshot: snapshot(200, 200), wasLong: false });
    assert.equal(book.marks("safe")[0]?.mark, 50);
  });

  it("is kept while the lane is empty, if it was worth it", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    book.claimed(lane, { asked: 200, taken: 150, lastSeq: 150 }, snapshot(90, 100));
    assert.deepEqual(book.open("mail"), []);
    assert.equal(book.marks("near").length, 1);
    const small = createLaneBook(limits);
    small.found([{ ...lane, seq: 1 }], true);
    small.claimed(lane, { asked: 200, taken: 5, lastSeq: 5 }, snapshot(90, 100));
    assert.deepEqual(small.marks("near"), []);
  });

  it("is set where a lane begins when finding it took long, and late jobs are still found", () => {
    const book = createLaneBook(limits);
    const look = (depth: "near" | "safe", at: number, wasLong = false) => ({
      ...{ depth, snapshot: snapshot(at, at), wasLong },
    });
    book.found([{ ...lane, seq: 5_000 }], true, look("near", 100, true));
    assert.equal(markOf(book), 4_999);
    book.claimed(lane, { asked: 10, taken: 1, lastSeq: 5_000 }, snapshot(100, 100));
    assert.equal(book.marks("near")[0]?.mark, 5_000);
    assert.equal(book.marks("safe")[0]?.mark, 0);
    book.found([{ ...lane, seq: 4_000 }], true, look("safe", 110));
    assert.equal(markOf(book), 3_999);
    book.claimed(lane, { asked: 10, taken: 1, lastSeq: 4_000 }, snapshot(110, 110));
    for (const at of [120, 130]) book.found([], true, look("safe", at));
    assert.equal(book.marks("safe")[0]?.mark, 4_000);
    // Found at once, it is not worth remembering.
    const other = createLaneBook(limits);
    other.found([{ ...lane, seq: 5_000 }], true, look("near", 100));
    assert.equal(markOf(other), 0);
    other.claimed(lane, { asked: 10, taken: 1, lastSeq: 5_000 }, snapshot(100, 100));
    assert.deepEqual(other.marks("near"), []);
  });

  it("is forgotten when the outcome of a claim is unknown", () => {
    const book = createLaneBook(limits);
    book.found([{ ...lane, seq: 1 }], true);
    for (let claim = 1; claim <= 3; claim++) {
      book.claimed(lane, { asked: 50, taken: 50, lastSeq: claim * 50 }, snapshot(90, 100 + claim));
    }
    book.reset();
    assert.equal(markOf(book), 0);
  });
});
