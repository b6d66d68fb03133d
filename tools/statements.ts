import type { Interpolation, SourceFile, Template } from "./source.ts";

/** One named statement of the code base, as {@link sql} would send it. */
export interface NamedStatement {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Each text it can take, with `$1` …; more than one when fragments are chosen at run time. */
  readonly texts: readonly string[];
  /** What could not be resolved by reading: then `texts` is incomplete. */
  readonly unresolved: readonly string[];
}

const namePattern = /\bsql\(\s*"([^"]+)"\s*,?\s*\)\s*$/;
const fragmentPattern = /\bfragment\s*$/;
/** Texts of one statement at most; fragments that multiply beyond are a smell of their own. */
const textsMax = 64;

/** Finds every ``sql("name")`…` `` by reading the source. */
export function findStatements(files: readonly SourceFile[]): NamedStatement[] {
  const book = files.map((file) => ({ file, templates: flatten(file.templates) }));
  return book.flatMap(({ file, templates }) =>
    templates.flatMap((template) => {
      const name = namePattern.exec(template.before)?.[1];
      if (name === undefined) return [];
      const unresolved: string[] = [];
      const scope = enclosing(template, file);
      const texts = expand(template, { file, files, unresolved, scope, trail: [] })
        .slice(0, textsMax)
        .map(number);
      return [{ name, file: file.path, line: template.line, texts, unresolved }];
    }),
  );
}

function flatten(templates: readonly Template[]): Template[] {
  return templates.flatMap((template) => [
    template,
    ...flatten(template.interpolations.flatMap((part) => part.templates)),
  ]);
}

interface Reading {
  readonly file: SourceFile;
  /** The outermost function around the statement: local names are looked up in it first. */
  readonly scope: Range;
  readonly files: readonly SourceFile[];
  readonly unresolved: string[];
  /** Names being resolved, against definitions that refer to themselves. */
  readonly trail: readonly string[];
}

/** Stands for a bind parameter until the whole text is known. */
const parameter = "\u0000";

function number(text: string): string {
  let count = 0;
  return text.replaceAll(parameter, () => `$${++count}`);
}

/** Every text a template can take, parameters unnumbered. */
function expand(template: Template, reading: Reading): string[] {
  let texts = [template.strings[0] ?? ""];
  for (const [index, part] of template.interpolations.entries()) {
    const choices = choicesOf(part, reading);
    const behind = template.strings[index + 1] ?? "";
    texts = texts
      .flatMap((text) => choices.map((choice) => text + choice + behind))
      .slice(0, textsMax);
  }
  return texts.map((text) => text.replaceAll("\\`", "`").replaceAll("\\\\", "\\"));
}

/** What an interpolation can become: fragments, or a parameter. */
function choicesOf(part: Interpolation, reading: Reading): readonly string[] {
  const inline = part.templates.filter((template) => fragmentPattern.test(template.before));
  if (inline.length > 0) {
    const others = /\bjoinFragments\(/.test(part.text) ? [] : namesIn(part.text, inline, reading);
    return [...inline.flatMap((template) => expand(template, reading)), ...others];
  }
  const joined =
    /^\s*joinFragments\(\s*(?:\[\s*\.\.\.)?([A-Za-z_$][\w$]*)(\([\s\S]*\))?[\s\S]*?,\s*"( and |, )"\s*,?\s*\)\s*$/.exec(
      part.text,
    );
  if (joined) return joinList(joined[1] ?? "", joined[3] ?? ", ", reading);
  const name = /^\s*([A-Za-z_$][\w$]*)\s*(?:\([\s\S]*\))?\s*$/.exec(part.text)?.[1];
  const resolved = name === undefined ? undefined : resolveName(name, reading);
  return resolved ?? [parameter];
}

/** The names a conditional may choose beside its inline fragments. */
function namesIn(text: string, inline: readonly Template[], reading: Reading): readonly string[] {
  let rest = text;
  for (const { strings } of inline) for (const part of strings) rest = rest.replace(part, "");
  const last = /:\s*([A-Za-z_$][\w$]*)\s*$/.exec(rest)?.[1];
  return (last === undefined ? undefined : resolveName(last, reading)) ?? [];
}

/** Resolves a constant or function by its definition; nothing when it is no fragment. */
function resolveName(name: string, reading: Reading): readonly string[] | undefined {
  if (reading.trail.includes(name)) return undefined;
  const inner = { ...reading, trail: [...reading.trail, name] };
  for (const file of [reading.file, ...exporters(name, reading)]) {
    for (const range of definitions(name, file, reading.scope)) {
      const found = fragmentsIn(file, range);
      const separator = /\bjoinFragments\([^;]*"( and |, )"/.exec(
        file.text.slice(range.start, range.end),
      )?.[1];
      if (separator !== undefined && found.length > 0) {
        const parts = found.map((each) => expand(each, { ...inner, file })[0] ?? "");
        return [parts.join(separator), parts[0] ?? ""];
      }
      if (found.length > 0) return found.flatMap((each) => expand(each, { ...inner, file }));
      const chosen = namesChosen(file, range)
        .map((other) => resolveName(other, { ...inner, file }))
        .filter((choice) => choice !== undefined);
      if (chosen.length > 0) return chosen.flat();
    }
    if (new RegExp(`\\b${name}\\??:\\s*(readonly )?Fragment\\b`).test(file.code)) {
      reading.unresolved.push(name);
      return ["true"];
    }
  }
  return undefined;
}

function exporters(name: string, { files, file }: Reading): readonly SourceFile[] {
  const imported = new RegExp(`import[^;]*\\b${name}\\b[^;]*from`).test(file.code);
  if (!imported) return [];
  const pattern = new RegExp(`export (const|function) ${name}\\b`);
  return files.filter((candidate) => pattern.test(candidate.code));
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The declaration at the left margin that a template stands in. */
function enclosing({ start, end }: Template, { code }: SourceFile): Range {
  return {
    start: code.lastIndexOf("\n}", start) + 1,
    end: code.indexOf("\n}", end) + 1 || code.length,
  };
}

/**
 * Where `name` is defined in a file: a constant up to its semicolon, a function up to its end.
 * What is defined in the scope hides what is defined elsewhere.
 */
function definitions(name: string, file: SourceFile, scope: Range): Range[] {
  const all = allDefinitions(name, file);
  const local = all.filter(({ start }) => start >= scope.start && start < scope.end);
  return local.length > 0 ? local : all;
}

function allDefinitions(name: string, file: SourceFile): Range[] {
  const pattern = new RegExp(`\\b(const|let|function)\\s+${name}\\b`, "g");
  return [...file.code.matchAll(pattern)].map((match) => {
    const end = match[1] === "function" ? /\n\}/g : /;\s*\n/g;
    end.lastIndex = match.index;
    return { start: match.index, end: end.exec(file.code)?.index ?? file.code.length };
  });
}

function fragmentsIn(file: SourceFile, { start, end }: Range): Template[] {
  const isInside = (template: Template) => template.start >= start && template.end <= end;
  return file.templates.filter(
    (template) => isInside(template) && fragmentPattern.test(template.before),
  );
}

/** The names on the branches of `const x = a ? b : c` and `return b`. */
function namesChosen(file: SourceFile, { start, end }: Range): string[] {
  const code = file.code.slice(start, end);
  return [...code.matchAll(/(?:\?|:|return)\s*([A-Za-z_$][\w$]*)\b(?!\s*[.:<])/g)].flatMap(
    (match) => (match[1] === undefined ? [] : [match[1]]),
  );
}

/** A list of conditions: each is used, so the text with all of them is representative. */
function joinList(name: string, separator: string, reading: Reading): readonly string[] {
  const { file, scope } = reading;
  const listed = definitions(name, file, scope).flatMap((range) => fragmentsIn(file, range));
  const pushed = file.templates.filter(
    (template) =>
      template.start >= scope.start &&
      template.end <= scope.end &&
      fragmentPattern.test(template.before) &&
      lastStatement(template.before).includes(`${name}.push(`),
  );
  const parts = [...new Set([...listed, ...pushed])];
  if (parts.length === 0) {
    reading.unresolved.push(name);
    return ["true"];
  }
  const texts = parts.map((part) => expand(part, reading)[0] ?? "");
  return [...new Set([texts.join(separator), ...texts.slice(0, 1)])];
}

function lastStatement(before: string): string {
  return before.slice(before.lastIndexOf(";") + 1);
}
