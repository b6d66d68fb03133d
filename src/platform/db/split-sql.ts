/** One statement of a file. */
export interface SqlStatement {
  /** Lower case, single spaces, no comments; strings and function bodies are emptied. */
  readonly code: string;
  /** Comment lines directly above it or in it, as they are written. */
  readonly comments: readonly string[];
  /** Line it begins in, from 1. */
  readonly line: number;
}

/** Strings, quoted names, dollar-quoted bodies and comments: where a `;` means nothing. */
const opaque = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$[\s\S]*?\$\1\$/g;

/**
 * Splits a file into its statements, for rules that look at what they do.
 *
 * Bodies of SQL functions written with BEGIN ATOMIC are not understood as one statement.
 */
export function splitSql(text: string): readonly SqlStatement[] {
  const statements: SqlStatement[] = [];
  let code = "";
  let comments: string[] = [];
  let line = 0;
  const finish = () => {
    const tidy = code.replace(/\s+/g, " ").trim().toLowerCase();
    if (tidy !== "") statements.push({ code: tidy, comments, line });
    if (tidy !== "") comments = [];
    code = "";
    line = 0;
  };
  const take = (plain: string, from: number) => {
    for (const [index, part] of plain.split(";").entries()) {
      if (index > 0) finish();
      if (line === 0 && part.trim() !== "") {
        const blank = part.length - part.trimStart().length;
        const before = plain.split(";").slice(0, index).join(";").length + (index > 0 ? 1 : 0);
        line = text.slice(0, from + before + blank).split("\n").length;
      }
      code += part;
    }
  };
  let at = 0;
  for (const match of text.matchAll(opaque)) {
    take(text.slice(at, match.index), at);
    const [token] = match;
    if (token.startsWith("--")) comments.push(token.trim());
    else if (token.startsWith('"')) code += token;
    else if (!token.startsWith("/*")) code += "''";
    at = match.index + token.length;
  }
  take(text.slice(at), at);
  finish();
  return statements;
}
