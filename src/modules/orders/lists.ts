import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import { ok, type Result } from "../../kernel/result.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { type BadCursor, readCursor, signCursor } from "../../platform/http/cursor.ts";
import type { OrderId, OrderLine, OrderSummary } from "./contract.ts";
import {
  countOrders,
  listLines,
  listOrderSummaries,
  listOrderTexts,
  type OrderFilter,
  type OrderSlice,
  steerToIndexes,
} from "./queries.ts";

/** Which page of a list of orders. */
export interface ListOrders {
  readonly filter: OrderFilter;
  /** 1 to 100. */
  readonly limit: number;
  /** Where the page begins; left out: at the newest order. */
  readonly cursor?: string | undefined;
  /** Page by number instead, from 1; the cost grows with it. */
  readonly page?: number | undefined;
  /** Also counts the whole list: costs a walk over its index. */
  readonly withTotal?: boolean | undefined;
  readonly withLines?: boolean | undefined;
}

/** An order of a list; with its lines where they were asked for. */
export type ListedOrder = OrderSummary & { readonly lines?: readonly OrderLine[] };

interface Numbered<Item> extends Page<Item> {
  readonly page?: number;
  /** Orders in the whole list, where it was asked for. */
  readonly total?: number;
}

/** A page of orders, newest first. */
export type OrderPage = Numbered<ListedOrder>;

/** Short reads of one tenant that share a transaction. */
export interface SharedReads {
  /**
   * Runs a read in the next shared transaction of the tenant.
   *
   * @param what names the answer: who asks the same before that transaction begins gets the same value
   * @throws DbError, CoalescerFullError
   */
  read<Value>(
    tenantId: TenantId,
    what: string,
    work: (tx: TenantTx) => Promise<Value>,
  ): Promise<Value>;
}

/** Limits of the shared reads of one process; those that ask the same count once. */
const readLimits = { batchMax: 4, inFlightMax: 2, waitingMax: 2_000 };

interface SharedRead {
  readonly name: string;
  readonly work: (tx: TenantTx) => Promise<unknown>;
}

/**
 * Makes the shared reads. Concurrent short reads of a tenant travel in one pipelined transaction:
 * opening one costs more than a page does (3,500 pages/s alone, 6,000 shared, 2 cores); four at a
 * time are answered sooner than sixteen. Only for reads of a few index pages: neighbours wait for
 * each other. Nobody gets an answer from before the question: a transaction takes nobody in once it
 * has begun.
 */
export function createSharedReads(db: Db): SharedReads {
  /** Answers by name, of reads that no transaction has taken in yet. */
  const waiting = new Map<string, Promise<unknown>>();
  const reads: Coalescer<SharedRead, unknown> = createCoalescer({
    name: "orders.read",
    ...readLimits,
    run(tenantId, batch) {
      for (const { name } of batch) waiting.delete(name);
      const readAll = (tx: TenantTx) => {
        steerToIndexes(tx);
        return Promise.all(batch.map(({ work }) => work(tx)));
      };
      return db.read(tenantId as TenantId, readAll, { name: "orders.read" });
    },
  });
  const ask = (tenantId: TenantId, read: SharedRead): Promise<unknown> => {
    const answer = reads.submit(tenantId, read);
    waiting.set(read.name, answer);
    // One that was refused, because too many wait, never begins.
    answer.catch(() => {
      if (waiting.get(read.name) === answer) waiting.delete(read.name);
    });
    return answer;
  };
  return {
    async read<Value>(tenantId: TenantId, what: string, work: (tx: TenantTx) => Promise<Value>) {
      const name = `${tenantId} ${what}`;
      return (await (waiting.get(name) ?? ask(tenantId, { name, work }))) as Value;
    },
  };
}

/** What lists need. */
export interface ListDeps {
  readonly db: Db;
  readonly reads: SharedReads;
  readonly clock: () => Date;
}

/**
 * Lists orders, newest first, in at most two statements for any page size; one more for their
 * lines. Cursor pages cost the same at any depth.
 *
 * @returns request.bad_cursor for a cursor of another list
 */
export function listOrders(
  deps: ListDeps,
  ctx: Pick<Context, "tenantId">,
  query: ListOrders,
): Promise<Result<OrderPage, BadCursor>> {
  const read = async (tx: TenantTx, slice: OrderSlice): Promise<ListedOrder[]> => {
    const orders = await listOrderSummaries(tx, query.filter, slice);
    if (!query.withLines) return orders;
    const lines = await listLines(
      tx,
      orders.slice(0, slice.limit).map((order) => order.id),
    );
    return orders.map((order) => ({ ...order, lines: lines.get(order.id) ?? [] }));
  };
  return readPage(deps, ctx, query, { form: "orders", read });
}

/**
 * Lists orders without their lines as the JSON text that HTTP answers with. The text comes from
 * PostgreSQL: half of what a page costs this process is reading columns to write them again.
 *
 * @returns request.bad_cursor for a cursor of another list
 */
export async function listOrdersAsJson(
  deps: ListDeps,
  ctx: Pick<Context, "tenantId">,
  query: Omit<ListOrders, "withLines">,
): Promise<Result<string, BadCursor>> {
  const read = (tx: TenantTx, slice: OrderSlice) => listOrderTexts(tx, query.filter, slice);
  const page = await readPage(deps, ctx, query, { form: "texts", read });
  if (!page.ok) return page;
  const { items, ...rest } = page.value;
  const others = JSON.stringify(rest).slice(1);
  const texts = items.map((item) => item.json).join(",");
  return ok(`{"items":[${texts}]${others === "}" ? "" : ","}${others}`);
}

/** How the items of a page are read. */
interface PageReader<Item> {
  readonly form: "orders" | "texts";
  readonly read: (tx: TenantTx, slice: OrderSlice) => Promise<readonly Item[]>;
}

async function readPage<Item extends { readonly id: OrderId }>(
  deps: ListDeps,
  { tenantId }: Pick<Context, "tenantId">,
  query: ListOrders,
  { form, read }: PageReader<Item>,
): Promise<Result<Numbered<Item>, BadCursor>> {
  const { filter, limit, page, withTotal } = query;
  const scope = { tenantId, list: "orders by id desc", filter: { ...filter } };
  const position = query.cursor === undefined ? ok([]) : readCursor(scope, query.cursor);
  if (!position.ok) return position;
  const after = position.value[0] as OrderId | undefined;
  const slice: OrderSlice = {
    limit,
    now: deps.clock(),
    ...(after ? { after } : {}),
    ...(page ? { offset: (page - 1) * limit } : {}),
  };
  const work = (tx: TenantTx) =>
    Promise.all([read(tx, slice), withTotal ? countOrders(tx, filter) : undefined]);
  const [found, total] =
    page || withTotal
      ? await readAlone(deps.db, tenantId, work)
      : await deps.reads.read(tenantId, `${form} ${JSON.stringify(query)}`, work);
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return ok({
    items,
    ...(found.length > limit && last ? { nextCursor: signCursor(scope, [last.id]) } : {}),
    ...(page ? { page } : {}),
    ...(total === undefined ? {} : { total }),
  });
}

/** For reads that may take long: nobody shares their transaction. */
function readAlone<Value>(
  db: Db,
  tenantId: TenantId,
  work: (tx: TenantTx) => Promise<Value>,
): Promise<Value> {
  const steered = (tx: TenantTx) => {
    steerToIndexes(tx);
    return work(tx);
  };
  return db.read(tenantId, steered, { name: "orders.list_pages" });
}
