import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";

/** Hands out order numbers of tenants. */
export interface OrderNumbers {
  /**
   * Takes the next numbers of a tenant: unique for ever, ascending per process, beginning at 1001.
   *
   * Call it before the transaction that writes the orders: it may need one of its own.
   * @param count how many, 1 or more
   * @throws DbError
   */
  take(tenantId: TenantId, count: number): Promise<number[]>;
}

interface Block {
  next: number;
  /** First number that is not ours. */
  end: number;
  size: number;
  takenAtMs: number;
}

/** Size a block grows to at most: what is lost when a process dies. */
const blockMax = 5_000;
/** A block that is used up sooner than this doubles, milliseconds. */
const blockLifetimeMs = 500;
/** Tenants whose blocks are kept; the one unused for longest goes, with its rest. */
const tenantsMax = 10_000;

/**
 * Makes the source of order numbers of this process.
 *
 * It takes blocks from `order_numbers`, whose size follows the pace of sales: a shop that sells an
 * order a minute has them one by one without gaps, one that sells thousands a second asks the
 * database twice a second. So no order waits for another order's commit to get its number, and
 * uniqueness needs no index over all months. Gaps are possible, order between processes is rough.
 */
export function createOrderNumbers(db: Db): OrderNumbers {
  const blocks = new Map<TenantId, Block>();
  const queues = new Map<TenantId, Promise<unknown>>();

  const refill = async (tenantId: TenantId, missing: number): Promise<Block> => {
    const nowMs = performance.now();
    const last = blocks.get(tenantId);
    const hurried = last !== undefined && nowMs - last.takenAtMs < blockLifetimeMs;
    const size = Math.max(missing, hurried ? Math.min(last.size * 2, blockMax) : 0);
    const end = await allocate(db, tenantId, size);
    const block = { next: end - size, end, size, takenAtMs: nowMs };
    blocks.delete(tenantId);
    blocks.set(tenantId, block);
    const [oldest] = blocks.keys();
    if (blocks.size > tenantsMax && oldest) blocks.delete(oldest);
    return block;
  };

  const take = async (tenantId: TenantId, count: number): Promise<number[]> => {
    const numbers: number[] = [];
    let block = blocks.get(tenantId);
    while (numbers.length < count) {
      if (!block || block.next >= block.end) block = await refill(tenantId, count - numbers.length);
      while (block.next < block.end && numbers.length < count) numbers.push(block.next++);
    }
    return numbers;
  };

  return {
    take(tenantId, count) {
      // One taker at a time per tenant: a second one would otherwise refill beside the first.
      const taken = (queues.get(tenantId) ?? Promise.resolve()).then(() => take(tenantId, count));
      const settled = taken.catch(() => {});
      queues.set(tenantId, settled);
      settled.then(() => {
        if (queues.get(tenantId) === settled) queues.delete(tenantId);
      });
      return taken;
    },
  };
}

/** Moves a tenant's counter. @returns the first number after the block */
function allocate(db: Db, tenantId: TenantId, size: number): Promise<number> {
  const work = { name: "orders.allocate_numbers" };
  return db.commit(
    tenantId,
    async (tx) => {
      // The orders commit later in the same log, so whoever survives a crash survives it with this.
      const row = await tx.one<{ end: number }>(sql("orders.allocate_numbers")`
        insert into order_numbers as n (tenant_id, next_number)
        select ${tx.tenantId}::uuid, 1001 + ${size}::bigint
        from set_config('synchronous_commit', 'off', true)
        on conflict (tenant_id) do update set next_number = n.next_number + ${size}::bigint
        returning next_number as end`);
      return row.end;
    },
    work,
  );
}
