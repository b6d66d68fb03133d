import type { TenantId } from "../../kernel/ids.ts";
import type { JsonValue } from "../../kernel/json.ts";
import type { Db } from "../db/db.ts";
import { type Fragment, fragment, type Statement, sql } from "../db/sql.ts";
import type { TenantTx, Tx } from "../db/transaction.ts";
import type { SagaId, SagaOrigin, SagaRun, SagaStatus, SagaSteps, StepError } from "./saga.ts";

/** A run to insert. */
export interface SagaRow {
  readonly id: SagaId;
  readonly name: string;
  readonly version: number;
  readonly timeoutMs: number;
  /** Whether the inserting process holds the lease from the start. */
  readonly held: boolean;
  readonly input: unknown;
  readonly origin: SagaOrigin;
}

/** Who holds leases, and for how long. */
export interface SagaHolder {
  readonly node: string;
  readonly leaseMs: number;
}

/** Writes new runs, sent without waiting: one statement. */
export function insertSagas(tx: TenantTx, holder: SagaHolder, rows: readonly SagaRow[]): void {
  tx.write(sql("sagas.insert")`
    insert into platform.sagas (tenant_id, id, name, version, status, holder, due_at, deadline_at,
      input, origin)
    select ${tx.tenantId}::uuid, id, name, version, 'running',
      case when held then ${holder.node}::uuid end,
      clock_timestamp() + make_interval(secs => case when held then ${holder.leaseMs / 1000} else 0 end),
      clock_timestamp() + make_interval(secs => timeout_ms / 1000.0), input, origin
    from unnest(${rows.map(({ id }) => id)}::uuid[],
      ${rows.map(({ name }) => name)}::text[],
      ${rows.map(({ version }) => version)}::smallint[],
      ${rows.map(({ timeoutMs }) => timeoutMs)}::bigint[],
      ${rows.map(({ held }) => held)}::boolean[],
      ${rows.map(({ input }) => JSON.stringify(input ?? null))}::jsonb[],
      ${rows.map(({ origin }) => JSON.stringify(plainOrigin(origin)))}::jsonb[])
      as n (id, name, version, timeout_ms, held, input, origin)`);
}

function plainOrigin({ requestId, actor, traceparent }: SagaOrigin): SagaOrigin {
  return { requestId, actor, ...(traceparent ? { traceparent } : {}) };
}

/** A change of a run that is under way. */
export interface SagaChange {
  readonly id: SagaId;
  readonly token: number;
  /** Records to add or replace. */
  readonly steps: SagaSteps;
  readonly status: SagaStatus;
  readonly output?: JsonValue | undefined;
  readonly failure?: StepError | undefined;
  /** Give the lease back: any node may take the run after so many milliseconds. */
  readonly releaseForMs?: number;
}

/**
 * Changes runs whose token still holds, and renews their leases: one statement.
 *
 * @returns ids of the runs changed; the others were taken over
 */
export async function changeSagas(
  tx: TenantTx,
  { leaseMs }: Pick<SagaHolder, "leaseMs">,
  changes: readonly SagaChange[],
): Promise<ReadonlySet<SagaId>> {
  const rows = await tx.rows<{ id: SagaId }>(changeStatement(tx.tenantId, leaseMs, changes));
  return new Set(rows.map(({ id }) => id));
}

function changeStatement(
  tenantId: TenantId,
  leaseMs: number,
  changes: readonly SagaChange[],
): Statement {
  const ids = changes.map(({ id }) => id);
  return sql("sagas.change")`
    update platform.sagas s
    set steps = s.steps || n.steps, status = n.status,
      output = coalesce(n.output, s.output), failure = coalesce(n.failure, s.failure),
      finished_at = case when n.status in ('completed', 'compensated', 'stuck')
        then clock_timestamp() end,
      holder = case when n.release_ms is null and n.status in ('running', 'compensating')
        then s.holder end,
      due_at = clock_timestamp() + make_interval(secs => coalesce(n.release_ms, ${leaseMs}) / 1000.0)
    from unnest(${ids}::uuid[],
      ${changes.map(({ token }) => token)}::integer[],
      ${changes.map(({ steps }) => JSON.stringify(steps))}::jsonb[],
      ${changes.map(({ status }) => status)}::text[],
      ${changes.map(({ output }) => json(output))}::jsonb[],
      ${changes.map(({ failure }) => json(failure))}::jsonb[],
      ${changes.map(({ releaseForMs }) => releaseForMs ?? null)}::integer[])
      as n (id, token, steps, status, output, failure, release_ms)
    where s.tenant_id = ${tenantId} and s.id = any(${ids}::uuid[]) and s.id = n.id
      and s.token = n.token and s.status in ('running', 'compensating')
    returning s.id`;
}

function json(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

const runColumns: Fragment = fragment`s.tenant_id as "tenantId", s.id, s.name, s.version, s.status,
  s.input, s.output, s.failure, s.steps, s.origin, s.started_at as "startedAt",
  s.deadline_at as "deadlineAt", s.finished_at as "finishedAt", s.due_at as "dueAt", s.holder`;

/** A run this node has just taken. */
export interface ClaimedRun extends SagaRun {
  readonly token: number;
  /** Time left to the deadline by the database's clock, milliseconds. */
  readonly leftMs: number;
}

/** Takes runs whose lease has ended or whose next try is due, oldest first. */
export function claimSagas(
  tx: Tx,
  holder: SagaHolder,
  want: {
    readonly definitions: readonly { readonly name: string; readonly version: number }[];
    readonly limit: number;
  },
): Promise<ClaimedRun[]> {
  return tx.rows<ClaimedRun>(sql("sagas.claim")`
    with due as (
      select s.tenant_id, s.id from platform.sagas s
      where s.status in ('running', 'compensating') and s.due_at <= clock_timestamp()
        and (s.name, s.version) in (select * from unnest(
          ${want.definitions.map(({ name }) => name)}::text[],
          ${want.definitions.map(({ version }) => version)}::smallint[]))
      order by s.due_at limit ${want.limit} for update skip locked)
    update platform.sagas s
    set holder = ${holder.node}, token = s.token + 1,
      due_at = clock_timestamp() + make_interval(secs => ${holder.leaseMs / 1000})
    from due where s.tenant_id = due.tenant_id and s.id = due.id
    returning ${runColumns}, s.token,
      (extract(epoch from s.deadline_at - clock_timestamp()) * 1000)::float8 as "leftMs"`);
}

/** Names a run that is held. */
export interface HeldRun {
  readonly tenantId: TenantId;
  readonly id: SagaId;
  readonly token: number;
}

/** Renews leases. @returns ids of the runs still held */
export async function renewSagas(
  tx: Tx,
  holder: SagaHolder,
  runs: readonly HeldRun[],
): Promise<ReadonlySet<SagaId>> {
  const rows = await tx.rows<{ id: SagaId }>(sql("sagas.renew")`
    update platform.sagas s
    set due_at = clock_timestamp() + make_interval(secs => ${holder.leaseMs / 1000})
    from unnest(${runs.map(({ tenantId }) => tenantId)}::uuid[],
      ${runs.map(({ id }) => id)}::uuid[],
      ${runs.map(({ token }) => token)}::integer[]) as n (tenant_id, id, token)
    where s.tenant_id = n.tenant_id and s.id = n.id and s.token = n.token
      and s.holder = ${holder.node} and s.status in ('running', 'compensating')
    returning s.id`);
  return new Set(rows.map(({ id }) => id));
}

/** Gives runs back: any node may take them at once. */
export async function releaseSagas(tx: Tx, runs: readonly HeldRun[]): Promise<void> {
  await tx.run(sql("sagas.release")`
    update platform.sagas s set holder = null, due_at = clock_timestamp()
    from unnest(${runs.map(({ tenantId }) => tenantId)}::uuid[],
      ${runs.map(({ id }) => id)}::uuid[],
      ${runs.map(({ token }) => token)}::integer[]) as n (tenant_id, id, token)
    where s.tenant_id = n.tenant_id and s.id = n.id and s.token = n.token
      and s.status in ('running', 'compensating')`);
}

/** One run with its steps. */
export function findSaga(db: Db, tenantId: TenantId, id: SagaId): Promise<SagaRun | undefined> {
  return db.read(
    tenantId,
    (tx) =>
      tx.maybe<SagaRun>(sql("sagas.find")`
        select ${runColumns} from platform.sagas s
        where s.tenant_id = ${tenantId} and s.id = ${id}`),
    { name: "sagas.find" },
  );
}

/** Which runs to list. */
export interface SagaListing {
  readonly status?: SagaStatus | undefined;
  readonly name?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Runs of a tenant, newest first. */
export function listSagas(db: Db, tenantId: TenantId, want: SagaListing): Promise<SagaRun[]> {
  const { status, name, before, limit } = want;
  const ofStatus = status ? fragment`and s.status = ${status}` : fragment``;
  const ofName = name ? fragment`and s.name = ${name}` : fragment``;
  const older = before ? fragment`and s.id < ${before}` : fragment``;
  return db.read(
    tenantId,
    (tx) =>
      tx.rows<SagaRun>(sql("sagas.list")`
        select ${runColumns} from platform.sagas s
        where s.tenant_id = ${tenantId} ${ofStatus} ${ofName} ${older}
        order by s.id desc limit ${limit}`),
    { name: "sagas.list" },
  );
}

/** Makes a stuck run compensate again. @returns whether it was stuck */
export async function retryStuck(db: Db, tenantId: TenantId, id: SagaId): Promise<boolean> {
  const rows = await db.commit(
    tenantId,
    (tx) =>
      tx.run(sql("sagas.retry_stuck")`
        update platform.sagas
        set status = 'compensating', finished_at = null, holder = null, due_at = clock_timestamp()
        where tenant_id = ${tenantId} and id = ${id} and status = 'stuck'`),
    { name: "sagas.retry" },
  );
  return rows === 1;
}
