import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { listenForShutdown, sameRequestMs } from "./shutdown.ts";

function setup() {
  const emitter = new EventEmitter();
  const clock = { ms: 1_000 };
  const calls: string[] = [];
  const stop = listenForShutdown(
    { onFirst: (signal) => calls.push(`first ${signal}`), onAgain: () => calls.push("again") },
    {
      on: (signal, listener) => emitter.on(signal, listener),
      off: (signal, listener) => emitter.off(signal, listener),
      now: () => clock.ms,
    },
  );
  const ask = (signal: NodeJS.Signals) => emitter.emit(signal, signal);
  return { clock, calls, stop, ask };
}

describe("listenForShutdown", () => {
  it("drains once when one Ctrl-C arrives twice", () => {
    const { clock, calls, ask } = setup();
    ask("SIGINT");
    clock.ms += sameRequestMs - 1;
    ask("SIGINT");
    assert.deepEqual(calls, ["first SIGINT"]);
  });

  it("ends at once when asked again later", () => {
    const { clock, calls, ask } = setup();
    ask("SIGTERM");
    clock.ms += sameRequestMs;
    ask("SIGINT");
    assert.deepEqual(calls, ["first SIGTERM", "again"]);
  });

  it("stops listening", () => {
    const { calls, ask, stop } = setup();
    stop();
    ask("SIGINT");
    assert.deepEqual(calls, []);
  });
});
