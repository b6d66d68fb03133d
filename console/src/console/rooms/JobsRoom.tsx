import { take } from "@brandos/sdk";
import { Button, Progress, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { useApi, useChange, usePages } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Json, Status, Time, words } from "../parts/show.tsx";
import type { DeadJob, Job, Queue } from "../types.ts";

const states = ["dead", "running", "ready", "scheduled", "done"] as const;
const touches = [["jobs"], ["queues"]] as const;

/** What works in the background. */
export function JobsRoom() {
  const [params, setParams] = useSearchParams();
  const state = states.find((known) => known === params.get("state")) ?? "running";
  return (
    <Page title="Jobs" hint="Work that goes on after the answer">
      <Queues />
      <Tabs
        value={state}
        onChange={(value) => setParams({ state: value ?? "running" }, { replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          {states.map((known) => (
            <Tabs.Tab key={known} value={known}>
              {known === "dead" ? "Dead letters" : words(known)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {state === "dead" ? <DeadJobs /> : <Jobs state={state} />}
      </Tabs>
    </Page>
  );
}

function Queues() {
  const api = useApi();
  const queues = useQuery({
    queryKey: ["queues"],
    queryFn: async () => (await take(api.GET("/v1/jobs/queues"))).items as readonly Queue[],
    refetchInterval: 5_000,
  });
  return (
    <Panel title="Queues" flush>
      <DataTable
        label="Queues"
        rows={queues.data ?? []}
        rowKey={({ queue }) => queue}
        state={queues}
        empty={{ title: "No queues yet" }}
        columns={[
          {
            name: "Queue",
            cell: ({ queue, isPaused }) => (
              <>
                <b>{queue}</b> {isPaused && <Status value="paused" />}
              </>
            ),
            sort: ({ queue }) => queue,
          },
          {
            name: "Ready",
            cell: (queue) => queue.ready,
            right: true,
            sort: (queue) => queue.ready,
          },
          { name: "Scheduled", cell: (queue) => queue.scheduled, right: true, minor: true },
          { name: "Running", cell: (queue) => queue.running, right: true },
          { name: "Dead", cell: (queue) => queue.dead, right: true, sort: (queue) => queue.dead },
          {
            name: "Oldest waits",
            right: true,
            cell: (queue) =>
              queue.oldestSeconds > 0 ? `${queue.oldestSeconds.toFixed(1)} s` : "–",
          },
        ]}
      />
    </Panel>
  );
}

function Jobs({ state }: { readonly state: Job["state"] }) {
  const api = useApi();
  const jobs = useQuery({
    queryKey: ["jobs", state],
    queryFn: async () => {
      const query = { state, limit: 50 };
      return (await take(api.GET("/v1/jobs", { params: { query } }))).items as readonly Job[];
    },
    refetchInterval: 3_000,
  });
  const cancel = useChange({
    run: (id: string) => take(api.POST("/v1/jobs/{id}/cancel", { params: { path: { id } } })),
    done: "Cancelled",
    touches,
  });
  return (
    <Panel flush>
      <DataTable
        label={`${words(state)} jobs`}
        rows={jobs.data ?? []}
        rowKey={(job) => job.id}
        state={jobs}
        empty={{ title: "None", hint: `No job of this brand is ${state}.` }}
        columns={[
          {
            name: "Job",
            cell: (job) => <What kind={job.kind} payload={job.payload} />,
            sort: (job) => job.kind,
          },
          { name: "Queue", cell: (job) => job.queue, minor: true, sort: (job) => job.queue },
          {
            name: "Progress",
            minor: true,
            cell: (job) =>
              job.progress === undefined ? (
                (job.detail ?? "")
              ) : (
                <Progress value={job.progress * 100} w={120} aria-label={job.note ?? "Progress"} />
              ),
          },
          { name: "Attempt", cell: (job) => job.attempt, right: true },
          { name: "Since", cell: (job) => <Time at={job.at ?? job.enqueuedAt} />, right: true },
          {
            name: "",
            right: true,
            cell: (job) =>
              job.state === "done" ? null : (
                <Ask
                  label="Cancel"
                  size="compact-sm"
                  title="Cancel this job?"
                  confirm="Cancel it"
                  danger
                  onConfirm={() => cancel.mutateAsync(job.id)}
                />
              ),
          },
        ]}
      />
    </Panel>
  );
}

function What({ kind, payload }: { readonly kind: string; readonly payload: unknown }) {
  return (
    <details>
      <summary>
        <b>{kind}</b>
      </summary>
      <Json value={payload} />
    </details>
  );
}

function DeadJobs() {
  const api = useApi();
  const { query, items } = usePages(["jobs", "dead"], async (cursor) => {
    const answer = await take(
      api.GET("/v1/jobs/dead-letters", { params: { query: { cursor, limit: 30 } } }),
    );
    return { ...answer, items: answer.items as readonly DeadJob[] };
  });
  const retry = useChange({
    run: (id: string) =>
      take(api.POST("/v1/jobs/dead-letters/{id}/retry", { params: { path: { id } } })),
    done: "It runs again",
    touches,
  });
  const discard = useChange({
    run: (id: string) =>
      take(api.POST("/v1/jobs/dead-letters/{id}/discard", { params: { path: { id } } })),
    done: "Discarded",
    touches,
  });
  return (
    <Panel flush>
      <DataTable
        label="Dead letters"
        rows={items}
        rowKey={(job) => job.id}
        state={query}
        empty={{ title: "No dead letters", hint: "Jobs that gave up wait here for you." }}
        columns={[
          {
            name: "Job",
            cell: (job) => <What kind={job.kind} payload={job.payload} />,
            sort: (job) => job.kind,
          },
          {
            name: "Error",
            cell: (job) => (
              <div className="wide" title={job.lastError}>
                {job.lastError}
              </div>
            ),
          },
          { name: "Reason", cell: (job) => words(job.reason), minor: true },
          { name: "Attempts", cell: (job) => job.attempt, right: true, minor: true },
          { name: "Died", cell: (job) => <Time at={job.diedAt} />, right: true },
          {
            name: "",
            right: true,
            cell: (job) => (
              <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <Button size="compact-sm" onClick={() => retry.mutate(job.id)}>
                  Retry
                </Button>
                <Ask
                  label="Discard"
                  size="compact-sm"
                  title="Discard this job?"
                  confirm="Discard"
                  danger
                  onConfirm={() => discard.mutateAsync(job.id)}
                >
                  <p className="muted">It is forgotten and will never run.</p>
                </Ask>
              </span>
            ),
          },
        ]}
      />
    </Panel>
  );
}
