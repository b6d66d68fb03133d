import type { TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import type { Tx } from "../db/transaction.ts";
import { LockError } from "./errors.ts";
import type { Lock } from "./held-lock.ts";

/**
 * Admits a holder to something of the tenant that its lock protects, in the transaction that
 * changes it: whoever comes with a smaller token than was seen is refused. Works with the tokens of
 * every store. Holders take turns from here to their commit.
 *
 * @param resource what is protected, 1 to 200 characters
 * @throws LockError ERR_LOCK_STALE: somebody took the lock over; roll back
 */
export async function admitToken(tx: TenantTx, resource: string, token: number): Promise<void> {
  endIfPaused(tx);
  const admitted = await tx.run(sql("locks.admit")`
    insert into fences as fence (tenant_id, resource, token)
    values (${tx.tenantId}, ${resource}, ${token})
    on conflict (tenant_id, resource) do update set token = excluded.token
    where fence.token <= excluded.token`);
  if (admitted === 0) throw stale(resource, token);
}

/**
 * Checks in a platform transaction that a lock kept in the same database is held, and keeps it from
 * being taken over until the transaction is over: for work without a tenant. Refuses a holder
 * whose lease has ended even when nobody has taken it over yet. Keep it short: meanwhile the lease
 * cannot be renewed either.
 *
 * @throws LockError ERR_LOCK_STALE: roll back
 */
export async function checkLeaseIn(tx: Tx, { name, token }: Pick<Lock, "name" | "token">) {
  endIfPaused(tx);
  const rows = await tx.rows(sql("locks.check")`
    select from leases
    where name = ${name} and token = ${token} and expires_at > clock_timestamp() for share`);
  if (rows.length === 0) throw stale(name, token);
}

/**
 * Has the server end this transaction when its process says nothing for 2 s: a holder that is paused
 * in the middle of it would keep the next one out.
 */
function endIfPaused(tx: Tx): void {
  tx.write(sql("locks.end_if_paused")`
    select set_config('idle_in_transaction_session_timeout', '2s', true)`);
}

function stale(what: string, token: number): LockError {
  return new LockError(
    "ERR_LOCK_STALE",
    `token ${token} of ${what} was overtaken by another holder`,
  );
}
