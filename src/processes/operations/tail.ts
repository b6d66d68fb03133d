import type { Context } from "../../kernel/context.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import { eventsTopic } from "../../platform/events/event.ts";
import { type EventTailPage, streamEvents } from "../../platform/events/queries.ts";
import { onPoke } from "../../platform/wakeup/poke.ts";

/** Longest wait between two looks at the log, milliseconds: other nodes' events arrive by then. */
const pollMs = 1_000;
/** A line is sent at least this often, so that proxies keep the connection, milliseconds. */
const heartbeatMs = 15_000;
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

/**
 * Sends events as they happen, as server-sent events; each carries the cursor to go on from.
 *
 * @param from.after cursor of the last one received; a bad one begins from now
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* tailEvents(
  db: Db,
  ctx: Context,
  from: { readonly after: string | undefined; readonly type: string | undefined },
): AsyncGenerator<string> {
  const types = from.type === undefined ? undefined : [from.type];
  let after = await firstCursor(db, ctx, from.after);
  let spokenAt = performance.now();
  yield `retry: 1000\nid: ${after}\n\n`;
  while (!ctx.signal?.aborted) {
    const page = await streamEvents(db, ctx.tenantId, { after, types, limit: batchMax });
    after = page.next;
    for (const event of page.events) {
      yield `event: ${event.type}\nid: ${after}\ndata: ${JSON.stringify(event)}\n\n`;
      spokenAt = performance.now();
    }
    if (page.more) continue;
    if (performance.now() - spokenAt > heartbeatMs) {
      yield `: still here\n\n`;
      spokenAt = performance.now();
    }
    await nextNews(ctx.signal);
  }
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
