import { systemContext } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { createDb, type Db } from "../db/db.ts";
import type { SagaEvent } from "./saga-event.ts";
import type { SagaDefinition, SagaId, SagaRun, Sagas, SagasConfig } from "./sagas.ts";
import { createSagas } from "./sagas.ts";

/** A database and nodes that run sagas on it, for tests. */
export interface SagaFixture extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly tenantId: TenantId;
  /** A node; started, and stopped with the fixture unless it is one that dies. */
  node(
    definitions: readonly SagaDefinition<never, unknown>[],
    config?: Partial<SagasConfig> & { readonly dies?: boolean },
  ): SagaNode;
  /** A pool of connections of its own. */
  open(): Db;
}

/** A process's sagas. */
export interface SagaNode {
  readonly sagas: Sagas;
  readonly reports: SagaEvent[];
  /** Starts a run in a transaction of its own. */
  begin<Input>(saga: SagaDefinition<Input, unknown>, input: Input, id?: SagaId): Promise<SagaId>;
  /** Starts a run and waits until it is over. */
  run<Input>(saga: SagaDefinition<Input, unknown>, input: Input): Promise<SagaRun>;
  /** Waits until a run is over. @throws when it is not within 10 s */
  over(id: SagaId): Promise<SagaRun>;
}

/** Makes a fresh database for one test. */
export async function setup(): Promise<SagaFixture> {
  const database = await createTestDatabase();
  const dbs: Db[] = [];
  const open = (): Db => {
    const made = createDb({
      urlsOf: () => database.urls,
      placementOf: async () => ({ database: "home", schema: "shared" }),
    });
    dbs.push(made);
    return made;
  };
  const tenantId = newId<"tenant">();
  const nodes: Sagas[] = [];
  const db = open();
  return {
    database,
    db,
    tenantId,
    open,
    node(definitions, config = {}) {
      const reports: SagaEvent[] = [];
      const nodeDb = config.db ?? open();
      const sagas = createSagas({
        databases: ["home"],
        leaseMs: 1_000,
        sweepMs: 50,
        undoRetry: { attemptsMax: 3, baseMs: 1, maxMs: 5 },
        onEvent: (event) => void reports.push(event),
        ...config,
        db: nodeDb,
      });
      sagas.register(...definitions);
      sagas.start();
      if (!config.dies) nodes.push(sagas);
      const begin: SagaNode["begin"] = async (saga, input, id = newId<"saga">()) => {
        await nodeDb.commit(tenantId, async (tx) =>
          sagas.startSaga(tx, systemContext(tenantId, "req"), { saga, id, input }),
        );
        return id;
      };
      const over = async (id: SagaId) => {
        const run = await sagas.waitFor(tenantId, id, { timeoutMs: 10_000 });
        if (!run) throw new Error(`saga ${id} is not over within 10 s`);
        return run;
      };
      return {
        sagas,
        reports,
        begin,
        over,
        run: async (saga, input) => over(await begin(saga, input)),
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((sagas) => sagas.stop({ withinMs: 100 })));
      await Promise.all(dbs.map((made) => made.stop()));
      await database.drop();
    },
  };
}
