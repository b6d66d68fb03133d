import { take } from "@brandos/sdk";
import { Button, Drawer, Select } from "@mantine/core";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { useApi, useChange, usePages } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Facts, Json, ShortId, Status, Time, words } from "../parts/show.tsx";
import type { SagaRun } from "../types.ts";

const statuses = ["running", "compensating", "completed", "compensated", "stuck"] as const;
const touches = [["sagas"]] as const;

/** Flows over several steps, and where they are. */
export function SagasRoom() {
  const api = useApi();
  const [params, setParams] = useSearchParams();
  const status = statuses.find((known) => known === params.get("status"));
  const [open, setOpen] = useState<SagaRun>();
  const { query, items } = usePages(["sagas", status], async (cursor) => {
    const answer = await take(
      api.GET("/v1/sagas", { params: { query: { status, cursor, limit: 30 } } }),
    );
    return { ...answer, items: answer.items as readonly SagaRun[] };
  });
  const retry = useChange({
    run: (id: string) => take(api.POST("/v1/sagas/{id}/retry", { params: { path: { id } } })),
    done: "Taken up again",
    touches,
  });
  return (
    <Page title="Sagas" hint="Flows that survive a crash, step by step">
      <div className="filters">
        <Select
          aria-label="Status"
          placeholder="Any status"
          data={statuses.map((value) => ({ value, label: words(value) }))}
          value={status ?? null}
          onChange={(value) => setParams(value ? { status: value } : {}, { replace: true })}
          clearable
        />
      </div>
      <Panel flush>
        <DataTable
          label="Sagas"
          rows={items}
          rowKey={(run) => run.id}
          state={query}
          empty={{ title: "None here" }}
          columns={[
            {
              name: "Saga",
              sort: (run) => run.name,
              cell: (run) => (
                <button type="button" className="chip" onClick={() => setOpen(run)}>
                  {run.name}
                </button>
              ),
            },
            {
              name: "Status",
              cell: (run) => <Status value={run.status} />,
              sort: (run) => run.status,
            },
            {
              name: "Steps",
              minor: true,
              cell: (run) =>
                stepsOf(run)
                  .map(([name]) => name)
                  .join(" → "),
            },
            { name: "Run", cell: (run) => <ShortId id={run.id} />, minor: true },
            {
              name: "Started",
              cell: (run) => <Time at={run.startedAt} />,
              right: true,
              sort: (run) => run.startedAt,
            },
            {
              name: "",
              right: true,
              cell: (run) =>
                run.status === "stuck" && (
                  <Button size="compact-sm" onClick={() => retry.mutate(run.id)}>
                    Retry
                  </Button>
                ),
            },
          ]}
        />
      </Panel>
      <Drawer opened={open !== undefined} onClose={() => setOpen(undefined)} title="Run" size="lg">
        {open && <Run run={open} />}
      </Drawer>
    </Page>
  );
}

function stepsOf(run: SagaRun) {
  return Object.entries(run.steps).toSorted(([, a], [, b]) => a.seq - b.seq);
}

function Run({ run }: { readonly run: SagaRun }) {
  return (
    <div className="stack">
      <Facts
        of={{
          Saga: `${run.name}, version ${run.version}`,
          Status: <Status value={run.status} />,
          Started: <Time at={run.startedAt} />,
          Finished: run.finishedAt ? <Time at={run.finishedAt} /> : undefined,
        }}
      />
      <h3>Steps</h3>
      {stepsOf(run).map(([name, step]) => (
        <details key={name}>
          <summary>
            <b>{name}</b> <Status value={step.status} />{" "}
            <span className="muted">
              {step.endedAt - step.startedAt} ms, {step.attempts}{" "}
              {step.attempts === 1 ? "attempt" : "attempts"}
            </span>
          </summary>
          <Json value={step} />
        </details>
      ))}
      <h3>Input</h3>
      <Json value={run.input} />
    </div>
  );
}
