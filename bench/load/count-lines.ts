import { Writable } from "node:stream";
import { stream } from "undici";

/** What to read. */
export interface LineCount {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What was read. */
export interface CountedLines {
  readonly lines: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Reads a stream to its end and counts its lines. */
export async function countLines({ url, headers }: LineCount): Promise<CountedLines> {
  let lines = 0;
  let bytes = 0;
  const startedAt = performance.now();
  await stream(url, { method: "GET", headers: { ...headers } }, ({ statusCode }) => {
    if (statusCode !== 200) throw new Error(`${url}: ${statusCode}`);
    return new Writable({
      write(chunk: Buffer, _, done) {
        bytes += chunk.length;
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
        done();
      },
    });
  });
  return { lines, bytes, seconds: (performance.now() - startedAt) / 1_000 };
}

process.once("message", async (wanted: LineCount) => {
  process.send?.(await countLines(wanted));
});
