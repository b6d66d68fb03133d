import { take } from "@brandos/sdk";
import { Select, Switch, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { useApi, usePages } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { ShortId, Time, words } from "../parts/show.tsx";
import { AdjustStock, TransferStock, useLocationList, useLocations } from "./stock-actions.tsx";

/** What lies where, and how it moved. */
export function StockRoom() {
  const [low, setLow] = useState(false);
  const [locationId, setLocationId] = useState<string | null>(null);
  const locations = useLocationList();
  const filter = { low: low || undefined, locationId: locationId ?? undefined };
  return (
    <Page title="Stock">
      <Tabs defaultValue="levels" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="levels">Levels</Tabs.Tab>
          <Tabs.Tab value="movements">Movements</Tabs.Tab>
        </Tabs.List>
        <div className="filters" style={{ alignItems: "center" }}>
          <Select
            aria-label="Location"
            placeholder="Every location"
            data={locations.map(({ id, name }) => ({ value: id, label: name }))}
            value={locationId}
            onChange={setLocationId}
            clearable
          />
          <Switch
            label="Running low"
            checked={low}
            onChange={(event) => setLow(event.currentTarget.checked)}
          />
        </div>
        <Tabs.Panel value="levels">
          <Levels filter={filter} />
        </Tabs.Panel>
        <Tabs.Panel value="movements">
          <Movements locationId={filter.locationId} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Levels(props: {
  readonly filter: { readonly low: boolean | undefined; readonly locationId: string | undefined };
}) {
  const api = useApi();
  const nameOf = useLocations();
  const { filter } = props;
  const { query, items } = usePages(["stock", filter], (cursor) =>
    take(api.GET("/v1/stock", { params: { query: { ...filter, cursor, limit: 20 } } })),
  );
  return (
    <Panel flush>
      <DataTable
        label="Stock levels"
        rows={items}
        rowKey={(level) => `${level.variantId}/${level.locationId}`}
        state={query}
        empty={{ title: filter.low ? "Nothing runs low" : "No stock yet" }}
        columns={[
          { name: "Variant", cell: (level) => <VariantName id={level.variantId} /> },
          { name: "Location", cell: (level) => nameOf(level.locationId), minor: true },
          {
            name: "On hand",
            cell: (level) => level.onHand,
            right: true,
            sort: (level) => level.onHand,
          },
          {
            name: "Reserved",
            cell: (level) => level.reserved,
            right: true,
            minor: true,
            sort: (level) => level.reserved,
          },
          {
            name: "Available",
            right: true,
            sort: (level) => level.available,
            cell: (level) => <b>{level.available}</b>,
          },
          {
            name: "",
            right: true,
            cell: (level) => (
              <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <TransferStock level={level} />
                <AdjustStock level={level} />
              </span>
            ),
          },
        ]}
      />
    </Panel>
  );
}

function Movements({ locationId }: { readonly locationId: string | undefined }) {
  const api = useApi();
  const nameOf = useLocations();
  const { query, items } = usePages(["movements", locationId], (cursor) =>
    take(api.GET("/v1/stock/movements", { params: { query: { locationId, cursor, limit: 20 } } })),
  );
  return (
    <Panel flush>
      <DataTable
        label="Movements"
        rows={items}
        rowKey={(movement) => `${movement.id}/${movement.variantId}/${movement.locationId}`}
        state={query}
        empty={{ title: "Nothing moved yet" }}
        columns={[
          { name: "Variant", cell: (movement) => <VariantName id={movement.variantId} /> },
          { name: "Reason", cell: (movement) => words(movement.reason) },
          { name: "Location", cell: (movement) => nameOf(movement.locationId), minor: true },
          {
            name: "Change",
            right: true,
            sort: (movement) => movement.quantity,
            cell: (movement) =>
              movement.quantity > 0 ? `+${movement.quantity}` : movement.quantity,
          },
          { name: "When", right: true, cell: (movement) => <Time at={movement.recordedAt} /> },
        ]}
      />
    </Panel>
  );
}

/** Names a variant; each one is asked for once and kept. */
function VariantName({ id }: { readonly id: string }) {
  const api = useApi();
  const variant = useQuery({
    queryKey: ["variant", id],
    queryFn: () => take(api.GET("/v1/variants/{id}", { params: { path: { id } } })),
    staleTime: 300_000,
  });
  if (!variant.data) return <ShortId id={id} />;
  const { product, sku, title } = variant.data;
  return (
    <>
      <Link to={`/catalog/${product.id}`}>
        {product.title} {title && `· ${title}`}
      </Link>
      <div className="muted mono">{sku}</div>
    </>
  );
}
