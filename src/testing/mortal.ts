import type { Db, TenantTx, Tx, WorkerTx } from "../platform/db/db.ts";

/** A process that ends at a chosen moment, simulated inside this one. */
export interface Mortal {
  /** Its database: after the death open transactions are rolled back and no call ever returns. */
  readonly db: Db;
  /** A moment at which it may die; awaits for ever when it has. For calls to the outside. */
  moment(): Promise<void>;
  /** Resolves when it dies. */
  readonly died: Promise<void>;
  /** Moments lived through. */
  moments(): number;
}

/** Ends a simulated process's transaction. Nobody but this file sees it. */
class Death extends Error {}

const forever = new Promise<never>(() => {});

/**
 * Makes a process over a database that dies at its n-th moment: before a unit of work, at any
 * statement in it, and after the commit before the answer is heard.
 *
 * @param dieAt 1 for the first moment; Infinity for never
 */
export function createMortal(db: Db, dieAt: number): Mortal {
  const died = Promise.withResolvers<void>();
  let lived = 0;
  let dead = false;

  const isOver = (): boolean => {
    if (!dead && ++lived === dieAt) {
      dead = true;
      died.resolve();
    }
    return dead;
  };
  const moment = async (): Promise<void> => {
    if (isOver()) await forever;
  };
  /** Inside a transaction the death is an error, so that the connection comes back clean. */
  const sting = (): void => {
    if (isOver()) throw new Death("died in a transaction");
  };
  const mortalTx = <Kind extends Tx>(tx: Kind): Kind => ({
    ...tx,
    rows: async (statement: Parameters<Tx["rows"]>[0]) => {
      sting();
      const rows = await tx.rows(statement);
      sting();
      return rows;
    },
    maybe: async (statement: Parameters<Tx["rows"]>[0]) => {
      sting();
      return tx.maybe(statement);
    },
    one: async (statement: Parameters<Tx["rows"]>[0]) => {
      sting();
      return tx.one(statement);
    },
    run: async (statement: Parameters<Tx["rows"]>[0]) => {
      sting();
      return tx.run(statement);
    },
    // A dead process runs no hooks.
    afterCommit: (hook: () => void) => tx.afterCommit(() => !dead && hook()),
  });
  const unit = async <Value>(run: () => Promise<Value>): Promise<Value> => {
    await moment();
    try {
      const value = await run();
      await moment();
      return value;
    } catch (error) {
      if (dead) return forever;
      throw error;
    }
  };
  const ending =
    <Given extends Tx, Value>(work: (tx: Given) => Promise<Value>) =>
    async (tx: Given): Promise<Value> => {
      const value = await work(mortalTx(tx));
      sting();
      return value;
    };

  const mortalDb: Db = {
    ...db,
    transact: (tenantId, work, options) =>
      unit(() =>
        db.transact(tenantId, ending<TenantTx, Awaited<ReturnType<typeof work>>>(work), options),
      ),
    commit: (tenantId, work, options) => unit(() => db.commit(tenantId, ending(work), options)),
    read: (tenantId, work, options) => unit(() => db.read(tenantId, ending(work), options)),
    platform: (database, work, options) => unit(() => db.platform(database, ending(work), options)),
    worker<Value>(
      database: string,
      work: (tx: WorkerTx) => Promise<Value>,
      options?: Parameters<Db["worker"]>[2],
    ) {
      const entering = (tx: WorkerTx): Promise<Value> =>
        work({ ...tx, enter: async (tenantId) => mortalTx(await tx.enter(tenantId)) });
      return unit(() => db.worker(database, ending(entering), options));
    },
  };
  return { db: mortalDb, moment, died: died.promise, moments: () => lived };
}
