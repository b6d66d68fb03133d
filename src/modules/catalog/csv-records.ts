/** A record of a file: its fields, or why it has none. */
export interface FileRecord {
  /** Line of the file it starts on, from 1. */
  readonly line: number;
  /** As it stands in the file, without its line end. */
  readonly raw: string;
  readonly cells: readonly string[];
  /** What is wrong with it as a record; then `cells` is empty. */
  readonly fault: string | undefined;
}

/** Longest record, characters; what is longer is refused and skipped. */
export const recordCharsMax = 1_048_576;

/** How to find the end of a record in a text. */
export type ReadRecord = (text: string, from: number, isEnd: boolean) => RecordRead;

/** Where a record ends, or that more text is needed to tell. */
export type RecordRead =
  | { readonly kind: "record"; readonly cells: readonly string[]; readonly end: number }
  | { readonly kind: "fault"; readonly fault: string }
  | { readonly kind: "incomplete" };

/**
 * Splits a stream of bytes into records; memory is one chunk and one record.
 *
 * A faulty record costs one physical line: reading goes on behind it, so that a stray quote does
 * not swallow the rest of the file. Blank lines are passed over.
 * @param chunks UTF-8, with or without a byte order mark
 */
export async function* readRecords(
  chunks: AsyncIterable<Uint8Array>,
  read: ReadRecord,
): AsyncGenerator<FileRecord> {
  const decoder = new TextDecoder("utf-8");
  const state: SplitState = { text: "", line: 1, skipping: false };
  for await (const chunk of chunks) {
    state.text += decoder.decode(chunk, { stream: true });
    yield* take(state, read, false);
  }
  state.text += decoder.decode();
  yield* take(state, read, true);
}

interface SplitState {
  /** What was received and not consumed. */
  text: string;
  line: number;
  /** Inside a line that was refused for its length. */
  skipping: boolean;
}

function* take(state: SplitState, read: ReadRecord, isEnd: boolean): Generator<FileRecord> {
  let from = 0;
  const { text } = state;
  while (from < text.length) {
    if (state.skipping) {
      const end = text.indexOf("\n", from);
      from = end < 0 ? text.length : end + 1;
      if (end >= 0) {
        state.skipping = false;
        state.line++;
      }
      continue;
    }
    const found = read(text, from, isEnd);
    if (found.kind === "record" && found.end - from <= recordCharsMax) {
      const raw = withoutLineEnd(text.slice(from, found.end));
      const { line } = state;
      state.line += countLineEnds(text, from, found.end);
      from = found.end;
      if (raw === "") continue;
      const fault = raw.includes("\u{fffd}") ? "contains bytes that are not UTF-8" : undefined;
      yield { line, raw, cells: fault ? [] : found.cells, fault };
      continue;
    }
    if (found.kind === "incomplete" && text.length - from <= recordCharsMax) break;
    const fault =
      found.kind === "fault" ? found.fault : `is longer than ${recordCharsMax} characters`;
    const lineEnd = text.indexOf("\n", from);
    if (lineEnd < 0 && !isEnd && text.length - from <= recordCharsMax) break;
    const end = lineEnd < 0 ? text.length : lineEnd + 1;
    yield { line: state.line, raw: withoutLineEnd(text.slice(from, end)), cells: [], fault };
    if (lineEnd < 0) state.skipping = true;
    else state.line++;
    from = end;
  }
  state.text = text.slice(from);
}

/** Reads one line as a record of a single field. */
export const readLine: ReadRecord = (text, from, isEnd) => {
  const lineEnd = text.indexOf("\n", from);
  if (lineEnd < 0 && !isEnd) return { kind: "incomplete" };
  const end = lineEnd < 0 ? text.length : lineEnd + 1;
  return { kind: "record", cells: [withoutLineEnd(text.slice(from, end))], end };
};

/**
 * Makes a reader of comma-separated records.
 *
 * @param delimiter `,`, `;` or a tab
 * @see https://www.rfc-editor.org/rfc/rfc4180
 */
export function csvReader(delimiter: string): ReadRecord {
  return (text, from, isEnd) => {
    const cells: string[] = [];
    let at = from;
    for (;;) {
      const cell = text[at] === '"' ? readQuoted(text, at, isEnd) : readPlain(text, at, delimiter);
      if (typeof cell === "string")
        return cell === "" ? incomplete : { kind: "fault", fault: cell };
      cells.push(cell.value);
      at = cell.end;
      const next = text[at];
      if (next === delimiter) {
        at++;
        continue;
      }
      if (next === undefined) return isEnd ? { kind: "record", cells, end: at } : incomplete;
      if (next === "\n") return { kind: "record", cells, end: at + 1 };
      if (next === "\r") {
        if (text[at + 1] === "\n") return { kind: "record", cells, end: at + 2 };
        if (text[at + 1] === undefined) {
          return isEnd ? { kind: "record", cells, end: at + 1 } : incomplete;
        }
      }
      return { kind: "fault", fault: "has text behind a closing quote" };
    }
  };
}

/** Chooses the delimiter of a file by its first line: the one that occurs most. */
export function delimiterOf(header: string): string {
  const counts = [",", ";", "\t"].map((delimiter) => header.split(delimiter).length);
  const most = Math.max(...counts);
  return [",", ";", "\t"][counts.indexOf(most)] ?? ",";
}

/** Writes a field so that it is read back as it is. */
export function csvField(value: string): string {
  return /[",;\t\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

interface Cell {
  readonly value: string;
  readonly end: number;
}

const incomplete: RecordRead = { kind: "incomplete" };

/** @returns the cell, a fault, or an empty text when more is needed */
function readQuoted(text: string, from: number, isEnd: boolean): Cell | string {
  let value = "";
  let at = from + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return isEnd ? "has a quote that is never closed" : "";
    value += text.slice(at, quote);
    // The closing quote may be the first half of an escaped one.
    if (quote + 1 >= text.length && !isEnd) return "";
    if (text[quote + 1] !== '"') return { value, end: quote + 1 };
    value += '"';
    at = quote + 2;
  }
}

function readPlain(text: string, from: number, delimiter: string): Cell {
  let end = from;
  while (end < text.length) {
    const char = text[end];
    if (char === delimiter || char === "\n") break;
    if (char === "\r" && (text[end + 1] === "\n" || end + 1 === text.length)) break;
    end++;
  }
  return { value: text.slice(from, end), end };
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

function countLineEnds(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) {
    count++;
  }
  return count;
}
