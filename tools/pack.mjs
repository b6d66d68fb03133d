// Runs before "npm pack": Node strips types everywhere but in node_modules, so what is published is
// JavaScript with type declarations, in dist/, beside copies of the files that are read at run time.
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiler = path.join(root, "node_modules/.bin/tsc");
const { status } = spawnSync(compiler, ["-p", path.join(root, "tsconfig.build.json")], {
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);

for (const name of readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })) {
  if (/\.(sql|json|html|css|svg|txt)$/.test(name) && !name.includes("testdata")) {
    cpSync(path.join(root, "src", name), path.join(dist, name));
  }
}
