import type { TenantId } from "../../kernel/ids.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import type { RecordedEvent } from "./event.ts";
import { eventColumns } from "./queries.ts";

/** State of a dead letter: it failed, waits behind one, or was told to be handled or dropped. */
export type DeadLetterState = "dead" | "waiting" | "released" | "discarded";

/** An event to park. */
export interface ParkedEvent {
  readonly event: RecordedEvent;
  readonly state: "dead" | "waiting";
  readonly attempts: number;
  /** What went wrong, for people; at most 2,000 characters are kept. */
  readonly error?: unknown;
}

/** Names a stream of a tenant in memory. */
export function streamKey(event: { readonly tenantId: string; readonly stream: string }): string {
  return `${event.tenantId}/${event.stream}`;
}

/** Parks events, sent without waiting. An event that is parked already takes its new state. */
export function park(tx: Tx, subscription: string, parked: readonly ParkedEvent[]): void {
  if (parked.length === 0) return;
  const events = parked.map(({ event }) => event);
  tx.write(sql("events.park")`
    insert into platform.event_dead_letters (tenant_id, subscription, event_id, partition, horizon,
      position, stream, type, state, attempts, error)
    select tenant_id, ${subscription}, event_id, partition, horizon, position, stream, type, state,
      attempts, error
    from unnest(${events.map(({ tenantId }) => tenantId)}::uuid[],
      ${events.map(({ id }) => id)}::uuid[],
      ${events.map(({ partition }) => partition)}::smallint[],
      ${events.map(({ horizon }) => horizon)}::bigint[],
      ${events.map(({ position }) => position)}::bigint[],
      ${events.map(({ stream }) => stream)}::text[],
      ${events.map(({ type }) => type)}::text[],
      ${parked.map(({ state }) => state)}::text[],
      ${parked.map(({ attempts }) => attempts)}::integer[],
      ${parked.map(({ error }) => describeError(error))}::text[])
      as n (tenant_id, event_id, partition, horizon, position, stream, type, state, attempts, error)
    on conflict (tenant_id, subscription, event_id) do update
      set state = excluded.state, error = coalesce(excluded.error, event_dead_letters.error),
        attempts = event_dead_letters.attempts + excluded.attempts`);
}

/** What went wrong, in one text a person can read. */
export function describeError(error: unknown): string | null {
  if (error === undefined) return null;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, 2_000);
}

/** Streams of these partitions that have parked events, by {@link streamKey}. */
export async function parkedStreams(
  tx: Tx,
  subscription: string,
  partitions: readonly number[],
): Promise<{ readonly key: string; readonly partition: number }[]> {
  const rows = await tx.rows<{ tenantId: string; stream: string; partition: number }>(
    sql("events.parked_streams")`
      select distinct tenant_id as "tenantId", stream, partition from platform.event_dead_letters
      where subscription = ${subscription}
        and partition = any(${partitions}::smallint[])`,
  );
  return rows.map((row) => ({ key: streamKey(row), partition: row.partition }));
}

/** A parked event that has to be looked at again, with its content if the log still has it. */
export interface ReleasedLetter {
  readonly tenantId: TenantId;
  readonly eventId: string;
  readonly stream: string;
  readonly state: DeadLetterState;
  /** Undefined when the event's month was archived. */
  readonly event: RecordedEvent | undefined;
}

interface LetterRow extends RecordedEvent {
  readonly letterTenantId: TenantId;
  readonly letterStream: string;
  readonly eventId: string;
  readonly state: DeadLetterState;
}

/** All letters of streams in which some were released or discarded, in log order. */
export async function releasedLetters(
  tx: Tx,
  subscription: string,
  partitions: readonly number[],
): Promise<ReleasedLetter[]> {
  const rows = await tx.rows<LetterRow>(sql("events.released_letters")`
    with touched as (
      select distinct tenant_id, stream from platform.event_dead_letters
      where subscription = ${subscription}
        and partition = any(${partitions}::smallint[])
        and state in ('released', 'discarded') limit 100)
    select ${eventColumns}, d.tenant_id as "letterTenantId", d.event_id as "eventId", d.state,
      d.stream as "letterStream"
    from platform.event_dead_letters d
    join touched using (tenant_id, stream)
    left join platform.events e on e.tenant_id = d.tenant_id and e.id = d.event_id
    where d.subscription = ${subscription}
    order by d.horizon, d.position limit 1000`);
  return rows.map((row) => {
    const { letterTenantId, letterStream, eventId, state, ...event } = row;
    const letter = { tenantId: letterTenantId, eventId, stream: letterStream, state };
    return { ...letter, event: event.id ? event : undefined };
  });
}

/** Removes letters that were handled or discarded, sent without waiting. */
export function forgetLetters(
  tx: Tx,
  subscription: string,
  letters: readonly { readonly tenantId: TenantId; readonly eventId: string }[],
): void {
  if (letters.length === 0) return;
  tx.write(sql("events.forget_letters")`
    delete from platform.event_dead_letters d
    using unnest(${letters.map(({ tenantId }) => tenantId)}::uuid[],
      ${letters.map(({ eventId }) => eventId)}::uuid[]) as n (tenant_id, event_id)
    where d.tenant_id = n.tenant_id and d.subscription = ${subscription}
      and d.event_id = n.event_id`);
}

/** Makes released letters of a stream wait again, because one before them failed again. */
export function holdLetters(
  tx: Tx,
  subscription: string,
  { tenantId, stream }: { readonly tenantId: TenantId; readonly stream: string },
): void {
  tx.write(sql("events.hold_letters")`
    update platform.event_dead_letters set state = 'waiting'
    where tenant_id = ${tenantId} and subscription = ${subscription} and stream = ${stream}
      and state = 'released'`);
}
