import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { believedStatus, type StatusAnswer } from "./commit-status.ts";

describe("the status of a transaction whose COMMIT was not answered", () => {
  const cases: readonly [string, StatusAnswer, string | undefined, string][] = [
    ["committed in the same life", { status: "committed", life: "1" }, "1", "committed"],
    ["in progress in the same life", { status: "in progress", life: "1" }, "1", "in progress"],
    ["aborted in the same life", { status: "aborted", life: "1" }, "1", "aborted"],
    [
      "committed after a crash: maybe another's",
      { status: "committed", life: "2" },
      "1",
      "unknown",
    ],
    ["in progress after a crash: another's", { status: "in progress", life: "2" }, "1", "unknown"],
    ["aborted after a crash", { status: "aborted", life: "2" }, "1", "aborted"],
    ["committed, its life not known", { status: "committed", life: "1" }, undefined, "unknown"],
    ["too old to be known", { status: null, life: "1" }, "1", "unknown"],
    ["no answer", {}, undefined, "unknown"],
  ];
  for (const [name, answer, life, believed] of cases) {
    it(name, () => assert.equal(believedStatus(answer, life), believed));
  }
});
