import { type BrandosClient, ProblemError, type paths, take } from "@brandos/sdk";
import { Alert, Button, FileInput, Progress } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { newId } from "../../ui/ids.ts";
import { sayProblem } from "../../ui/problem.ts";
import { useApi } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { ShortId, Status, Time } from "../parts/show.tsx";

type Import =
  paths["/v1/catalog/imports"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

/** Brings products in from a file. */
export function ImportRoom() {
  const api = useApi();
  const queries = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [running, setRunning] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const [chosen, setChosen] = useState<string>();
  const imports = useQuery({
    queryKey: ["imports"],
    queryFn: () => take(api.GET("/v1/catalog/imports", { params: { query: { limit: 20 } } })),
    refetchInterval: running ? 1_000 : false,
  });
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!file) return;
    const id = newId();
    setProblem(undefined);
    setRunning(id);
    await send(api, file, id).then(
      (done) => setChosen(done.refused > 0 ? done.id : undefined),
      (error) => setProblem(sayProblem(error)),
    );
    setRunning(undefined);
    void queries.invalidateQueries({ queryKey: ["imports"] });
    void queries.invalidateQueries({ queryKey: ["products"] });
  };
  const current = imports.data?.items.find(({ id }) => id === running);
  return (
    <Page
      title="Import products"
      hint="CSV or JSON lines; rows that cannot be used are listed, the others come in"
      back={{ to: "/catalog", name: "Catalog" }}
    >
      <Panel>
        <form className="stack" onSubmit={submit}>
          <FileInput
            label="File"
            placeholder="Choose a .csv or .jsonl file"
            accept=".csv,.jsonl,.ndjson,text/csv"
            value={file}
            onChange={setFile}
            clearable
          />
          {problem && (
            <Alert color="red" role="alert">
              {problem}
            </Alert>
          )}
          {running && <ImportProgress of={current} />}
          <div className="row">
            <Button type="submit" loading={running !== undefined} disabled={!file}>
              Import
            </Button>
          </div>
        </form>
      </Panel>
      <Panel title="Imports" flush>
        <DataTable
          label="Imports"
          rows={imports.data?.items ?? []}
          rowKey={({ id }) => id}
          state={imports}
          empty={{ title: "No imports yet" }}
          columns={[
            { name: "Import", cell: ({ id }) => <ShortId id={id} /> },
            { name: "Status", cell: ({ status }) => <Status value={status} /> },
            { name: "New", cell: (one) => one.created, right: true },
            { name: "Changed", cell: (one) => one.updated, right: true },
            { name: "As before", cell: (one) => one.unchanged, right: true, minor: true },
            {
              name: "Refused",
              right: true,
              cell: (one) =>
                one.refused === 0 ? (
                  0
                ) : (
                  <button type="button" className="chip" onClick={() => setChosen(one.id)}>
                    {one.refused}
                  </button>
                ),
            },
            { name: "When", cell: (one) => <Time at={one.startedAt} />, right: true },
          ]}
        />
      </Panel>
      {chosen && <Refusals importId={chosen} />}
    </Page>
  );
}

/** Sends a file as it is. */
async function send(api: BrandosClient, file: File, id: string): Promise<Import> {
  const isCsv = file.name.endsWith(".csv") || file.type === "text/csv";
  const { data, error, response } = await api.POST("/v1/catalog/imports", {
    params: { query: { id } },
    headers: { "content-type": isCsv ? "text/csv" : "application/x-ndjson" },
    body: file as never,
    bodySerializer: (body) => body,
  });
  if (!response.ok || !data) throw new ProblemError(error as never);
  return data as Import;
}

function ImportProgress({ of }: { readonly of: Import | undefined }) {
  const share = of?.bytesTotal ? (of.bytesDone / of.bytesTotal) * 100 : 0;
  return (
    <div role="status">
      <Progress value={share} animated aria-label="Progress of the import" />
      <p className="muted">{of ? `${of.rowsDone.toLocaleString()} rows done` : "Sending …"}</p>
    </div>
  );
}

function Refusals({ importId }: { readonly importId: string }) {
  const api = useApi();
  const refusals = useQuery({
    queryKey: ["refusals", importId],
    queryFn: () =>
      take(
        api.GET("/v1/catalog/imports/{id}/refusals", {
          params: { path: { id: importId }, query: { limit: 100 } },
        }),
      ),
  });
  return (
    <Panel title="Refused lines" flush>
      <DataTable
        label="Refused lines"
        rows={refusals.data?.items ?? []}
        rowKey={({ row, field }) => `${row}/${field}`}
        state={refusals}
        empty={{ title: "None" }}
        columns={[
          { name: "Line", cell: ({ line }) => line, right: true },
          { name: "Field", cell: ({ field }) => field },
          { name: "Why", cell: ({ reason }) => reason },
          { name: "Row", cell: ({ raw }) => <div className="wide mono">{raw}</div>, minor: true },
        ]}
      />
    </Panel>
  );
}
