import { newId } from "../../kernel/ids.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type {
  NewPayment,
  Payment,
  PaymentDeadLetter,
  PaymentDeadLetterId,
  PaymentId,
  PaymentOperation,
  PaymentOperationId,
  RefundBasis,
} from "./contract.ts";
import {
  type DeadLetterRow,
  type OperationRow,
  type PaymentRow,
  toDeadLetter,
  toOperation,
  toPayment,
} from "./rows.ts";

/** A new intent and when it came about. */
export interface DatedPayment {
  readonly payment: NewPayment;
  readonly createdAt: Date;
}

/** Writes new intents, without waiting. */
export function insertPayments(tx: TenantTx, dated: readonly DatedPayment[]): void {
  const payments = dated.map(({ payment }) => payment);
  tx.write(sql("payments.insert")`
    insert into payments (tenant_id, id, order_id, attempt, provider, capture_mode, status, currency,
      amount_minor, instrument_token, created_at, updated_at)
    select ${tx.tenantId}::uuid, id, order_id, attempt, provider, capture_mode, 'created', currency,
      amount_minor, instrument_token, created_at, created_at
    from unnest(${payments.map(({ id }) => id)}::uuid[],
      ${payments.map(({ orderId }) => orderId)}::uuid[],
      ${payments.map(({ attempt }) => attempt ?? 1)}::smallint[],
      ${payments.map(({ provider }) => provider)}::text[],
      ${payments.map(({ captureMode }) => captureMode ?? "automatic")}::text[],
      ${payments.map(({ currency }) => currency)}::text[],
      ${payments.map(({ amountMinor }) => amountMinor)}::bigint[],
      ${payments.map(({ instrumentToken }) => instrumentToken ?? null)}::text[],
      ${dated.map(({ createdAt }) => createdAt)}::timestamptz[])
      as new (id, order_id, attempt, provider, capture_mode, currency, amount_minor,
        instrument_token, created_at)`);
}

/** A payment that was settled before it was written. */
export interface SettledRow {
  readonly payment: NewPayment;
  readonly state: Payment;
}

/** Writes payments together with what they came to, without waiting. */
export function insertSettledPayments(tx: TenantTx, rows: readonly SettledRow[]): void {
  const states = rows.map(({ state }) => state);
  tx.write(sql("payments.insert_settled")`
    insert into payments (tenant_id, id, order_id, attempt, provider, capture_mode, status, currency,
      amount_minor, authorised_minor, captured_minor, instrument_token, provider_reference,
      failure_code, version, created_at, updated_at)
    select ${tx.tenantId}::uuid, id, order_id, attempt, provider, capture_mode, status, currency,
      amount_minor, authorised_minor, captured_minor, instrument_token, provider_reference,
      failure_code, version, at, at
    from unnest(${states.map(({ id }) => id)}::uuid[],
      ${states.map(({ orderId }) => orderId)}::uuid[],
      ${states.map(({ attempt }) => attempt)}::smallint[],
      ${states.map(({ provider }) => provider)}::text[],
      ${states.map(({ captureMode }) => captureMode)}::text[],
      ${states.map(({ status }) => status)}::text[],
      ${states.map(({ currency }) => currency)}::text[],
      ${states.map(({ amountMinor }) => amountMinor)}::bigint[],
      ${states.map(({ authorisedMinor }) => authorisedMinor)}::bigint[],
      ${states.map(({ capturedMinor }) => capturedMinor)}::bigint[],
      ${rows.map(({ payment }) => payment.instrumentToken ?? null)}::text[],
      ${states.map(({ providerReference }) => providerReference ?? null)}::text[],
      ${states.map(({ failureCode }) => failureCode ?? null)}::text[],
      ${states.map(({ version }) => version)}::integer[],
      ${states.map(({ createdAt }) => createdAt.toISOString())}::timestamptz[])
      as new (id, order_id, attempt, provider, capture_mode, status, currency, amount_minor,
        authorised_minor, captured_minor, instrument_token, provider_reference, failure_code,
        version, at)`);
}

/** Reads payments and locks their rows, in order of id, until the transaction ends. */
export async function lockPayments(
  tx: TenantTx,
  ids: readonly PaymentId[],
): Promise<ReadonlyMap<PaymentId, Payment>> {
  const rows = await tx.rows<PaymentRow>(sql("payments.lock")`
    select id, order_id, attempt, provider, capture_mode, status, currency, amount_minor,
      authorised_minor, captured_minor, refunded_minor, is_voided, instrument_brand,
      instrument_last4, provider_reference, failure_code, next_action_url, created_at,
      updated_at, version
    from payments
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
    order by id
    for update`);
  return new Map(rows.map((row) => [row.id, toPayment(row)]));
}

/**
 * Locks one payment for a decision about what it may still be asked to do, and counts the decision.
 *
 * Under REPEATABLE READ a lock alone is not enough: whoever waited for it would decide on a snapshot
 * without the rival's operation. The counted version makes them start again on a fresh one.
 */
export async function claimPayment(tx: TenantTx, id: PaymentId): Promise<Payment | undefined> {
  const row = await tx.maybe<PaymentRow>(sql("payments.claim")`
    update payments set version = version + 1
    where tenant_id = ${tx.tenantId} and id = ${id}
    returning id, order_id, attempt, provider, capture_mode, status, currency, amount_minor,
      authorised_minor, captured_minor, refunded_minor, is_voided, instrument_brand,
      instrument_last4, provider_reference, failure_code, next_action_url, created_at,
      updated_at, version`);
  return row && toPayment(row);
}

/** Reads the operations of locked payments whose outcome is not known. */
export async function pendingOperations(
  tx: TenantTx,
  paymentIds: readonly PaymentId[],
): Promise<PaymentOperation[]> {
  const rows = await tx.rows<OperationRow>(sql("payments.pending_operations")`
    select id, payment_id, kind, amount_minor, status, basis, reason, failure_code, requested_at,
      settled_at
    from payment_operations
    where tenant_id = ${tx.tenantId} and payment_id = any(${paymentIds}::uuid[])
      and status = 'pending'
    order by id`);
  return rows.map(toOperation);
}

/** Writes payments that {@link lockPayments} returned and that have changed, without waiting. */
export function updatePayments(tx: TenantTx, payments: readonly Payment[]): void {
  tx.write(sql("payments.update")`
    update payments as p
    set status = n.status, authorised_minor = n.authorised_minor,
      captured_minor = n.captured_minor, refunded_minor = n.refunded_minor,
      is_voided = n.is_voided, instrument_brand = n.instrument_brand,
      instrument_last4 = n.instrument_last4, provider_reference = n.provider_reference,
      failure_code = n.failure_code, next_action_url = n.next_action_url,
      version = n.version, updated_at = n.updated_at
    from unnest(${payments.map(({ id }) => id)}::uuid[],
      ${payments.map(({ status }) => status)}::text[],
      ${payments.map((payment) => payment.authorisedMinor)}::bigint[],
      ${payments.map((payment) => payment.capturedMinor)}::bigint[],
      ${payments.map((payment) => payment.refundedMinor)}::bigint[],
      ${payments.map(({ isVoided }) => isVoided)}::boolean[],
      ${payments.map(({ instrument }) => instrument?.brand ?? null)}::text[],
      ${payments.map(({ instrument }) => instrument?.last4 ?? null)}::text[],
      ${payments.map(({ providerReference }) => providerReference ?? null)}::text[],
      ${payments.map(({ failureCode }) => failureCode ?? null)}::text[],
      ${payments.map(({ nextActionUrl }) => nextActionUrl ?? null)}::text[],
      ${payments.map(({ version }) => version)}::integer[],
      ${payments.map(({ updatedAt }) => updatedAt)}::timestamptz[])
      as n (id, status, authorised_minor, captured_minor, refunded_minor, is_voided,
        instrument_brand, instrument_last4, provider_reference, failure_code, next_action_url,
        version, updated_at)
    where p.tenant_id = ${tx.tenantId} and p.id = n.id`);
}

/** What a capture, void or refund is recorded with. */
export interface NewOperation {
  readonly id: PaymentOperationId;
  readonly paymentId: PaymentId;
  readonly kind: PaymentOperation["kind"];
  readonly amountMinor: number;
  readonly basis?: RefundBasis;
  readonly reason?: string;
}

/** Records the intent of a capture, void or refund. */
export async function insertOperation(
  tx: TenantTx,
  operation: NewOperation,
  now: Date,
): Promise<PaymentOperation> {
  const row = await tx.one<OperationRow>(sql("payments.insert_operation")`
    insert into payment_operations
      (tenant_id, id, payment_id, kind, amount_minor, basis, reason, requested_at)
    values (${tx.tenantId}, ${operation.id}, ${operation.paymentId}, ${operation.kind},
      ${operation.amountMinor}, ${operation.basis ?? null}, ${operation.reason ?? null}, ${now})
    returning id, payment_id, kind, amount_minor, status, basis, reason, failure_code,
      requested_at, settled_at`);
  return toOperation(row);
}

/** Reads one operation. */
export async function findOperation(
  tx: TenantTx,
  id: PaymentOperationId,
): Promise<PaymentOperation | undefined> {
  const row = await tx.maybe<OperationRow>(sql("payments.find_operation")`
    select id, payment_id, kind, amount_minor, status, basis, reason, failure_code, requested_at,
      settled_at
    from payment_operations
    where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toOperation(row);
}

/** How an operation ended. */
export interface SettledOperation {
  readonly id: PaymentOperationId;
  readonly status: "succeeded" | "failed";
  readonly reference: string;
  readonly failureCode?: string;
  readonly settledAt: Date;
}

/** Writes how pending operations ended, without waiting. */
export function settleOperations(tx: TenantTx, settled: readonly SettledOperation[]): void {
  tx.write(sql("payments.settle_operations")`
    update payment_operations as o
    set status = n.status, provider_reference = n.reference, failure_code = n.failure_code,
      settled_at = n.settled_at
    from unnest(${settled.map(({ id }) => id)}::uuid[],
      ${settled.map(({ status }) => status)}::text[],
      ${settled.map(({ reference }) => reference)}::text[],
      ${settled.map(({ failureCode }) => failureCode ?? null)}::text[],
      ${settled.map(({ settledAt }) => settledAt)}::timestamptz[])
      as n (id, status, reference, failure_code, settled_at)
    where o.tenant_id = ${tx.tenantId} and o.id = n.id and o.status = 'pending'`);
}

/** A problem for a person. */
export interface NewDeadLetter {
  readonly paymentId: PaymentId;
  readonly kind: PaymentDeadLetter["kind"];
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Raises problems, without waiting; one that is open already stays as it is. */
export function insertDeadLetters(tx: TenantTx, letters: readonly NewDeadLetter[]): void {
  tx.write(sql("payments.insert_dead_letters")`
    insert into payment_dead_letters (tenant_id, id, payment_id, kind, detail)
    select ${tx.tenantId}::uuid, id, payment_id, kind, detail
    from unnest(${letters.map(() => newId())}::uuid[],
      ${letters.map(({ paymentId }) => paymentId)}::uuid[],
      ${letters.map(({ kind }) => kind)}::text[],
      ${letters.map(({ detail }) => JSON.stringify(detail))}::jsonb[])
      as new (id, payment_id, kind, detail)
    on conflict (tenant_id, payment_id, kind) where resolved_at is null do nothing`);
}

/** Counts a person's retry of an open problem. */
export function countDeadLetterRetry(tx: TenantTx, id: PaymentDeadLetterId): void {
  tx.write(sql("payments.count_dead_letter_retry")`
    update payment_dead_letters set retries = retries + 1
    where tenant_id = ${tx.tenantId} and id = ${id} and resolved_at is null`);
}

/** Closes an open problem. @returns undefined when there is none with this id */
export async function closeDeadLetter(
  tx: TenantTx,
  id: PaymentDeadLetterId,
  resolution: string,
): Promise<PaymentDeadLetter | undefined> {
  const row = await tx.maybe<DeadLetterRow>(sql("payments.close_dead_letter")`
    update payment_dead_letters set resolved_at = now(), resolution = ${resolution}
    where tenant_id = ${tx.tenantId} and id = ${id} and resolved_at is null
    returning id, payment_id, kind, detail, raised_at, retries, resolved_at, resolution`);
  return row && toDeadLetter(row);
}

/** A notice to remember. */
export interface NewProviderEvent {
  readonly provider: string;
  readonly eventId: string;
  readonly type: string;
  readonly paymentId: PaymentId;
  readonly bodySha256: string;
}

/**
 * Remembers notices. @returns for each known one what was remembered first, by `provider/eventId`;
 * the others are new
 */
export async function rememberEvents(
  tx: TenantTx,
  events: readonly NewProviderEvent[],
): Promise<ReadonlyMap<string, string>> {
  const ordered = events.toSorted((a, b) => (eventKey(a) < eventKey(b) ? -1 : 1));
  const rows = await tx.rows<{ provider: string; event_id: string; body_sha256: string }>(
    // `do update` returns the row of a notice that another transaction is just remembering; a new
    // one is told from a known one by xmax: 0 means inserted.
    sql("payments.remember_events")`
    with remembered as (
      insert into provider_events as known (tenant_id, provider, event_id, type, payment_id, body_sha256)
      select ${tx.tenantId}::uuid, provider, event_id, type, payment_id, body_sha256
      from unnest(${ordered.map(({ provider }) => provider)}::text[],
        ${ordered.map(({ eventId }) => eventId)}::text[],
        ${ordered.map(({ type }) => type)}::text[],
        ${ordered.map(({ paymentId }) => paymentId)}::uuid[],
        ${ordered.map(({ bodySha256 }) => bodySha256)}::text[])
        as new (provider, event_id, type, payment_id, body_sha256)
      on conflict (tenant_id, provider, event_id) do update set event_id = known.event_id
      returning provider, event_id, body_sha256, xmax = 0 as is_new
    )
    select provider, event_id, body_sha256 from remembered where not is_new`,
  );
  return new Map(rows.map((row) => [`${row.provider}/${row.event_id}`, row.body_sha256]));
}

/** Key of a notice in maps. */
export function eventKey(event: Pick<NewProviderEvent, "provider" | "eventId">): string {
  return `${event.provider}/${event.eventId}`;
}

/** Forgets notices that no provider repeats any more: 30 days old, 1,000 at a time. */
export function forgetOldEvents(tx: TenantTx): Promise<number> {
  return tx.run(sql("payments.forget_events")`
    delete from provider_events
    where tenant_id = ${tx.tenantId} and (provider, event_id) in (
      select provider, event_id from provider_events
      where tenant_id = ${tx.tenantId} and processed_at < now() - interval '30 days'
      limit 1000)`);
}

/** Notes that the provider was asked about payments and operations, so that others come first. */
export function markChecked(
  tx: TenantTx,
  paymentIds: readonly PaymentId[],
  operationIds: readonly PaymentOperationId[],
): void {
  tx.write(sql("payments.mark_checked")`
    update payments set checked_at = now()
    where tenant_id = ${tx.tenantId} and id = any(${paymentIds}::uuid[])`);
  tx.write(sql("payments.mark_operations_checked")`
    update payment_operations set checked_at = now()
    where tenant_id = ${tx.tenantId} and id = any(${operationIds}::uuid[])`);
}
