import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  csvField,
  csvReader,
  delimiterOf,
  type FileRecord,
  type ReadRecord,
  readLine,
  readRecords,
  recordCharsMax,
} from "./csv-records.ts";

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function recordsOf(
  text: string | Uint8Array,
  read: ReadRecord = csvReader(","),
  chunkSize = 7,
): Promise<FileRecord[]> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const records: FileRecord[] = [];
  for await (const record of readRecords(chunksOf(bytes, chunkSize), read)) records.push(record);
  return records;
}

describe("CSV records", () => {
  it("are read with quotes, line ends in fields, both line ends and a byte order mark", async () => {
    const records = await recordsOf('\u{feff}a,b\r\n"x ""y""",\r\n\n"two\nlines",é\n last');
    assert.deepEqual(
      records.map(({ line, cells }) => [line, ...cells]),
      [
        [1, "a", "b"],
        [2, 'x "y"', ""],
        [4, "two\nlines", "é"],
        [6, " last"],
      ],
    );
  });

  it("cost one line each when they are faulty, and reading goes on", async () => {
    const records = await recordsOf('a,b\n"x"y,1\nc,d\n"never closed,2\ne,f\n');
    assert.deepEqual(
      records.map(({ line, raw, fault }) => [line, raw, fault]),
      [
        [1, "a,b", undefined],
        [2, '"x"y,1', "has text behind a closing quote"],
        [3, "c,d", undefined],
        [4, '"never closed,2', "has a quote that is never closed"],
        [5, "e,f", undefined],
      ],
    );
  });

  it("are refused when they are too long, quoted or not, and skipped to their end", async () => {
    const long = "x".repeat(recordCharsMax + 10);
    const records = await recordsOf(`a\n${long}\nb\n"${long}\nc\n`, csvReader(","), 65_536);
    assert.deepEqual(
      records.map(({ line, cells, fault }) => [line, cells[0], fault !== undefined]),
      [
        [1, "a", false],
        [2, undefined, true],
        [3, "b", false],
        [4, undefined, true],
        [5, "c", false],
      ],
    );
  });

  it("are refused when they are not UTF-8", async () => {
    const records = await recordsOf(new Uint8Array([0x61, 0x0a, 0xe9, 0x0a, 0x62, 0x0a]));
    assert.deepEqual(
      records.map(({ fault }) => fault !== undefined),
      [false, true, false],
    );
  });

  it("come back as they were written, however the file is cut", async () => {
    const cell = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom('"', ",", "\n", "\r\n", ";", "a", "", " x ", "é"),
    );
    const row = fc.array(
      cell.filter((text) => text.isWellFormed() && !/[\u{fffd}\u{feff}]|\r(?!\n)/u.test(text)),
      { minLength: 2, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 8 }),
        fc.constantFrom(",", ";", "\t"),
        fc.integer({ min: 1, max: 50 }),
        async (rows, delimiter, chunkSize) => {
          const text = rows.map((cells) => `${cells.map(csvField).join(delimiter)}\n`).join("");
          const records = await recordsOf(text, csvReader(delimiter), chunkSize);
          assert.deepEqual(
            records.map(({ cells }) => cells),
            rows,
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  it("are separated by what the first line has most of", () => {
    assert.equal(delimiterOf("a,b,c"), ",");
    assert.equal(delimiterOf("a;b;c,d"), ";");
    assert.equal(delimiterOf("a\tb"), "\t");
    assert.equal(delimiterOf("a"), ",");
  });
});

describe("lines", () => {
  it("are records of one field, blank ones passed over", async () => {
    const records = await recordsOf('{"a":1}\r\n\n{"b":"\\n"}', readLine, 3);
    assert.deepEqual(
      records.map(({ line, raw }) => [line, raw]),
      [
        [1, '{"a":1}'],
        [3, '{"b":"\\n"}'],
      ],
    );
  });
});
