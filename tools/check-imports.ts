import path from "node:path";
import { layers, moduleDeps, moduleFiles, rawQueryPlaces } from "./architecture.ts";
import type { SourceFile } from "./source.ts";
import type { Offence } from "./tidy.ts";

/** Checks who imports whom, and that nothing goes in circles. */
export function checkImports(files: readonly SourceFile[]): Offence[] {
  const known = new Set(files.map((file) => file.path));
  const commands = commandsAmong(files);
  const graph = new Map<string, string[]>();
  const offences: Offence[] = [];
  const place = (file: string) =>
    commands.has(file) ? { ...placeOf(file), role: "commands" } : placeOf(file);
  for (const file of files) {
    const targets: string[] = [];
    for (const { line, specifier, typeOnly } of file.imports) {
      const target = path.posix.join(path.posix.dirname(file.path), specifier);
      // Routes and jobs name the type of the front door that makes them.
      const frontDoor = typeOnly && target.endsWith("/index.ts");
      if (known.has(target) && !frontDoor) targets.push(target);
      const rule = brokenRule(place(file.path), place(target), frontDoor);
      if (rule) offences.push({ file: file.path, line, rule });
    }
    graph.set(file.path, targets);
    offences.push(...rawQueries(file));
  }
  for (const cycle of findCycles(graph)) {
    offences.push({ file: cycle[0] ?? "", line: 1, rule: `import cycle: ${cycle.join(" > ")}` });
  }
  return offences;
}

interface Place {
  readonly file: string;
  readonly layer: string;
  /** Module, mechanism or process. */
  readonly part: string;
  readonly role: string;
}

function placeOf(file: string): Place {
  const parts = file.split("/").slice(1);
  const [layer = "", part = ""] = parts.length === 1 ? ["app"] : parts;
  return { file, layer, part, role: roleOf(parts.slice(2).join("/")) };
}

/** The role of a file in its module, by the first or last word of its name. */
function roleOf(inner: string): string {
  if (isTest(inner)) return "test";
  const words = inner.replace(/\.ts$/, "").split(/[/-]/);
  return [words[0], words.at(-1)].find((word = "") => word in moduleFiles) ?? "domain";
}

function isTest(file: string): boolean {
  return /\.(test|fixture)\.ts$/.test(file);
}

/** A file without a reserved name that loads or saves is a command, in spite of its name. */
function commandsAmong(files: readonly SourceFile[]): ReadonlySet<string> {
  const commands = new Set<string>();
  const isActive = (file: SourceFile, specifier: string) => {
    const target = path.posix.join(path.posix.dirname(file.path), specifier);
    const active = ["store", "queries", "commands"].includes(placeOf(target).role);
    return commands.has(target) || (active && placeOf(target).layer === "modules");
  };
  for (let before = -1; commands.size !== before; ) {
    before = commands.size;
    for (const file of files) {
      if (placeOf(file.path).layer !== "modules" || placeOf(file.path).role !== "domain") continue;
      const active = file.imports.some(({ specifier }) => isActive(file, specifier));
      if (active) commands.add(file.path);
    }
  }
  return commands;
}

function brokenRule(from: Place, to: Place, frontDoor: boolean): string | undefined {
  if (isTest(from.file)) return undefined;
  if (!to.file.startsWith("src/")) return "imports from outside src";
  if (from.layer !== to.layer) {
    const allowed = layers[from.layer];
    if (!allowed) return `${from.layer} is no layer: add it to tools/architecture.ts`;
    return allowed.includes(to.layer) ? undefined : `${from.layer} may not import ${to.layer}`;
  }
  if (from.layer !== "modules") return undefined;
  if (from.part === to.part) return frontDoor ? undefined : brokenRole(from, to);
  const allowed = moduleDeps[from.part];
  if (!allowed) return `${from.part} is no module: add it to tools/architecture.ts`;
  if (!allowed.includes(to.part)) return `${from.part} may not know ${to.part}`;
  return to.role === "contract" ? undefined : `import ${to.part} by its contract.ts`;
}

function brokenRole(from: Place, to: Place): string | undefined {
  if (from.role === to.role || moduleFiles[from.role]?.includes(to.role)) return undefined;
  return `in a module, ${from.role} may not import ${to.role}`;
}

function rawQueries(file: SourceFile): Offence[] {
  const inner = file.path.slice("src/".length);
  if (isTest(inner)) return [];
  if (rawQueryPlaces.some((place) => inner === place || inner.startsWith(`${place}/`))) return [];
  return [...file.code.matchAll(/\.query\(\s*["`]/g)].map((match) => ({
    file: file.path,
    line: file.code.slice(0, match.index).split("\n").length,
    rule: 'SQL without a name: use sql("module.what_it_does")`…`',
  }));
}

/** Finds one cycle per entangled group of files, by depth-first search. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (file: string, trail: string[]): void => {
    const seenAt = trail.indexOf(file);
    if (seenAt >= 0) found.push([...trail.slice(seenAt), file]);
    if (seenAt >= 0 || done.has(file)) return;
    trail.push(file);
    for (const target of graph.get(file) ?? []) visit(target, trail);
    trail.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}
