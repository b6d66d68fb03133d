import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { createDb } from "../db/db.ts";
import { createDurableWrites } from "./cache.ts";

describe("a process that writes behind and is killed", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  await database.query(
    `create table shared.applied_writes
       (tenant_id uuid, key text, value int not null, primary key (tenant_id, key))`,
  );
  await database.query("select platform.protect_tenant_table('shared.applied_writes')");
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(() => db.stop());

  it("loses nothing it acknowledged: the next one applies it", async (t) => {
    for (const acknowledged of [1, 60, 200, 400]) {
      const [tenantId, name] = [newId<"tenant">(), newId()];
      const script = new URL("./writer.fixture.ts", import.meta.url).pathname;
      const { app, platform } = database.urls;
      const child = spawn(process.execPath, [script, app, platform, tenantId, name], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      t.after(() => child.kill("SIGKILL"));
      const exited = once(child, "exit");
      let last = -1;
      for await (const line of createInterface({ input: child.stdout })) {
        last = Math.max(last, Number(line));
        if (last === acknowledged) child.kill("SIGKILL");
      }
      await exited;
      assert(last >= acknowledged);
      const next = createDurableWrites<number>({
        ...{ db, name },
        async sink(tx, given) {
          for (const { key, value } of given) {
            const text = `insert into applied_writes (tenant_id, key, value) values ($1, $2, $3)
              on conflict (tenant_id, key) do update set value = excluded.value`;
            await tx.run({ name: "", text, values: [tenantId, key, value] });
          }
        },
      });
      await untilApplied(next, name);
      const rows = await database.query<{ key: string; value: number }>(
        "select key, value from shared.applied_writes where tenant_id = $1",
        [tenantId],
      );
      const applied = new Map(rows.map(({ key, value }) => [key, value]));
      for (let at = Math.max(0, last - 49); at <= last; at++) {
        // The write after the last that was heard of may have been made too.
        const value = applied.get(`k${at % 50}`);
        assert(value === at || value === at + 50, `k${at % 50} is ${value}, written was ${at}`);
      }
    }
  });

  /** The killed process's transaction holds its rows until the server notices. */
  async function untilApplied(next: { flush(): Promise<void> }, name: string): Promise<void> {
    for (;;) {
      await next.flush();
      const [left] = await database.query<{ count: number }>(
        "select count(*)::int as count from platform.cache_writes where cache = $1 and due_at is not null",
        [name],
      );
      if (left?.count === 0) return;
    }
  }
});
