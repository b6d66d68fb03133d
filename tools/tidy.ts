import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { tidyFolders } from "./architecture.ts";
import { checkImports } from "./check-imports.ts";
import { checkStatements } from "./check-statements.ts";
import { checkText, checkWords } from "./check-text.ts";
import { readSources } from "./source.ts";

/** One broken rule. `line` counts from 1. */
export interface Offence {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
}

/**
 * Reads the whole code base once and lists what breaks the house rules; Biome and the compiler
 * check the rest.
 *
 * @param root folder of the repository
 */
export function tidy(root: string): Offence[] {
  const files = readSources(root, tidyFolders);
  const source = files.filter(({ path: file }) => file.startsWith("src/"));
  return [
    ...files.flatMap(checkText),
    ...checkImports(source),
    ...checkStatements(root, source),
    ...trackedText(root).flatMap(({ file, text }) => checkWords(file, text)),
  ];
}

/** The text files of the repository, as git knows them. */
function trackedText(root: string): { readonly file: string; readonly text: string }[] {
  const list = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" });
  return list
    .split("\0")
    .filter((file) => /\.(ts|tsx|mjs|md|json|sql|yml|yaml|sh|html|css)$/.test(file))
    .filter((file) => !file.endsWith("package-lock.json"))
    .flatMap((file) => {
      try {
        return [{ file, text: readFileSync(path.join(root, file), "utf8") }];
      } catch {
        return []; // Deleted, and not committed yet.
      }
    });
}

if (import.meta.main) {
  const offences = tidy(path.dirname(import.meta.dirname));
  for (const { file, line, rule } of offences) process.stdout.write(`${file}:${line}: ${rule}\n`);
  process.stdout.write(offences.length === 0 ? "tidy\n" : `${offences.length} to mend\n`);
  process.exitCode = offences.length === 0 ? 0 : 1;
}
