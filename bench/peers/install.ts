import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";

// Installs shops to measure beside, each in its own folder, outside the product's node_modules:
//   node bench/peers/install.ts vendure medusa
const known = ["vendure", "medusa"];
const wanted = process.argv.slice(2);

if (wanted.length === 0 || wanted.some((name) => !known.includes(name))) {
  process.stderr.write(`usage: node bench/peers/install.ts ${known.join("|")} …\n`);
  process.exit(2);
}
for (const name of wanted) {
  const cwd = path.join(import.meta.dirname, name);
  const verb = existsSync(path.join(cwd, "package-lock.json")) ? "ci" : "install";
  process.stdout.write(`npm ${verb} in ${path.relative(process.cwd(), cwd)}: takes minutes …\n`);
  const child = spawn("npm", [verb, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  const [code] = await once(child, "exit");
  if (code !== 0) process.exit(code ?? 1);
}
