import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { setup } from "./sagas.fixture.ts";

test("kill -9 of nodes amid sagas: every saga ends, inside and outside agree", async () => {
  await using fixture = await setup();
  const { database, tenantId } = fixture;
  await database.query("create table shared.counts (tenant_id uuid, saga_id uuid)");
  const folder = mkdtempSync(path.join(tmpdir(), "brandos-sagas-"));
  const world = path.join(folder, "world.log");
  writeFileSync(world, "");
  const script = new URL("./node.fixture.ts", import.meta.url).pathname;
  const start = async (count: number): Promise<ChildProcess> => {
    const given = [JSON.stringify(database.urls), tenantId, world, String(count)];
    const node = spawn(process.execPath, [script, ...given], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(node.stdout as NodeJS.ReadableStream, "data");
    return node;
  };
  let last: ChildProcess | undefined;
  try {
    for (let kill = 0; kill < 4; kill++) {
      const node = await start(60);
      await delay(20 + kill * 15);
      node.kill("SIGKILL");
    }
    last = await start(0);
    const deadline = performance.now() + 30_000;
    const unfinished = async () =>
      database.query("select id, status from platform.sagas where finished_at is null");
    while ((await unfinished()).length > 0) {
      assert.ok(
        performance.now() < deadline,
        `${(await unfinished()).length} sagas are unfinished`,
      );
      await delay(50);
    }
  } finally {
    last?.kill("SIGKILL");
  }
  const rows = await database.query<{ id: string; status: string; n: number; counted: number }>(`
    select id, status, (input ->> 'n')::int as n,
      (select count(*)::int from shared.counts where saga_id = id) as counted
    from platform.sagas`);
  const said = readFileSync(world, "utf8").trim().split("\n");
  const lastOf = new Map(said.map((line) => line.split(" ") as [string, string]));
  assert.equal(rows.length, 240);
  for (const { id, status, n, counted } of rows) {
    const turnsBack = n % 3 === 0;
    assert.equal(status, turnsBack ? "compensated" : "completed");
    assert.equal(counted, 1);
    assert.equal(lastOf.get(`${id}:pay`), turnsBack ? "undone" : "done");
    assert.equal(lastOf.get(`${id}:ship`), turnsBack ? undefined : "done");
  }
  rmSync(folder, { recursive: true });
});
