import type { Context } from "../../kernel/context.ts";
import { lowestIdAt } from "../../kernel/ids.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { fragment, sql } from "../../platform/db/sql.ts";
import { conditions, type OrderFilter } from "./queries.ts";
import { csvHeader, csvLine, jsonOrder } from "./texts.ts";

/** Formats of an export. */
export const exportFormats = ["csv", "jsonl"] as const;
/** `csv`: RFC 4180 with a header line; `jsonl`: one object per line, as lists show orders. */
export type ExportFormat = (typeof exportFormats)[number];

/** Content types of the formats. */
export const exportContentTypes: Readonly<Record<ExportFormat, string>> = {
  csv: "text/csv; charset=utf-8; header=present",
  jsonl: "application/x-ndjson; charset=utf-8",
};

/** Orders per chunk: about 1 MB of text, the memory an export needs. */
const chunkOrders = 2_000;
const chunkLimit = fragment`limit 2000`;
const jsonLine = fragment`${jsonOrder} || E'\\n'`;
const lowestId = "00000000-0000-0000-0000-000000000000";

/** What to export. */
export interface ExportOrders {
  readonly filter: OrderFilter;
  readonly format: ExportFormat;
  /** Orders placed later are left out: an export of a busy shop ends. */
  readonly now: Date;
}

/**
 * Streams orders, oldest first, as text that PostgreSQL assembles: the driver would spend more on
 * parsing rows than the database on finding them.
 *
 * Each chunk is a short transaction of its own, so that a slow reader holds neither a connection
 * nor a snapshot; an order appears once, as it was when its chunk was read. The next chunk is read
 * while the last one is being sent; memory stays at two chunks.
 * @throws DbError; the context's signal ends it
 */
export async function* exportOrders(
  db: Db,
  ctx: Pick<Context, "tenantId" | "signal">,
  wanted: ExportOrders,
): AsyncGenerator<string> {
  if (wanted.format === "csv") yield csvHeader;
  let reading = readChunk(db, ctx, wanted, lowestId);
  for (;;) {
    const parts = await reading;
    ctx.signal?.throwIfAborted();
    const last = parts.at(-1)?.last ?? lowestId;
    const isLast = parts.reduce((sum, part) => sum + part.count, 0) < chunkOrders;
    if (!isLast) {
      reading = readChunk(db, ctx, wanted, last);
      // A reader that goes away leaves it behind, failed or not.
      reading.catch(() => {});
    }
    for (const part of parts) yield part.text;
    if (isLast) return;
  }
}

/** A piece of a chunk: some 60 KB, because a text of a megabyte costs three times as much to move. */
interface Part {
  readonly text: string;
  readonly last: string;
  readonly count: number;
}

function readChunk(
  db: Db,
  { tenantId }: Pick<Context, "tenantId">,
  wanted: ExportOrders,
  after: string,
): Promise<Part[]> {
  const line = wanted.format === "csv" ? csvLine : jsonLine;
  const end = lowestIdAt(new Date(wanted.now.getTime() + 1));
  return db.read(
    tenantId,
    (tx) => {
      planForRange(tx);
      const where = conditions(tx, wanted.filter);
      return tx.rows<Part>(sql("orders.export")`
        select string_agg(line, '' order by id) as text, max(id::text) as last,
          count(*)::integer as count
        from (
          select id, line, (row_number() over (order by id) - 1) / 100 as part
          from (
            select id, ${line} as line from orders
            where ${where} and id > ${after}::uuid and id < ${end}::uuid
            order by id ${chunkLimit}) as chunk) as numbered
        group by part order by part`);
    },
    { name: "orders.export", statementTimeoutMs: 30_000 },
  );
}

/**
 * Plans with the bounds at hand, so that all other months are gone before the statement starts, and
 * along the index: sorting the rest of the table for every chunk would be quadratic.
 */
function planForRange(tx: TenantTx): void {
  tx.write(sql("orders.plan_for_range")`
    select set_config('plan_cache_mode', 'force_custom_plan', true),
      set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
      set_config('enable_bitmapscan', 'off', true)`);
}
