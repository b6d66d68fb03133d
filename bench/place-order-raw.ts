import pg from "pg";
import { newId } from "../src/kernel/ids.ts";
import { createCoalescer } from "../src/platform/coalescer/coalescer.ts";
import { closedLoop } from "./harness.ts";

interface RawOrder {
  readonly id: string;
  readonly sku: number;
  readonly second: number;
}

/** Hand-written SQL for the least writes of an order, coalesced in the same way, on the same server. */
export async function rawOrdersPerSecond(
  url: string,
  load: { readonly durationMs: number; readonly callers: number },
): Promise<{ readonly spread: number; readonly hot: number }> {
  const pool = new pg.Pool({ connectionString: url, max: 2, pipeline: true } as pg.PoolConfig);
  try {
    await prepare(pool);
    const spread = await measure(pool, load, () => 1 + Math.floor(Math.random() * 1_000));
    const hot = await measure(pool, load, () => 1);
    return { spread, hot };
  } finally {
    await pool.end();
  }
}

async function prepare(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create schema raw;
    create table raw.stock (sku int primary key, on_hand bigint not null, reserved bigint not null default 0,
      check (reserved <= on_hand)) with (fillfactor = 50);
    insert into raw.stock select s, 100000000 from generate_series(1, 1000) s;
    create table raw.keys (key uuid primary key, body bytea);
    create table raw.orders (id uuid primary key, customer uuid, total bigint, status text, address jsonb,
      created_at timestamptz default now());
    create table raw.lines (order_id uuid, line int, sku int, quantity int, price bigint,
      primary key (order_id, line));
    create table raw.ledger (id bigint generated always as identity primary key, order_id uuid,
      account text, amount bigint);
    create table raw.events (id bigint generated always as identity primary key, stream text, type text, data jsonb)`);
}

function measure(
  pool: pg.Pool,
  load: { readonly durationMs: number; readonly callers: number },
  pick: () => number,
): Promise<number> {
  const coalescer = createCoalescer<RawOrder, boolean>({
    name: "raw",
    batchMax: 200,
    inFlightMax: 2,
    waitingMax: 10_000,
    run: (_, orders) => place(pool, orders),
  });
  return closedLoop(load.callers, load.durationMs, () =>
    coalescer.submit("raw", { id: newId(), sku: pick(), second: pick() }),
  ).then(({ perSecond }) => perSecond);
}

async function place(pool: pg.Pool, orders: readonly RawOrder[]): Promise<boolean[]> {
  const client = await pool.connect();
  try {
    const units = new Map<number, number>();
    for (const { sku, second } of orders) {
      for (const each of [sku, second]) units.set(each, (units.get(each) ?? 0) + 1);
    }
    const skus = [...units.keys()];
    const begin = client.query("begin");
    const lock = client.query({
      name: "lock",
      text: "select sku, on_hand, reserved from raw.stock where sku = any($1::int[]) order by sku for update",
      values: [skus],
    });
    await Promise.all([begin, lock]);
    const ids = `{${orders.map(({ id }) => id).join(",")}}`;
    await Promise.all([...writes(client, orders, ids, units), client.query("commit")]);
    return orders.map(() => true);
  } finally {
    client.release();
  }
}

function writes(
  client: pg.PoolClient,
  orders: readonly RawOrder[],
  ids: string,
  units: ReadonlyMap<number, number>,
): Promise<unknown>[] {
  const address = JSON.stringify({ name: "A B", line1: "1 St", city: "Wien", postalCode: "1010" });
  const send = (name: string, text: string, values: unknown[]) =>
    client.query({ name, text, values });
  return [
    send(
      "stock",
      `update raw.stock s set reserved = reserved + u.n
       from unnest($1::int[], $2::bigint[]) u(sku, n) where s.sku = u.sku`,
      [[...units.keys()], [...units.values()]],
    ),
    send("keys", "insert into raw.keys select id, decode('00', 'hex') from unnest($1::uuid[]) id", [
      ids,
    ]),
    send(
      "orders",
      `insert into raw.orders (id, customer, total, status, address)
       select id, id, 2000, 'placed', $2::jsonb from unnest($1::uuid[]) id`,
      [ids, address],
    ),
    send(
      "lines",
      `insert into raw.lines select o.id, l, case l when 1 then o.a else o.b end, 1, 1000
       from unnest($1::uuid[], $2::int[], $3::int[]) o(id, a, b), generate_series(1, 2) l`,
      [ids, orders.map(({ sku }) => sku), orders.map(({ second }) => second)],
    ),
    send(
      "ledger",
      `insert into raw.ledger (order_id, account, amount)
       select o, a, m from unnest($1::uuid[]) o, (values ('receivable', 2000), ('sales', -2000)) v(a, m)`,
      [ids],
    ),
    send(
      "events",
      `insert into raw.events (stream, type, data)
       select 'order:' || o, 'orders.placed', '{"total": 2000}' from unnest($1::uuid[]) o`,
      [ids],
    ),
  ];
}
