import { type Readable, Transform } from "node:stream";
import type { FastifyInstance } from "fastify";
import { problemError } from "./problem.ts";
import { readStrictJson } from "./strict-json.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Makes a server read bodies as strict JSON, and refuse every other media type with 415. */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i,
    { parseAs: "buffer" },
    (request, body, done) => {
      const bytes = body as Buffer;
      if (bytes.length === 0) return done(null, undefined);
      if (request.call.idempotencyKey !== undefined) request.call.rawBody = bytes;
      let text: string;
      try {
        text = utf8.decode(bytes);
      } catch {
        return done(problemError("request.malformed_json", { detail: "not UTF-8" }));
      }
      const read = readStrictJson(text);
      if (read.ok) return done(null, read.value);
      const { detail, pointer } = read.fault;
      const errors = pointer === undefined ? {} : { errors: [{ pointer, detail }] };
      done(problemError("request.malformed_json", { detail, ...errors }));
    },
  );
}

/** Makes a server hand bodies over as they come, of any media type. */
export function acceptStreams(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}

/**
 * A stream that fails once it has passed more than it may.
 *
 * @param bytesMax more than this is a ProblemError request.body_too_large
 */
export function limited(body: Readable, bytesMax: number): Readable {
  let passed = 0;
  const gate = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > bytesMax) done(problemError("request.body_too_large"));
      else done(null, chunk);
    },
  });
  body.on("error", (error) => gate.destroy(error));
  body.on("aborted", () => gate.destroy(problemError("request.malformed", { detail: "cut off" })));
  return body.pipe(gate);
}
