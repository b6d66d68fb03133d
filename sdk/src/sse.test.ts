import assert from "node:assert/strict";
import { test } from "node:test";
import { ProblemError } from "./problem.ts";
import { followEvents, readEvents, type ServerSentEvent } from "./sse.ts";

function bodyOf(...chunks: readonly string[]): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(bytes.encode(chunk));
      controller.close();
    },
  });
}

async function readAll(...chunks: readonly string[]) {
  const events: Pick<ServerSentEvent, "id" | "event" | "data">[] = [];
  for await (const { id, event, data } of readEvents(bodyOf(...chunks))) {
    events.push({ id, event, data });
  }
  return events;
}

test("events are read whole however the bytes are cut", async () => {
  const text =
    'id: 1\nevent: orders.order_placed\ndata: {"a":\ndata: "ä"}\n\n: still here\n\ndata:b\n\n';
  const expected = [
    { id: "1", event: "orders.order_placed", data: '{"a":\n"ä"}' },
    { id: undefined, event: "message", data: "" },
    { id: undefined, event: "message", data: "b" },
  ];
  assert.deepEqual(await readAll(text), expected);
  assert.deepEqual(await readAll(...text), expected);
  assert.deepEqual(await readAll(...text.replaceAll("\n", "\r\n")), expected);
});

test("an event that was not finished is none", async () => {
  assert.deepEqual(await readAll("data: half"), []);
});

test("a broken stream is taken up again after its last event", async () => {
  const abort = new AbortController();
  const asked: (string | undefined)[] = [];
  const waits: number[] = [];
  const answers = [
    () => new Response(bodyOf("retry: 50\nid: 7\n\n", "id: 8\ndata: first\n\n")),
    () => {
      throw new TypeError("connection refused");
    },
    () => new Response(bodyOf("id: 9\ndata: second\n\n")),
  ];
  const got: string[] = [];
  const events = followEvents({
    signal: abort.signal,
    open: async (lastEventId) => {
      asked.push(lastEventId);
      return (answers.shift() ?? answers[0])?.() ?? new Response(bodyOf());
    },
    sleep: async (ms) => {
      waits.push(ms);
    },
  });
  for await (const { data } of events) {
    got.push(data);
    if (got.length === 2) abort.abort();
  }
  assert.deepEqual(got, ["first", "second"]);
  assert.deepEqual(asked, [undefined, "8", "8"]);
  assert.deepEqual(waits, [50, 100]);
});

test("a refusal ends the stream with the problem", async () => {
  const problem = { type: "urn:x", title: "No", status: 403, code: "auth.forbidden" };
  const events = followEvents({
    signal: new AbortController().signal,
    open: async () => Response.json(problem, { status: 403 }),
  });
  await assert.rejects(
    events.next(),
    (error) => error instanceof ProblemError && error.code === "auth.forbidden",
  );
});
