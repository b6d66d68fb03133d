import { take } from "@brandos/sdk";
import { Select, Tabs, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { useApi, useChange, usePages } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Money, ShortId, Status, Time, words } from "../parts/show.tsx";

const statuses = [
  "created",
  "requires_action",
  "failed",
  "authorised",
  "voided",
  "partially_captured",
  "captured",
  "partially_refunded",
  "refunded",
] as const;

/** Payments, and those that need somebody. */
export function PaymentsRoom() {
  return (
    <Page title="Payments">
      <Tabs defaultValue="all" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="all">All</Tabs.Tab>
          <Tabs.Tab value="dead">Dead letters</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="all">
          <All />
        </Tabs.Panel>
        <Tabs.Panel value="dead">
          <DeadLetters />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function All() {
  const api = useApi();
  const [status, setStatus] = useState<(typeof statuses)[number] | null>(null);
  const filter = { status: status ?? undefined };
  const { query, items } = usePages(["payments", filter], (cursor) =>
    take(api.GET("/v1/payments", { params: { query: { ...filter, cursor, limit: 30 } } })),
  );
  return (
    <>
      <div className="filters">
        <Select
          aria-label="Status"
          placeholder="Any status"
          data={statuses.map((value) => ({ value, label: words(value) }))}
          value={status}
          onChange={(value) => setStatus(value as typeof status)}
          clearable
        />
      </div>
      <Panel flush>
        <DataTable
          label="Payments"
          rows={items}
          rowKey={(payment) => payment.id}
          to={(payment) => `/orders/${payment.orderId}`}
          state={query}
          empty={{ title: "No payments here" }}
          columns={[
            {
              name: "Payment",
              cell: (payment) => (
                <Link to={`/orders/${payment.orderId}`}>
                  <ShortId id={payment.id} />
                </Link>
              ),
            },
            {
              name: "Status",
              cell: (payment) => <Status value={payment.status} />,
              sort: (payment) => payment.status,
            },
            {
              name: "By",
              minor: true,
              cell: (payment) =>
                payment.instrument
                  ? `${words(payment.instrument.brand)} …${payment.instrument.last4}`
                  : words(payment.provider),
            },
            {
              name: "Reason",
              minor: true,
              cell: (payment) => (payment.failureCode ? words(payment.failureCode) : ""),
            },
            {
              name: "Amount",
              right: true,
              cell: (payment) => <Money of={payment.amount} />,
              sort: (payment) => payment.amount.amountMinor,
            },
            {
              name: "When",
              right: true,
              cell: (payment) => <Time at={payment.createdAt} />,
              sort: (payment) => payment.createdAt,
            },
          ]}
        />
      </Panel>
    </>
  );
}

const touches = [["payments"]] as const;

function DeadLetters() {
  const api = useApi();
  const { query, items } = usePages(["payments", "dead"], (cursor) =>
    take(api.GET("/v1/payments/dead-letters", { params: { query: { cursor, limit: 30 } } })),
  );
  const [resolution, setResolution] = useState("");
  const retry = useChange({
    run: (id: string) =>
      take(api.POST("/v1/payments/dead-letters/{id}/retry", { params: { path: { id } } })),
    done: "Tried again",
    touches,
  });
  const resolve = useChange({
    run: (id: string) =>
      take(
        api.POST("/v1/payments/dead-letters/{id}/resolve", {
          params: { path: { id } },
          body: { resolution },
        }),
      ),
    done: "Resolved",
    touches,
  });
  return (
    <Panel flush>
      <DataTable
        label="Dead letters of payments"
        rows={items}
        rowKey={(letter) => letter.id}
        state={query}
        empty={{ title: "None", hint: "Payments that cannot be settled by themselves wait here." }}
        columns={[
          { name: "Kind", cell: (letter) => words(letter.kind) },
          { name: "Payment", cell: (letter) => <ShortId id={letter.paymentId} /> },
          { name: "Retries", cell: (letter) => letter.retries, right: true },
          { name: "Raised", cell: (letter) => <Time at={letter.raisedAt} />, right: true },
          {
            name: "",
            right: true,
            cell: (letter) =>
              letter.resolvedAt ? (
                <Status value="done" />
              ) : (
                <span className="row" style={{ justifyContent: "flex-end" }}>
                  <Ask
                    label="Retry"
                    size="compact-sm"
                    title="Try again?"
                    confirm="Try again"
                    onConfirm={() => retry.mutateAsync(letter.id)}
                  />
                  <Ask
                    label="Resolve"
                    size="compact-sm"
                    title="Resolve by hand"
                    confirm="Resolve"
                    onConfirm={() => resolve.mutateAsync(letter.id)}
                  >
                    <TextInput
                      label="What was done"
                      required
                      value={resolution}
                      onChange={(event) => setResolution(event.currentTarget.value)}
                    />
                  </Ask>
                </span>
              ),
          },
        ]}
      />
    </Panel>
  );
}
