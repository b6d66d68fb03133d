import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** The event types of one module, as its contract declares them. */
export interface EventSection {
  readonly module: string;
  /** Keys of the module's `…Events` interface, in order. */
  readonly types: readonly string[];
  /** What the module exports as `…EventTypes`. */
  readonly exported: readonly string[];
  /** Comment of the interface: streams and versions. */
  readonly says: string;
  /** The interface and the shapes it names, as TypeScript without `readonly`. */
  readonly declarations: readonly string[];
}

const modules = path.join(import.meta.dirname, "../src/modules");

/** Every event type of the product, by module. */
export async function eventSections(): Promise<readonly EventSection[]> {
  const sections: EventSection[] = [];
  for (const name of readdirSync(modules).toSorted()) {
    const files = readdirSync(path.join(modules, name))
      .filter((file) => /^contract.*\.ts$/.test(file) && !file.includes(".test."))
      .map((file) => path.join(modules, name, file));
    const section = sectionOf(name, files.map((file) => readFileSync(file, "utf8")).join("\n"));
    if (!section) continue;
    sections.push({ ...section, exported: await exportedTypes(files) });
  }
  return sections;
}

async function exportedTypes(files: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const file of files) {
    const contract: Record<string, unknown> = await import(file);
    for (const [name, value] of Object.entries(contract)) {
      if (name.endsWith("EventTypes")) for (const type of value as string[]) found.add(type);
    }
  }
  return [...found];
}

function sectionOf(module: string, text: string): Omit<EventSection, "exported"> | undefined {
  const name = /export interface (\w+Events) \{/.exec(text)?.[1];
  if (!name) return undefined;
  const events = declarationOf(text, name) ?? "";
  const types = [...events.matchAll(/^ {2}readonly "([^"]+)":/gm)].map(([, type]) => type ?? "");
  const shapes = namedIn(events)
    .flatMap((each) => declarationOf(text, each) ?? [])
    .filter((shape) => shape.includes("\n"));
  const declarations = [events, ...shapes].map((each) =>
    each.replace(/^export /, "").replaceAll("readonly ", ""),
  );
  return { module, types, says: commentBefore(text, name), declarations };
}

/** Names of shapes that a declaration uses, each once; ids and words are left to the reader. */
function namedIn(declaration: string): readonly string[] {
  const names = declaration.matchAll(/\b([A-Z]\w+)\b/g);
  const declared = /^\s*(?:export )?(?:interface|type) (\w+)/.exec(declaration)?.[1];
  return [...new Set([...names].map(([, name]) => name ?? ""))].filter(
    (name) => name !== declared && !/Id$/.test(name),
  );
}

/** The text of an interface or of a type of several lines, from its keyword to its end. */
function declarationOf(text: string, name: string): string | undefined {
  const start = text.search(new RegExp(`^(export )?(interface|type) ${name}\\b`, "m"));
  if (start < 0) return undefined;
  const rest = text.slice(start);
  const isBlock = /^(export )?(interface|type) [^;]*?\{$/.test(rest.slice(0, rest.indexOf("\n")));
  const end = (isBlock ? /^\};?$/m : /;$/m).exec(rest);
  return end ? rest.slice(0, end.index + end[0].length) : undefined;
}

function commentBefore(text: string, name: string): string {
  const before = text.slice(0, text.search(new RegExp(`^export interface ${name}\\b`, "m")));
  const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(before)?.[1] ?? "";
  return comment
    .replace(/^\s*\*\s?/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** The reference of all events: docs/reference/events.md is this text. */
export function eventReference(sections: readonly EventSection[]): string {
  const parts = sections.flatMap(({ module, says, declarations }) => [
    `## ${module}`,
    "",
    says,
    "",
    "```ts",
    declarations.join("\n\n"),
    "```",
    "",
  ]);
  return [...preface, ...parts].join("\n");
}

const preface = [
  "# Events",
  "",
  "Every change of state appends an event in the transaction that makes the change; subscriptions,",
  "`GET /v1/events` and `GET /v1/events/stream` read them. How the log works:",
  "[the event log](../concepts/event-log.md).",
  "",
  "An event has an `id` (UUIDv7, stable), a `type`, the `version` of its shape, the `stream` of its",
  "aggregate (`order:<uuid>`), `data` as below, `occurredAt` and `recordedAt`, and the request and",
  "actor that caused it. Amounts are integers in minor units. New fields may appear in a version; a",
  "field that goes or changes its meaning makes a new one.",
  "",
  "`node tools/write-references.ts` writes this file from the modules' contracts; a test compares it.",
  "",
];
