import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import type {
  ListPayments,
  Payment,
  PaymentDeadLetter,
  PaymentDeadLetterId,
  PaymentDetail,
  PaymentId,
  PaymentOperation,
} from "./contract.ts";
import {
  type DeadLetterRow,
  type OperationRow,
  type PaymentRow,
  toDeadLetter,
  toOperation,
  toPayment,
} from "./rows.ts";

const paymentColumns = fragment`id, order_id, attempt, provider, capture_mode, status, currency,
  amount_minor, authorised_minor, captured_minor, refunded_minor, is_voided, instrument_brand,
  instrument_last4, provider_reference, failure_code, next_action_url, created_at, updated_at, version`;
const operationColumns = fragment`id, payment_id, kind, amount_minor, status, basis, reason,
  failure_code, requested_at, settled_at`;
const letterColumns = fragment`id, payment_id, kind, detail, raised_at, retries, resolved_at, resolution`;

/** Reads one payment. */
export async function findPayment(tx: TenantTx, id: PaymentId): Promise<Payment | undefined> {
  const row = await tx.maybe<PaymentRow>(sql("payments.find")`
    select ${paymentColumns} from payments where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toPayment(row);
}

/** Reads one payment with its operations, oldest first, in one round trip. */
export async function findPaymentDetail(
  tx: TenantTx,
  id: PaymentId,
): Promise<PaymentDetail | undefined> {
  const [payment, operations] = await Promise.all([
    findPayment(tx, id),
    tx.rows<OperationRow>(sql("payments.operations_of")`
      select ${operationColumns} from payment_operations
      where tenant_id = ${tx.tenantId} and payment_id = ${id}
      order by requested_at, id`),
  ]);
  return payment && { payment, operations: operations.map(toOperation) };
}

/** Lists payments, newest first. @returns 0 to filter.limit + 1 payments: one more tells of another page */
export async function listPayments(tx: TenantTx, filter: ListPayments): Promise<Payment[]> {
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    ...(filter.orderId ? [fragment`order_id = ${filter.orderId}`] : []),
    ...(filter.status ? [fragment`status = ${filter.status}`] : []),
    ...(filter.before ? [fragment`id < ${filter.before}`] : []),
  ];
  const rows = await tx.rows<PaymentRow>(sql("payments.list")`
    select ${paymentColumns} from payments where ${joinFragments(conditions, " and ")}
    order by id desc limit ${filter.limit + 1}`);
  return rows.map(toPayment);
}

/** Lists open problems, newest first. @returns 0 to limit + 1 */
export async function listDeadLetters(
  tx: TenantTx,
  { limit, before }: { readonly limit: number; readonly before?: PaymentDeadLetterId },
): Promise<PaymentDeadLetter[]> {
  const rows = await tx.rows<DeadLetterRow>(sql("payments.list_dead_letters")`
    select ${letterColumns} from payment_dead_letters
    where tenant_id = ${tx.tenantId} and (${before ?? null}::uuid is null or id < ${before ?? null})
      and resolved_at is null
    order by id desc limit ${limit + 1}`);
  return rows.map(toDeadLetter);
}

/** Reads one problem. */
export async function findDeadLetter(
  tx: TenantTx,
  id: PaymentDeadLetterId,
): Promise<PaymentDeadLetter | undefined> {
  const row = await tx.maybe<DeadLetterRow>(sql("payments.find_dead_letter")`
    select ${letterColumns} from payment_dead_letters
    where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toDeadLetter(row);
}

/**
 * Lists payments that have waited for their outcome since `before`, those asked about longest ago
 * first.
 *
 * @param before created or last asked about before this moment
 */
export async function listWaiting(tx: TenantTx, before: Date, limit: number): Promise<Payment[]> {
  const rows = await tx.rows<PaymentRow>(sql("payments.list_waiting")`
    select ${paymentColumns} from payments
    where tenant_id = ${tx.tenantId}
      and (status in ('created', 'requires_action')
        or (status = 'authorised' and capture_mode = 'automatic'))
      and coalesce(checked_at, created_at) < ${before}
    order by checked_at nulls first, id
    limit ${limit}`);
  return rows.map(toPayment);
}

/** Lists operations that have waited for their outcome since `before`. */
export async function listPendingOperations(
  tx: TenantTx,
  before: Date,
  limit: number,
): Promise<PaymentOperation[]> {
  const rows = await tx.rows<OperationRow>(sql("payments.list_pending_operations")`
    select ${operationColumns} from payment_operations
    where tenant_id = ${tx.tenantId} and status = 'pending'
      and coalesce(checked_at, requested_at) < ${before}
    order by checked_at nulls first, id
    limit ${limit}`);
  return rows.map(toOperation);
}
