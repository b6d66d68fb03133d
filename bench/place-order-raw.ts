import pg from "pg";
import { newId } from "../src/kernel/ids.ts";
import { createCoalescer } from "../src/platform/coalescer/coalescer.ts";
import { closedLoop } from "./harness.ts";

interface RawOrder {
  readonly id: string;
  /** Variants that are sold, one unit each. */
  readonly variants: readonly string[];
}

/** A table of the product that an order writes to. */
interface Target {
  readonly from: string;
  /** Its rows of one order, `$1`. */
  readonly where: string;
  /** Columns that differ from order to order: the order's id `o.id`, else whatever is unique. */
  readonly own: Readonly<Record<string, string>>;
}

const event = "md5(o.id::text || t.id::text)::uuid";

/** The rows of a paid order: all of them, but for those that its first customer brings. */
const targets: readonly Target[] = [
  {
    from: "shared.orders",
    where: "id = $1",
    own: { id: "o.id", number: "nextval('raw.numbers')" },
  },
  { from: "shared.order_lines", where: "order_id = $1", own: { order_id: "o.id" } },
  {
    from: "shared.payments",
    where: "order_id = $1",
    own: { id: "o.id", order_id: "o.id", provider_reference: "'manual_' || o.id" },
  },
  { from: "shared.reservations", where: "id = $1", own: { id: "o.id" } },
  {
    from: "shared.stock_movements",
    where: "reference = 'order:' || $1",
    own: { id: "o.id" },
  },
  { from: "shared.ledger_journals", where: "id = $1", own: { id: "o.id", content: "o.id" } },
  { from: "shared.ledger_entries", where: "journal_id = $1", own: { journal_id: "o.id" } },
  { from: "platform.idempotency_keys", where: "key = $1::text", own: { key: "o.id::text" } },
  {
    from: "platform.events",
    where: "data->>'orderId' = $1::text or stream = 'reservation:' || $1",
    own: { id: event, stream: "'order:' || o.id", position: "nextval('raw.positions')" },
  },
];

/**
 * The same rows as one order of the product, by hand-written coalesced SQL: into copies of the same
 * tables with their indexes and constraints, on the same server, stock locked last as the product
 * does. Without row-level security, triggers and partitions, and the rows are copied inside the
 * server: no parameter but ids is sent.
 *
 * @param url owner of the database
 * @param pattern an order that was placed, whose rows are the pattern, and whether it sold one hot SKU
 */
export async function rawOrdersPerSecond(
  url: string,
  pattern: { readonly orderId: string; readonly kind: "spread" | "hot" },
  load: { readonly durationMs: number; readonly callers: number },
): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: 2, pipeline: true } as pg.PoolConfig);
  try {
    const { statements, variants } = await prepare(pool, pattern.orderId);
    const any = () => variants[Math.floor(Math.random() * variants.length)] as string;
    const pick = pattern.kind === "hot" ? () => [variants[0] as string] : () => [any(), any()];
    await measure(pool, { ...load, durationMs: 500 }, statements, pick);
    return await measure(pool, load, statements, pick);
  } finally {
    await pool.end();
  }
}

/** Copies the tables and one order's rows. @returns what inserts that order again under other ids */
async function prepare(pool: pg.Pool, orderId: string) {
  await pool.query("drop schema if exists raw cascade");
  await pool.query("create schema raw");
  await pool.query("create sequence raw.numbers start 1000000");
  await pool.query("create sequence raw.positions");
  const statements: string[] = [];
  for (const { from, where, own } of targets) {
    const name = from.split(".")[1] as string;
    await pool.query(`create table raw.${name} (like ${from} including all)`);
    const copied = `create table raw.${name}_pattern as select * from ${from}
      where (${where.replaceAll("$1", `'${orderId}'`)})`;
    const { rowCount } = await pool.query(copied);
    if (!rowCount) throw new Error(`the pattern has no rows in ${from}`);
    const { rows } = await pool.query<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = '${from}'::regclass
         and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
    );
    const columns = rows.map((row) => row.name);
    const values = columns.map((column) => own[column] ?? `t.${column}`);
    statements.push(
      `insert into raw.${name} (${columns.join(", ")}) select ${values.join(", ")}
       from unnest($1::uuid[]) as o (id), raw.${name}_pattern t`,
    );
  }
  await pool.query("create table raw.stock (like shared.stock including all)");
  await pool.query("insert into raw.stock select * from shared.stock");
  const { rows } = await pool.query<{ id: string }>("select variant_id as id from raw.stock");
  await pool.query("analyze");
  return { statements, variants: rows.map((row) => row.id) };
}

function measure(
  pool: pg.Pool,
  load: { readonly durationMs: number; readonly callers: number },
  statements: readonly string[],
  pick: () => readonly string[],
): Promise<number> {
  const coalescer = createCoalescer<RawOrder, boolean>({
    name: "raw",
    batchMax: 128,
    inFlightMax: 2,
    besideMin: 64,
    waitingMax: 10_000,
    run: (_, orders) => place(pool, statements, orders),
  });
  return closedLoop(load.callers, load.durationMs, () =>
    coalescer.submit("raw", { id: newId(), variants: pick() }),
  ).then(({ perSecond }) => perSecond);
}

async function place(
  pool: pg.Pool,
  statements: readonly string[],
  orders: readonly RawOrder[],
): Promise<boolean[]> {
  const client = await pool.connect();
  try {
    const units = new Map<string, number>();
    for (const id of orders.flatMap(({ variants }) => variants)) {
      units.set(id, (units.get(id) ?? 0) + 1);
    }
    const variants = [...units.keys()];
    const ids = orders.map(({ id }) => id);
    await Promise.all([
      client.query("begin"),
      ...statements.map((text, index) =>
        client.query({ name: `insert_${index}`, text, values: [ids] }),
      ),
      client.query({
        name: "lock",
        text: `select variant_id, on_hand, reserved from raw.stock where variant_id = any($1::uuid[])
          order by variant_id for update`,
        values: [variants],
      }),
    ]);
    await Promise.all([
      client.query({
        name: "sell",
        text: `update raw.stock s set on_hand = s.on_hand - u.n, version = s.version + 1
          from unnest($1::uuid[], $2::int[]) u(id, n) where s.variant_id = u.id`,
        values: [variants, [...units.values()]],
      }),
      client.query("commit"),
    ]);
    return orders.map(() => true);
  } finally {
    client.release();
  }
}
