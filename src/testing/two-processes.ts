import { createDb, type Db } from "../platform/db/db.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

/** One database, seen as two processes see it: each has pools of its own. */
export interface TwoProcesses {
  readonly database: TestDatabase;
  readonly dbs: readonly [Db, Db];
  stop(): Promise<void>;
}

/** Opens a database of the test's own, twice. */
export async function openTwoProcesses(): Promise<TwoProcesses> {
  const database = await createTestDatabase();
  const open = () =>
    createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
  const dbs = [open(), open()] as const;
  return {
    database,
    dbs,
    async stop() {
      await Promise.all(dbs.map((db) => db.stop()));
      await database.drop();
    },
  };
}
