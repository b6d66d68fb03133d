import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { resilienceReference } from "./resilience-matrix.ts";

it("docs/reference/resilience.md says what the code does", () => {
  const page = new URL("../docs/reference/resilience.md", import.meta.url);
  assert.equal(readFileSync(page, "utf8"), resilienceReference(), "node tools/write-references.ts");
});
