import { type paths, take } from "@brandos/sdk";
import { Button, MultiSelect, Select, Switch, TextInput } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";
import { newId } from "../../ui/ids.ts";
import { useAccount, useApi, useChange, usePages } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Status, Time } from "../parts/show.tsx";
import { addAccount } from "../session.ts";

type Tenant =
  paths["/v1/tenants"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

const touches = [["tenants"]] as const;
const sayStyle = { pool: "Shared tables", bridge: "Own schema", silo: "Own database" } as const;

/** The brands of the deployment. */
export function TenantsRoom() {
  const api = useApi();
  const { query, items } = usePages(["tenants"], (cursor) =>
    take(api.GET("/v1/tenants", { params: { query: { cursor, limit: 50 } } })),
  );
  return (
    <Page title="Tenants" hint="Brands of this deployment" actions={<CreateTenant />}>
      <Panel flush>
        <DataTable
          label="Tenants"
          rows={items}
          rowKey={(tenant) => tenant.id}
          state={query}
          empty={{ title: "No brands yet" }}
          columns={[
            {
              name: "Brand",
              sort: (tenant) => tenant.name,
              cell: (tenant) => (
                <>
                  <b>{tenant.name}</b>
                  <div className="muted mono">{tenant.slug}</div>
                </>
              ),
            },
            {
              name: "Status",
              cell: (tenant) => <Status value={tenant.status} />,
              sort: (tenant) => tenant.status,
            },
            { name: "Isolation", cell: (tenant) => sayStyle[tenant.style], minor: true },
            { name: "Currencies", cell: (tenant) => tenant.currencies.join(", "), minor: true },
            {
              name: "Since",
              cell: (tenant) => <Time at={tenant.createdAt} />,
              right: true,
              minor: true,
            },
            { name: "", right: true, cell: (tenant) => <TenantActions tenant={tenant} /> },
          ]}
        />
      </Panel>
    </Page>
  );
}

function TenantActions({ tenant }: { readonly tenant: Tenant }) {
  const api = useApi();
  const { key } = useAccount();
  const navigate = useNavigate();
  const path = { params: { path: { id: tenant.id } } };
  const suspend = useChange({
    run: () => take(api.POST("/v1/tenants/{id}/suspend", path)),
    done: "Suspended",
    touches,
  });
  const resume = useChange({
    run: () => take(api.POST("/v1/tenants/{id}/resume", path)),
    done: "Open again",
    touches,
  });
  const enter = () => {
    const { id: tenantId, slug, name, defaultCurrency: currency } = tenant;
    addAccount({ key, kind: "operator", tenantId, slug, name, currency });
    void navigate("/");
  };
  return (
    <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
      {tenant.status === "active" && (
        <>
          <Ask
            label="Suspend"
            size="compact-sm"
            title={`Suspend ${tenant.name}?`}
            confirm="Suspend"
            danger
            onConfirm={() => suspend.mutateAsync(undefined)}
          >
            <p className="muted">Its shop closes and its keys are refused until it is resumed.</p>
          </Ask>
          <Button size="compact-sm" onClick={enter}>
            Enter
          </Button>
        </>
      )}
      {tenant.status === "suspended" && (
        <Button size="compact-sm" variant="default" onClick={() => resume.mutate(undefined)}>
          Resume
        </Button>
      )}
    </span>
  );
}

function CreateTenant() {
  const api = useApi();
  const [name, setName] = useState("");
  const [slug, setSlug] = useState("");
  const [style, setStyle] = useState<Tenant["style"]>("pool");
  const [currencies, setCurrencies] = useState<string[]>(["EUR"]);
  const [pricesIncludeTax, setIncludes] = useState(true);
  // The same over retries: a creation that was cut off is finished, not begun again.
  const [id] = useState(() => newId());
  const create = useChange({
    run: () =>
      take(
        api.POST("/v1/tenants", {
          body: {
            id,
            slug,
            name,
            currencies,
            defaultCurrency: currencies[0] ?? "EUR",
            defaultLocale: "en",
            pricesIncludeTax,
            style,
          },
        }),
      ),
    done: "Created",
    touches,
  });
  return (
    <Ask
      label="Create a brand"
      variant="filled"
      title="Create a brand"
      confirm="Create"
      onConfirm={() => create.mutateAsync(undefined)}
    >
      <TextInput
        label="Name"
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label="Short name"
        description="In addresses; lower case letters, digits and hyphens"
        required
        value={slug}
        onChange={(event) => setSlug(event.currentTarget.value)}
      />
      <Select
        label="Isolation"
        data={Object.entries(sayStyle).map(([value, label]) => ({ value, label }))}
        value={style}
        onChange={(value) => value && setStyle(value as Tenant["style"])}
        allowDeselect={false}
      />
      <MultiSelect
        label="Currencies, the default first"
        data={["EUR", "USD", "JPY", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK"]}
        value={currencies}
        onChange={setCurrencies}
      />
      <Switch
        label="Prices include tax"
        checked={pricesIncludeTax}
        onChange={(event) => setIncludes(event.currentTarget.checked)}
      />
    </Ask>
  );
}
