import { take } from "@brandos/sdk";
import { Button, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { formatMoney } from "../../ui/money.ts";
import { useApi, useChange, usePages } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Money, Time, words } from "../parts/show.tsx";

/** The brand's books. */
export function LedgerRoom() {
  const api = useApi();
  const verify = useChange({
    run: () => take(api.POST("/v1/ledger/verify")),
    done: (proof) =>
      proof.intact
        ? `The chain is intact: ${proof.entriesChecked.toLocaleString()} entries checked`
        : `The chain is broken at seal ${proof.brokenSeal}`,
    touches: [],
  });
  return (
    <Page
      title="Ledger"
      actions={
        <Button
          variant="default"
          loading={verify.isPending}
          onClick={() => verify.mutate(undefined)}
        >
          Verify the chain
        </Button>
      }
    >
      <Tabs defaultValue="balance" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="balance">Trial balance</Tabs.Tab>
          <Tabs.Tab value="journals">Journals</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="balance">
          <TrialBalance />
        </Tabs.Panel>
        <Tabs.Panel value="journals">
          <Journals />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

interface Chosen {
  readonly code: string;
  readonly currency: string;
}

function TrialBalance() {
  const api = useApi();
  const [chosen, setChosen] = useState<Chosen>();
  const balance = useQuery({
    queryKey: ["ledger", "balance"],
    queryFn: () => take(api.GET("/v1/ledger/trial-balance")),
  });
  return (
    <Loaded query={balance}>
      {({ accounts, totals }) => (
        <>
          <div className="tiles">
            {totals.map(({ currency, debitMinor, differenceMinor }) => (
              <div className="tile" key={currency}>
                <span>{currency}, debits and credits</span>
                <strong>{formatMoney(debitMinor, currency)}</strong>
                <small>
                  {differenceMinor === 0
                    ? "in balance"
                    : `out of balance by ${formatMoney(differenceMinor, currency)}`}
                </small>
              </div>
            ))}
          </div>
          <Panel title="Accounts" flush>
            <DataTable
              label="Accounts"
              rows={accounts}
              rowKey={({ code, currency }) => `${code}/${currency}`}
              empty={{ title: "Nothing posted yet" }}
              columns={[
                {
                  name: "Account",
                  sort: ({ code }) => code,
                  cell: ({ code, currency }) => (
                    <button
                      type="button"
                      className="chip"
                      onClick={() => setChosen({ code, currency })}
                    >
                      {code}
                    </button>
                  ),
                },
                { name: "Kind", cell: ({ kind }) => words(kind), minor: true },
                {
                  name: "Debit",
                  right: true,
                  minor: true,
                  cell: (row) => formatMoney(row.debitMinor, row.currency),
                },
                {
                  name: "Credit",
                  right: true,
                  minor: true,
                  cell: (row) => formatMoney(row.creditMinor, row.currency),
                },
                {
                  name: "Balance",
                  right: true,
                  sort: (row) => row.balanceMinor,
                  cell: (row) => <b>{formatMoney(row.balanceMinor, row.currency)}</b>,
                },
              ]}
            />
          </Panel>
          {chosen && <Statement key={`${chosen.code}/${chosen.currency}`} of={chosen} />}
        </>
      )}
    </Loaded>
  );
}

function Statement({ of }: { readonly of: Chosen }) {
  const api = useApi();
  const { code, currency } = of;
  const { query, items } = usePages(["ledger", "statement", code, currency], (cursor) =>
    take(
      api.GET("/v1/ledger/accounts/{code}/statement", {
        params: { path: { code }, query: { currency, cursor, limit: 30 } },
      }),
    ),
  );
  return (
    <Panel title={`Statement of ${code} in ${currency}`} flush>
      <DataTable
        label="Statement"
        rows={items}
        rowKey={(entry) => entry.journalId}
        state={query}
        empty={{ title: "No entries" }}
        columns={[
          { name: "When", cell: (entry) => <Time at={entry.occurredAt} /> },
          { name: "What", cell: (entry) => entry.description },
          { name: "Amount", cell: (entry) => <Money of={entry.amount} />, right: true },
          { name: "Balance", cell: (entry) => <Money of={entry.balance} />, right: true },
        ]}
      />
    </Panel>
  );
}

function Journals() {
  const api = useApi();
  const { query, items } = usePages(["ledger", "journals"], (cursor) =>
    take(api.GET("/v1/ledger/journals", { params: { query: { cursor, limit: 30 } } })),
  );
  return (
    <Panel flush>
      <DataTable
        label="Journals"
        rows={items}
        rowKey={(journal) => journal.id}
        state={query}
        empty={{ title: "Nothing posted yet" }}
        columns={[
          { name: "When", cell: (journal) => <Time at={journal.recordedAt} /> },
          { name: "Kind", cell: (journal) => journal.kind, sort: (journal) => journal.kind },
          { name: "What", cell: (journal) => journal.description },
          {
            name: "Entries",
            minor: true,
            right: true,
            cell: (journal) =>
              journal.entries.map((entry) => (
                <div key={`${entry.account}/${entry.amount.currency}/${entry.amount.amountMinor}`}>
                  <span className="muted">{entry.account}</span> <Money of={entry.amount} />
                </div>
              )),
          },
        ]}
      />
    </Panel>
  );
}
