import { ProblemError, toProblem } from "./problem.ts";
import { sleepFor } from "./retry.ts";

/** One server-sent event. */
export interface ServerSentEvent {
  readonly id: string | undefined;
  /** Its name; `message` when it has none. */
  readonly event: string;
  readonly data: string;
}

/** A block of a stream: an event, a new position or a new wait before coming back. */
interface Block extends ServerSentEvent {
  readonly retryMs: number | undefined;
}

/**
 * Reads server-sent events from a body until it ends.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<Block> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as never)
    .getReader() as ReadableStreamDefaultReader<string>;
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return; // What is not ended by an empty line is not an event.
      rest += value;
      // A carriage return at the end may be the first half of a line break.
      const whole = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
      const blocks = whole.split(/\r\n\r\n|\n\n|\r\r/);
      rest = (blocks.pop() ?? "") + rest.slice(whole.length);
      for (const block of blocks) yield readBlock(block);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // It may be broken already.
  }
}

function readBlock(text: string): Block {
  let id: string | undefined;
  let event = "message";
  let retryMs: number | undefined;
  const data: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "retry" && /^\d+$/.test(value)) retryMs = Number(value);
  }
  return { id, event, data: data.join("\n"), retryMs };
}

/** What to follow. */
export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Opens the stream after a position. */
  readonly open: (lastEventId: string | undefined, signal: AbortSignal) => Promise<Response>;
  /** Position of the last event that is known. */
  readonly lastEventId?: string;
  /** Told when the connection is there, and when it is gone. */
  readonly onState?: (state: "open" | "waiting") => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Follows a stream over broken connections: each reconnect goes on after the last event received.
 * Ends when the signal aborts.
 *
 * @throws ProblemError when the server refuses for good (4xx other than 429)
 */
export async function* followEvents(options: FollowOptions): AsyncGenerator<ServerSentEvent> {
  const { signal, sleep = sleepFor } = options;
  let { lastEventId } = options;
  let retryMs = 1_000;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const response = await options.open(lastEventId, signal);
      if (!response.ok || !response.body) {
        const body = await response.json().catch(() => undefined); // Not every answer is JSON.
        throw new ProblemError(toProblem(body, response));
      }
      options.onState?.("open");
      for await (const block of readEvents(response.body)) {
        failures = 0;
        retryMs = block.retryMs ?? retryMs;
        lastEventId = block.id ?? lastEventId;
        if (block.data !== "") yield block;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error)) throw error;
    }
    if (signal.aborted) return;
    options.onState?.("waiting");
    failures++;
    const waitMs = Math.min(30_000, retryMs * 2 ** Math.min(5, failures - 1));
    await sleep(waitMs, signal).catch(() => undefined); // Aborted: the loop ends.
  }
}

function isFinal(error: unknown): boolean {
  if (!(error instanceof ProblemError)) return false;
  return error.status >= 400 && error.status < 500 && error.status !== 429;
}
