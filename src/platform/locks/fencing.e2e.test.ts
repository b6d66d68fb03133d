import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createTestDatabase } from "../../testing/database.ts";

const leaseMs = 300;

describe("a holder that is paused for longer than its lease", async () => {
  const database = await createTestDatabase();
  after(() => database.drop());
  await database.query(
    `create table shared.protected_writes
       (id bigserial primary key, tenant_id uuid not null, token bigint not null)`,
  );
  await database.query("grant insert on shared.protected_writes to brandos_app");
  await database.query("grant usage on sequence shared.protected_writes_id_seq to brandos_app");

  const spawnHolder = (tenantId: string, name: string) => {
    const script = new URL("./holder.fixture.ts", import.meta.url).pathname;
    const { app, platform } = database.urls;
    const args = [script, app, platform, tenantId, name, String(leaseMs)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => String((await lines.next()).value ?? "it ended");
    return { child, line };
  };

  it("writes nothing more once the next holder has written", async (t) => {
    const rounds = 5;
    for (let round = 0; round < rounds; round++) {
      const [tenantId, name] = [newId(), newId()];
      const paused = spawnHolder(tenantId, name);
      t.after(() => paused.child.kill("SIGKILL"));
      const token = Number((await paused.line()).replace("holds ", ""));
      assert.equal(await paused.line(), "writes");
      paused.child.kill("SIGSTOP");
      // Waits for the lease to end, takes it over and writes.
      const next = spawnHolder(tenantId, name);
      t.after(() => next.child.kill("SIGKILL"));
      const nextToken = Number((await next.line()).replace("holds ", ""));
      assert(nextToken > token);
      assert.equal(await next.line(), "writes");
      const exited = once(paused.child, "exit");
      paused.child.kill("SIGCONT");
      // It goes on writing as if nothing had happened, until it is refused.
      assert.match(await paused.line(), /^refused \d+ false$/);
      await exited;
      next.child.kill("SIGKILL");
      await once(next.child, "exit");
      const writes = await database.query<{ token: string }>(
        "select token from shared.protected_writes where tenant_id = $1 order by id",
        [tenantId],
      );
      const tokens = writes.map((write) => Number(write.token));
      assert.deepEqual(new Set(tokens), new Set([token, nextToken]));
      assert.equal(tokens.lastIndexOf(token) + 1, tokens.indexOf(nextToken));
    }
  });
});
