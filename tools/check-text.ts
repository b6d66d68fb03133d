import { limits } from "./architecture.ts";
import type { SourceFile } from "./source.ts";
import type { Offence } from "./tidy.ts";

/** Checks what can be seen in one file: lengths, docstrings, leftovers, stray output. */
export function checkText(file: SourceFile): Offence[] {
  const offences: Offence[] = [];
  const report = (line: number, rule: string) => offences.push({ file: file.path, line, rule });
  const lines = file.text.split("\n");
  const code = file.code.split("\n");
  if (lines.length > limits.fileLines + 1) report(1, `over ${limits.fileLines} lines`);
  for (const [index, text] of lines.entries()) {
    const number = index + 1;
    if (text.length > limits.lineColumns && !unbreakable.test(text)) {
      report(number, `over ${limits.lineColumns} columns`);
    }
    const bare = code[index] ?? "";
    for (const rule of leftovers(text, bare)) report(number, rule);
    if (undocumented(lines, bare, index) && !isTest(file.path)) {
      report(number, "export without a docstring");
    }
    if (/\bconsole\./.test(bare) && !mayPrint(file.path)) {
      report(number, "console: report through the logger, or an event");
    }
  }
  return offences;
}

function isTest(file: string): boolean {
  return /\.(test|fixture)\.ts$/.test(file);
}

function mayPrint(file: string): boolean {
  return !file.startsWith("src/") || isTest(file) || /^src\/(cli\/|main\.ts$|testing\/)/.test(file);
}

function leftovers(text: string, code: string): string[] {
  const found: string[] = [];
  const marker = /\b(TO[D]O|FIX[M]E|HAC[K])\b/.exec(text)?.[1];
  if (marker) found.push(`leftover: ${marker}`);
  if (/\bdebugger\b/.test(code)) found.push("leftover: debugger");
  if (/\b(it|test|describe)\.only\(/.test(code)) found.push("a test that hides the others");
  if (/@ts-(ignore|nocheck)/.test(text)) found.push("a silenced type check");
  return found;
}

/** Addresses and drawings. */
const unbreakable = /https?:\/\/|<[a-z]+[ >/]/;

/** Functions, interfaces, classes and constants say what they are; type aliases may speak alone. */
function undocumented(lines: readonly string[], code: string, index: number): boolean {
  if (!/^export (async )?(function\*?|interface|(abstract )?class|const) /.test(code)) return false;
  let above = index - 1;
  while (/^\s*\/\/ biome-ignore/.test(lines[above] ?? "")) above--;
  return !/\*\/\s*$/.test(lines[above] ?? "");
}

/** The project speaks of itself, not of where it was written. */
const strayWords = new RegExp(
  [
    "/(wor[k]|far[m])/(main|shared)",
    "[.]librar[y]/|[.][.]/share[d]/(data|peers|example)",
    "before-sto[p]|as an A[I]\\b|this sessio[n]\\b",
    "registry[.]npm",
  ].join("|"),
);

/** Checks a text file for words that belong to a workplace. */
export function checkWords(file: string, text: string): Offence[] {
  if (!strayWords.test(text)) return [];
  return text.split("\n").flatMap((line, index) => {
    const word = strayWords.exec(line)?.[0];
    return word ? [{ file, line: index + 1, rule: `speaks of the workplace: ${word}` }] : [];
  });
}
