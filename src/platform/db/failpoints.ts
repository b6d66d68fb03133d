import type { Db, Tx, WorkerTx } from "./db.ts";

/** Called at named places of the work, so that a test can stop the process exactly there. */
export type Failpoint = (name: string) => void | Promise<void>;

/**
 * Makes places of every unit of work: its begin, each awaited statement's answer, before its commit,
 * and after the commit before the caller hears of it.
 *
 * @param reach told `checkout.place begin`, `checkout.place carts.lock`, `checkout.place commit`,
 *   `checkout.place committed`
 */
export function withFailpoints(db: Db, reach: Failpoint): Db {
  const around = async <Value>(name: string, run: () => Promise<Value>): Promise<Value> => {
    await reach(`${name} begin`);
    const value = await run();
    await reach(`${name} committed`);
    return value;
  };
  const ending =
    <Given extends Tx, Value>(name: string, work: (tx: Given) => Promise<Value>) =>
    async (tx: Given): Promise<Value> => {
      const value = await work(observed(tx, name, reach));
      await reach(`${name} commit`);
      return value;
    };
  const nameOf = (options: { readonly name?: string } | undefined) => options?.name ?? "unnamed";
  return {
    ...db,
    transact: (tenantId, work, options) =>
      around(nameOf(options), () =>
        db.transact(tenantId, ending(nameOf(options), work) as typeof work, options),
      ),
    commit: (tenantId, work, options) =>
      around(nameOf(options), () => db.commit(tenantId, ending(nameOf(options), work), options)),
    read: (tenantId, work, options) =>
      around(nameOf(options), () => db.read(tenantId, ending(nameOf(options), work), options)),
    platform: (database, work, options) =>
      around(nameOf(options), () => db.platform(database, ending(nameOf(options), work), options)),
    worker: (database, work, options) =>
      around(nameOf(options), () => {
        const entering = (tx: WorkerTx) =>
          work({
            ...tx,
            enter: async (tenantId) => observed(await tx.enter(tenantId), nameOf(options), reach),
          });
        return db.worker(database, ending(nameOf(options), entering), options);
      }),
  };
}

function observed<Kind extends Tx>(tx: Kind, unit: string, reach: Failpoint): Kind {
  const after =
    <Value>(call: (statement: Parameters<Tx["rows"]>[0]) => Promise<Value>) =>
    async (statement: Parameters<Tx["rows"]>[0]): Promise<Value> => {
      const value = await call(statement);
      await reach(`${unit} ${statement.name}`);
      return value;
    };
  return {
    ...tx,
    rows: after(tx.rows),
    maybe: after(tx.maybe),
    one: after(tx.one),
    run: after(tx.run),
  };
}
