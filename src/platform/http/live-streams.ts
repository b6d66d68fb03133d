import { createBoundedQueue } from "../resilience/resilience.ts";
import { problemError } from "./problem.ts";
import type { RouteReply } from "./route.ts";

/** One thing a live view is told. */
export interface LiveEvent {
  /** Position to resume after; the browser sends it back as `Last-Event-ID`. One line. */
  readonly id?: string;
  /** Name browsers listen for; default: `message`. One line. */
  readonly event?: string;
  /** Sent as JSON. */
  readonly data: unknown;
}

/** Starts telling; whatever it returns is called when nobody listens any more. */
export type LiveSource = (
  push: (event: LiveEvent) => void,
  resume: { readonly lastEventId: string | undefined },
) => (() => void) | Promise<() => void>;

/** Who listens, and from where on. */
export interface LiveListener {
  /** Aborts when the listener goes away: the context's signal. */
  readonly signal: AbortSignal | undefined;
  /** The `Last-Event-ID` header. */
  readonly lastEventId: string | undefined;
}

/** Bounds of live streams. */
export interface LiveStreamLimits {
  /** Streams open at once; the next listener gets 503. */
  readonly streamsMax: number;
  /** Events kept for a listener that reads slowly; then its stream ends and it resumes by its id. */
  readonly bufferMax: number;
  /** A comment is sent after so long without an event, milliseconds: proxies cut idle connections. */
  readonly heartbeatMs: number;
}

/** Server-sent events of a process. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface LiveStreams {
  /** Answers a route with a live stream. @throws ProblemError server.overloaded */
  open(listener: LiveListener, source: LiveSource): RouteReply;
  /** Streams that are open. */
  readonly size: number;
  /** Ends all of them, for a shutdown; listeners come back on another node. */
  closeAll(): void;
}

/** Limits that suit one process on a small machine. */
export const defaultLiveStreamLimits: LiveStreamLimits = {
  streamsMax: 500,
  bufferMax: 1_000,
  heartbeatMs: 15_000,
};

/** Makes the live streams of a process. */
export function createLiveStreams(given: Partial<LiveStreamLimits> = {}): LiveStreams {
  const limits = { ...defaultLiveStreamLimits, ...given };
  const closing = new Set<() => void>();
  let closed = false;
  return {
    open(listener, source) {
      if (closed || closing.size >= limits.streamsMax) {
        throw problemError("server.overloaded", { retryAfterSeconds: 2 });
      }
      const queue = createQueue(limits);
      closing.add(queue.end);
      const body = stream(queue, listener, source, () => closing.delete(queue.end));
      return {
        headers: { "cache-control": "no-store", "x-accel-buffering": "no" },
        stream: { contentType: "text/event-stream; charset=utf-8", body },
      };
    },
    get size() {
      return closing.size;
    },
    closeAll() {
      closed = true;
      for (const end of closing) end();
    },
  };
}

interface Queue {
  push(event: LiveEvent): void;
  /** Ends it after what is in it already. */
  end(): void;
  /** What has gathered, as text; a heartbeat when nothing has; undefined at the end. */
  next(): Promise<string | undefined>;
}

function createQueue({ bufferMax, heartbeatMs }: LiveStreamLimits): Queue {
  const waiting = createBoundedQueue<string>({ itemsMax: bufferMax, whenFull: "refuse" });
  let isEnded = false;
  const end = () => {
    isEnded = true;
    waiting.close();
  };
  return {
    push(event) {
      if (isEnded || waiting.tryPush(format(event))) return;
      // A slow listener must not grow memory: it comes back and resumes.
      waiting.takeAll();
      end();
    },
    end,
    async next() {
      const gathered = waiting.takeAll();
      if (gathered.length > 0) return gathered.join("");
      if (isEnded) return undefined;
      const patience = AbortSignal.timeout(heartbeatMs);
      return waiting.take(patience).catch(() => ": still here\n\n");
    },
  };
}

async function* stream(
  queue: Queue,
  { signal, lastEventId }: LiveListener,
  source: LiveSource,
  gone: () => void,
): AsyncGenerator<string> {
  signal?.addEventListener("abort", queue.end, { once: true });
  if (signal?.aborted) queue.end();
  let stop: (() => void) | undefined;
  try {
    // Tells the browser how soon to come back, and makes proxies pass the headers on.
    yield "retry: 2000\n\n";
    stop = await source(queue.push, { lastEventId });
    for (;;) {
      const text = await queue.next();
      if (text === undefined) return;
      yield text;
    }
  } finally {
    stop?.();
    signal?.removeEventListener("abort", queue.end);
    gone();
  }
}

function format({ id, event, data }: LiveEvent): string {
  const lines = [
    ...(id === undefined ? [] : [`id: ${oneLine(id)}`]),
    ...(event === undefined ? [] : [`event: ${oneLine(event)}`]),
    // JSON has no raw line breaks.
    `data: ${JSON.stringify(data ?? null)}`,
  ];
  return `${lines.join("\n")}\n\n`;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\0]/g, " ");
}
