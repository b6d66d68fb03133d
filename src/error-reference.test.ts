import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { errorReference, errorSections } from "./error-reference.ts";

const file = new URL("../docs/reference/errors.md", import.meta.url);

test("docs/reference/errors.md names every failure of the code with its status, and no other", async () => {
  const sections = await errorSections();
  assert.equal(
    readFileSync(file, "utf8"),
    errorReference(sections),
    "run node tools/write-references.ts",
  );
});

test("no code has two owners or two statuses", async () => {
  const owners = new Map<string, string>();
  for (const { owner, statuses } of await errorSections()) {
    for (const code of Object.keys(statuses)) {
      assert.equal(owners.get(code), undefined, `${code}: ${owners.get(code)} and ${owner}`);
      owners.set(code, owner);
    }
  }
});
