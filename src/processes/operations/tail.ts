import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import { eventsTopic, type RecordedEvent } from "../../platform/events/event.ts";
import { type EventTailPage, streamEvents } from "../../platform/events/queries.ts";
import type { LiveSource } from "../../platform/http/live-streams.ts";
import { onPoke } from "../../platform/wakeup/poke.ts";

/** Longest wait between two looks at the log, milliseconds: other nodes' events arrive by then. */
const pollMs = 1_000;
const batchMax = 200;

/** One answer to whoever asks for events. */
export interface TailAnswer {
  readonly items: EventTailPage["events"];
  readonly nextCursor: string;
}

/** Reads the events after a cursor. */
export async function tailPage(
  db: Db,
  ctx: Context,
  query: { readonly cursor?: string; readonly type?: string; readonly limit?: number },
): Promise<Result<TailAnswer, { readonly code: "operations.bad_cursor" }>> {
  try {
    const page = await streamEvents(db, ctx.tenantId, {
      after: query.cursor,
      types: query.type === undefined ? undefined : [query.type],
      limit: query.limit ?? 20,
    });
    return ok({ items: page.events, nextCursor: page.next });
  } catch (error) {
    if (error instanceof RangeError) return fail({ code: "operations.bad_cursor" });
    throw error;
  }
}

/** An event of a live view, with the cursor to go on from. */
export interface TailedEvent {
  readonly cursor: string;
  readonly event: RecordedEvent;
}

/**
 * Gives events as they happen, until the context's signal aborts.
 *
 * @param from.after cursor of the last one received; a bad one, or none, begins from now
 */
export async function* tailEvents(
  db: Db,
  ctx: Context,
  from: { readonly after: string | undefined; readonly type: string | undefined },
): AsyncGenerator<TailedEvent> {
  const types = from.type === undefined ? undefined : [from.type];
  let after = await firstCursor(db, ctx, from.after);
  while (!ctx.signal?.aborted) {
    const page = await streamEvents(db, ctx.tenantId, { after, types, limit: batchMax });
    after = page.next;
    for (const event of page.events) yield { cursor: after, event };
    if (!page.more) await nextNews(ctx.signal);
  }
}

/** The same as server-sent events: every reconnect resumes where the last event was. */
export function liveEvents(db: Db, ctx: Context, type: string | undefined): LiveSource {
  return (push, { lastEventId }) => {
    const stop = new AbortController();
    const tail = async () => {
      const following = { ...ctx, signal: stop.signal };
      for await (const { cursor, event } of tailEvents(db, following, {
        after: lastEventId,
        type,
      })) {
        push({ id: cursor, event: event.type, data: event });
      }
    };
    // A log that cannot be read ends the view; the browser comes back by itself.
    tail().catch(() => stop.abort());
    return () => stop.abort();
  };
}

async function firstCursor(db: Db, ctx: Context, after: string | undefined): Promise<string> {
  const start = { types: undefined, limit: 1 };
  try {
    const page = await streamEvents(db, ctx.tenantId, { ...start, after: undefined });
    if (after === undefined) return page.next;
    await streamEvents(db, ctx.tenantId, { ...start, after });
    return after;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return (await streamEvents(db, ctx.tenantId, { ...start, after: undefined })).next;
  }
}

/** Resolves at the next append of this process, after the poll time, or when the reader has gone. */
function nextNews(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stopListening();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, pollMs);
    const stopListening = onPoke((topic) => {
      if (topic === eventsTopic) end();
    });
    signal?.addEventListener("abort", end, { once: true });
  });
}
