import { take } from "@brandos/sdk";
import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { Icon } from "../../ui/Icon.tsx";
import { useApi, useChange, usePages } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { words } from "../parts/show.tsx";
import { orderColumns } from "./order-columns.tsx";

const statuses = [
  "pending",
  "confirmed",
  "paid",
  "fulfilled",
  "completed",
  "cancelled",
  "refunded",
] as const;

/** What somebody typed into the search, as the list's filters. */
function readSearch(text: string) {
  const trimmed = text.trim();
  if (/^#?\d{1,12}$/.test(trimmed)) return { number: Number(trimmed.replace("#", "")) };
  if (trimmed.includes("@")) return { email: trimmed };
  return trimmed === "" ? {} : { externalReference: trimmed };
}

/** All orders of the brand. */
export function OrdersRoom() {
  const api = useApi();
  const [params, setParams] = useSearchParams();
  const [text, setText] = useState(params.get("q") ?? "");
  const [search] = useDebouncedValue(text, 250);
  const status = statuses.find((known) => known === params.get("status"));
  const from = params.get("from") ?? "";
  const filter = {
    ...readSearch(search),
    status,
    placedFrom: from ? new Date(from).toISOString() : undefined,
  };
  const { query, items } = usePages(["orders", filter], (cursor) =>
    take(api.GET("/v1/orders", { params: { query: { ...filter, cursor, limit: 30 } } })),
  );
  const put = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  return (
    <Page
      title="Orders"
      hint="Newest first; new ones appear by themselves"
      actions={<Export status={status} placedFrom={filter.placedFrom} />}
    >
      <search className="filters">
        <TextInput
          type="search"
          aria-label="Search orders"
          placeholder="Number, email or reference"
          leftSection={<Icon name="search" size={15} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: "1 1 260px" }}
        />
        <Select
          aria-label="Status"
          placeholder="Any status"
          data={statuses.map((value) => ({ value, label: words(value) }))}
          value={status ?? null}
          onChange={(value) => put("status", value ?? "")}
          clearable
        />
        <TextInput
          type="date"
          aria-label="Placed from"
          value={from}
          onChange={(event) => put("from", event.currentTarget.value)}
        />
      </search>
      <Panel flush>
        <DataTable
          label="Orders"
          rows={items}
          columns={orderColumns}
          rowKey={(order) => order.id}
          to={(order) => `/orders/${order.id}`}
          state={query}
          empty={{ title: "No orders here", hint: "None match; try without the filters." }}
        />
      </Panel>
    </Page>
  );
}

interface ExportProps {
  readonly status: (typeof statuses)[number] | undefined;
  readonly placedFrom: string | undefined;
}

/** Saves the orders as a file. */
function Export({ status, placedFrom }: ExportProps) {
  const api = useApi();
  const save = useChange({
    run: async () => {
      const query = { status, placedFrom, format: "csv" as const };
      const blob = await take(api.GET("/v1/orders/export", { params: { query }, parseAs: "blob" }));
      saveAs(blob as Blob, "orders.csv");
    },
    done: "Saved as orders.csv",
    touches: [],
  });
  return (
    <Button variant="default" loading={save.isPending} onClick={() => save.mutate(undefined)}>
      Export
    </Button>
  );
}

function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun when the next task runs.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
