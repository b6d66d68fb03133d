import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { classifyError } from "./classify.ts";
import { ResilienceError } from "./errors.ts";

describe("errors are told apart", () => {
  const coded = (code: string) => Object.assign(new Error(code), { code });
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["a refused connection", coded("ECONNREFUSED"), "transient"],
    ["a name that does not resolve now", coded("EAI_AGAIN"), "transient"],
    ["a broken connection", coded("ECONNRESET"), "timeout"],
    ["a typed error that may be repeated", { retryable: true }, "transient"],
    ["one after which it may have been done", { retryable: true, maybeDone: true }, "timeout"],
    [
      "one that may not be repeated",
      { retryable: false, cause: coded("ECONNREFUSED") },
      "permanent",
    ],
    ["a bug", new TypeError("x is not a function"), "permanent"],
    ["a thrown text", "no", "permanent"],
    ["nothing", undefined, "permanent"],
    ["a timeout of a policy", new ResilienceError("ERR_CALL_TIMEOUT", ""), "timeout"],
    ["an open breaker", new ResilienceError("ERR_BREAKER_OPEN", ""), "permanent"],
    ["an aborted signal", AbortSignal.abort().reason, "aborted"],
    ["several addresses of one host", new AggregateError([coded("ECONNREFUSED")]), "transient"],
  ];
  for (const [what, error, kind] of cases) {
    it(`${what}: ${kind}`, () => assert.equal(classifyError(error), kind));
  }

  it("what fetch throws: a refused connection is transient, a broken one a timeout", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const ask = () => fetch(`http://127.0.0.1:${port}/`).then(undefined, classifyError);
    assert.equal(await ask(), "timeout");
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await ask(), "transient");
  });
});
