import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const root = path.join(import.meta.dirname, "..");

test("every relative link of the documentation leads to a file", () => {
  const listed = execFileSync("git", ["ls-files", "-z", "*.md"], { cwd: root, encoding: "utf8" });
  const files = listed
    .split("\0")
    .filter((file) => file !== "" && existsSync(path.join(root, file)));
  assert.ok(files.includes("README.md"));
  for (const file of files) {
    const text = readFileSync(path.join(root, file), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const found = path.join(root, path.dirname(file), target);
      assert.ok(existsSync(found), `${file}: ${target}`);
    }
  }
});
