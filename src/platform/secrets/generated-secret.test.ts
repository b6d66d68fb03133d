import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { generatedSecret } from "./generated-secret.ts";

function setup(t: { after(work: () => void): void }): string {
  const home = mkdtempSync(path.join(os.tmpdir(), "brandos-secret-"));
  t.after(() => rmSync(home, { recursive: true }));
  return path.join(home, "deep");
}

test("makes a secret once, readable by its owner alone", (t) => {
  const home = setup(t);
  const made = generatedSecret(home, "operator-key", "op_");
  assert.match(made.value, /^op_[\w-]{43}$/);
  assert.equal(made.made, true);
  assert.equal(statSync(made.file).mode & 0o777, 0o600);
  assert.deepEqual(generatedSecret(home, "operator-key", "op_"), { ...made, made: false });
});

test("refuses a secret that others may read", (t) => {
  const home = setup(t);
  const { file } = generatedSecret(home, "operator-key");
  chmodSync(file, 0o644);
  assert.throws(() => generatedSecret(home, "operator-key"), /chmod 600/);
});
