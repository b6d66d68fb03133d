import type { RecordedEvent } from "../platform/events/events.ts";
import type { JobId } from "../platform/jobs/jobs.ts";
import { tailEvents, tailPage } from "../processes/operations/tail.ts";
import {
  findTenant,
  inSession,
  type Output,
  operatorContext,
  table,
  UsageError,
} from "./program.ts";

interface OfTenant {
  readonly tenant: string;
}

/** `brandos jobs queues` */
export async function queuesCommand(output: Output): Promise<void> {
  const stats = await inSession(output, ({ app }) => app.jobs.queues.stats());
  output.answer(stats, () => table(stats as never));
}

/** `brandos jobs dead --tenant T` */
export async function deadLettersCommand(output: Output, { tenant }: OfTenant): Promise<void> {
  const letters = await inSession(output, async (session) => {
    const { id } = await findTenant(session, tenant);
    return session.app.jobs.deadLetters.list(operatorContext(id), 100);
  });
  output.answer(letters, () =>
    table(
      letters.items.map(({ id, kind, reason, attempt, diedAt, lastError }) => ({
        id,
        kind,
        reason,
        attempt,
        diedAt: diedAt.toISOString(),
        lastError,
      })),
    ),
  );
}

/** `brandos jobs retry ID --tenant T` */
export async function retryJobCommand(
  output: Output,
  jobId: string,
  { tenant }: OfTenant,
): Promise<void> {
  const revived = await inSession(output, async (session) => {
    const { id } = await findTenant(session, tenant);
    return session.app.jobs.deadLetters.replay(operatorContext(id), [jobId as JobId]);
  });
  if (revived.length === 0) throw new UsageError(`there is no dead job ${jobId}`);
  output.answer({ revived }, () => "it runs again");
}

/** Before the first event of a log. */
const beginningOfLog = "0-0";

interface EventsOptions extends OfTenant {
  readonly type?: string;
  readonly once?: boolean;
  readonly after?: string;
}

/** `brandos events --tenant T`: until Ctrl-C, or with `--once` what is there. */
export async function eventsCommand(output: Output, options: EventsOptions): Promise<void> {
  await inSession(output, async (session) => {
    const { id } = await findTenant(session, options.tenant);
    const { db } = session.app;
    const ctx = operatorContext(id);
    const { type, after } = options;
    if (options.once) {
      const page = await tailPage(db, ctx, {
        limit: 100,
        ...(type ? { type } : {}),
        cursor: after ?? beginningOfLog,
      });
      if (!page.ok) throw new UsageError("--after is not a cursor of this log");
      output.answer(page.value, () =>
        table(
          page.value.items.map((event) => ({
            at: event.recordedAt.toISOString(),
            type: event.type,
            stream: event.stream,
          })),
        ),
      );
      return;
    }
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    for await (const { event } of tailEvents(
      db,
      { ...ctx, signal: stop.signal },
      { after, type },
    )) {
      process.stdout.write(`${output.json ? JSON.stringify(event) : short(event)}\n`);
    }
  });
}

function short(event: RecordedEvent): string {
  return `${event.recordedAt.toISOString()}  ${event.type.padEnd(36)}  ${event.stream}`;
}
