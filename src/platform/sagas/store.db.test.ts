import assert from "node:assert/strict";
import { test } from "node:test";
import { newId, newIdAt } from "../../kernel/ids.ts";
import { setup } from "./sagas.fixture.ts";
import { changeSagas, type SagaChange } from "./store.ts";

test("ending runs touches their own months by index, however many runs there are", async () => {
  await using fixture = await setup();
  const { database, tenantId } = fixture;
  const ids = Array.from({ length: 30_000 }, () => newId<"saga">());
  const old = Array.from({ length: 5_000 }, () => newIdAt<"saga">(new Date("2020-01-01")));
  await database.query(
    `insert into platform.sagas (tenant_id, id, name, version, status, due_at, deadline_at, input,
       origin)
     select $1, id, 'test', 1, 'running', now(), now(), '{}', '{}' from unnest($2::uuid[]) as id`,
    [tenantId, [...ids, ...old]],
  );
  await database.query("analyze platform.sagas");
  const plans: string[] = [];
  await fixture.db.commit(tenantId, async (tx) => {
    const changes = ids
      .slice(0, 20)
      .map((id): SagaChange => ({ id, token: 1, steps: {}, status: "completed" }));
    // The statement as it is sent, explained instead of run.
    const explaining = {
      ...tx,
      rows: async <Row>(statement: Parameters<typeof tx.rows>[0]) => {
        const text = `explain (analyze, costs off) ${statement.text}`;
        const rows = await tx.rows<{ "QUERY PLAN": string }>({ ...statement, name: "", text });
        plans.push(rows.map((row) => row["QUERY PLAN"]).join("\n"));
        return [] as Row[];
      },
    };
    await changeSagas(explaining, { leaseMs: 1_000 }, changes);
  });
  const [plan = ""] = plans;
  const scans = plan
    .split("\n")
    .filter((line) => /Scan/.test(line) && !/never executed/.test(line));
  assert.ok(
    scans.every((line) => !/Seq Scan on sagas/.test(line)),
    plan,
  );
});
