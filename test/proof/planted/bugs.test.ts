import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { plantedBugs } from "./bugs.ts";

const root = path.join(import.meta.dirname, "../../..");

describe("planted bugs", () => {
  for (const { name, file, find, tests } of plantedBugs) {
    it(`find their place in the code: ${name}`, () => {
      assert(readFileSync(path.join(root, file), "utf8").includes(find), `${file} has no ${find}`);
      for (const test of tests) readFileSync(path.join(root, test));
    });
  }
});
