import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { eventReference, eventSections } from "./event-reference.ts";

const root = path.join(import.meta.dirname, "..");

test("docs/reference/events.md names every event of the contracts with its shape, and no other", async () => {
  const file = path.join(root, "docs/reference/events.md");
  assert.equal(
    readFileSync(file, "utf8"),
    eventReference(await eventSections()),
    "run node tools/write-references.ts",
  );
});

test("the types a module exports are those it declares shapes for", async () => {
  for (const { module, types, exported } of await eventSections()) {
    assert.ok(types.length > 0, module);
    assert.deepEqual([...exported].toSorted(), [...types].toSorted(), module);
  }
});

test("a type belongs to the module it is named after, and is past tense words in snake case", async () => {
  for (const { module, types } of await eventSections()) {
    for (const type of types) assert.match(type, new RegExp(`^${module}\\.[a-z]+(_[a-z]+)*$`));
  }
});

test("no source names an event type that no contract declares", async () => {
  const sections = await eventSections();
  const declared = new Set(sections.flatMap(({ types }) => types));
  for (const { module } of sections) {
    const folder = path.join(root, "src/modules", module);
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".ts"))) {
      const text = readFileSync(path.join(folder, name), "utf8");
      const used = text.matchAll(/\btype: "([a-z]+\.[a-z_]+)"|Events\["([a-z]+\.[a-z_]+)"\]/g);
      for (const [, type, key] of used) {
        const named = type ?? key ?? "";
        // Providers have words of their own: `payment.captured` is the simulator's.
        if (!named.startsWith(`${module}.`)) continue;
        assert.ok(declared.has(named), `${module}/${name}: ${named}`);
      }
    }
  }
});
