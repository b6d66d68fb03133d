import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** A template literal, taken apart. */
export interface Template {
  /** Line of its opening backtick, from 1. */
  readonly line: number;
  /** Offset of the opening backtick and just behind the closing one. */
  readonly start: number;
  readonly end: number;
  /** The code before the backtick, as far as it may be the tag: at most 200 characters. */
  readonly before: string;
  /** One more than there are interpolations. */
  readonly strings: readonly string[];
  readonly interpolations: readonly Interpolation[];
}

/** What stands in a `${}`. */
export interface Interpolation {
  readonly text: string;
  /** Templates directly inside it. */
  readonly templates: readonly Template[];
}

/** A source file as the checks see it. */
export interface SourceFile {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings, templates and patterns blanked out. */
  readonly code: string;
  /** Outermost template literals, in order. */
  readonly templates: readonly Template[];
  readonly imports: readonly Import[];
}

/** A relative import or re-export. */
export interface Import {
  readonly line: number;
  readonly specifier: string;
  /** Whether only types are imported, so that nothing happens at run time. */
  readonly typeOnly: boolean;
}

/** Reads every TypeScript file below `folders` of `root` that is not generated. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => listFiles(root, folder))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .map((file) => parseSource(file, readFileSync(path.join(root, file), "utf8")));
}

/** Lists the files below a folder, relative to `root`; nothing when it does not exist. */
export function listFiles(root: string, folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const skipped = /(^|\/)(node_modules|dist|peers|testdata)\//;
  return names
    .map((name) => path.posix.join(folder, name.split(path.sep).join("/")))
    .filter((name) => !skipped.test(name))
    .sort();
}

/** Takes a file apart. A full parser is not needed: strings, comments, templates are told apart. */
export function parseSource(file: string, text: string): SourceFile {
  const scanner: Scanner = { text, at: 0, blanked: [...text], line: 1 };
  const templates = scanCode(scanner, false);
  const code = scanner.blanked.join("");
  return { path: file, text, code, templates, imports: findImports(text, code) };
}

interface Scanner {
  readonly text: string;
  readonly blanked: string[];
  at: number;
  line: number;
}

function findImports(text: string, code: string): Import[] {
  const found: Import[] = [];
  // The keyword must be code; the specifier itself is a string and so blanked there.
  for (const match of code.matchAll(/\b(?:from|import)\s*\(?\s*"/g)) {
    const start = match.index + match[0].length;
    const specifier = text.slice(start, text.indexOf('"', start));
    if (!specifier.startsWith(".")) continue;
    const statement = code.slice(0, start);
    const keyword = Math.max(
      statement.lastIndexOf("\nimport "),
      statement.lastIndexOf("\nexport "),
    );
    const typeOnly = /^\s*(import|export) type\b/.test(statement.slice(Math.max(keyword, 0)));
    found.push({ line: statement.split("\n").length, specifier, typeOnly });
  }
  return found;
}

/** Scans code until its end, or until the brace that closes an interpolation. */
function scanCode(scanner: Scanner, inInterpolation: boolean): Template[] {
  const templates: Template[] = [];
  let depth = 0;
  while (scanner.at < scanner.text.length) {
    const char = scanner.text[scanner.at];
    const next = scanner.text[scanner.at + 1];
    if (char === "/" && next === "/") skipUntil(scanner, "\n", false);
    else if (char === "/" && next === "*") skipUntil(scanner, "*/", true);
    else if (char === '"' || char === "'") skipString(scanner, char);
    else if (char === "/" && startsPattern(scanner)) skipPattern(scanner);
    else if (char === "`") templates.push(scanTemplate(scanner));
    else {
      if (char === "{") depth++;
      if (char === "}" && depth-- === 0 && inInterpolation) return templates;
      step(scanner);
    }
  }
  return templates;
}

function scanTemplate(scanner: Scanner): Template {
  const start = scanner.at;
  const { line, text } = scanner;
  const strings: string[] = [];
  const interpolations: Interpolation[] = [];
  step(scanner);
  let from = scanner.at;
  while (scanner.at < text.length && text[scanner.at] !== "`") {
    if (text[scanner.at] === "\\") {
      blank(scanner);
      blank(scanner);
    } else if (text.startsWith("${", scanner.at)) {
      strings.push(text.slice(from, scanner.at));
      step(scanner);
      step(scanner);
      const begin = scanner.at;
      const templates = scanCode(scanner, true);
      interpolations.push({ text: text.slice(begin, scanner.at), templates });
      step(scanner);
      from = scanner.at;
    } else blank(scanner);
  }
  strings.push(text.slice(from, scanner.at));
  step(scanner);
  const before = text.slice(Math.max(0, start - 200), start);
  return { line, start, end: scanner.at, before, strings, interpolations };
}

function skipUntil(scanner: Scanner, end: string, inclusive: boolean): void {
  const found = scanner.text.indexOf(end, scanner.at + 2);
  const stop = found < 0 ? scanner.text.length : found + (inclusive ? end.length : 0);
  while (scanner.at < stop) blank(scanner);
}

function skipString(scanner: Scanner, quote: string): void {
  step(scanner);
  while (scanner.at < scanner.text.length && scanner.text[scanner.at] !== quote) {
    if (scanner.text[scanner.at] === "\\") blank(scanner);
    blank(scanner);
  }
  step(scanner);
}

/** Whether a slash begins a pattern rather than divides: by what stands before it. */
function startsPattern(scanner: Scanner): boolean {
  const before = scanner.blanked
    .slice(Math.max(0, scanner.at - 60), scanner.at)
    .join("")
    .trimEnd();
  return /(^|[=(,:[!&|?{};+\-*%~^<>]|\b(return|typeof|case|in|of|do|else))$/.test(before);
}

function skipPattern(scanner: Scanner): void {
  let inClass = false;
  step(scanner);
  while (scanner.at < scanner.text.length) {
    const char = scanner.text[scanner.at];
    if (char === "\n" || (char === "/" && !inClass)) break;
    if (char === "[") inClass = true;
    if (char === "]") inClass = false;
    if (char === "\\") blank(scanner);
    blank(scanner);
  }
  step(scanner);
}

function step(scanner: Scanner): void {
  if (scanner.text[scanner.at] === "\n") scanner.line++;
  scanner.at++;
}

function blank(scanner: Scanner): void {
  if (scanner.text[scanner.at] !== "\n") scanner.blanked[scanner.at] = " ";
  step(scanner);
}
