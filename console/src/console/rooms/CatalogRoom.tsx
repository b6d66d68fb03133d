import { type paths, take } from "@brandos/sdk";
import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { Icon } from "../../ui/Icon.tsx";
import { useAccount, useApi, usePages } from "../api.tsx";
import { type Column, DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Money, Status, words } from "../parts/show.tsx";

const statuses = ["published", "draft", "archived"] as const;

type Product =
  paths["/v1/products"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

/** All products. */
export function CatalogRoom() {
  const api = useApi();
  const { currency = "EUR" } = useAccount();
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text.trim(), 250);
  const [status, setStatus] = useState<(typeof statuses)[number] | null>(null);
  const [collection, setCollection] = useState<string | null>(null);
  const collections = useQuery({
    queryKey: ["collections"],
    queryFn: () => take(api.GET("/v1/collections", { params: { query: { limit: 100 } } })),
  });
  const filter = {
    search: search || undefined,
    status: status ?? undefined,
    collection: collection ?? undefined,
  };
  const { query, items } = usePages(["products", filter], (cursor) =>
    take(api.GET("/v1/products", { params: { query: { ...filter, cursor, limit: 30 } } })),
  );
  return (
    <Page
      title="Catalog"
      actions={
        <Button component={Link} to="/catalog/import" variant="default">
          Import
        </Button>
      }
    >
      <search className="filters">
        <TextInput
          type="search"
          aria-label="Search products"
          placeholder="Title, handle or SKU"
          leftSection={<Icon name="search" size={15} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: "1 1 260px" }}
        />
        <Select
          aria-label="Status"
          placeholder="Any status"
          data={statuses.map((value) => ({ value, label: words(value) }))}
          value={status}
          onChange={(value) => setStatus(value as typeof status)}
          clearable
        />
        <Select
          aria-label="Collection"
          placeholder="Any collection"
          data={(collections.data?.items ?? []).map(({ id, title }) => ({
            value: id,
            label: title,
          }))}
          value={collection}
          onChange={setCollection}
          clearable
        />
      </search>
      <Panel flush>
        <DataTable
          label="Products"
          rows={items}
          rowKey={(product) => product.id}
          to={(product) => `/catalog/${product.id}`}
          state={query}
          empty={{ title: "No products here", hint: "None match; or import some." }}
          columns={columnsIn(currency)}
        />
      </Panel>
    </Page>
  );
}

function columnsIn(currency: string): readonly Column<Product>[] {
  return [
    {
      name: "Product",
      sort: (product) => product.title,
      cell: (product) => (
        <div className="row" style={{ flexWrap: "nowrap" }}>
          {product.media[0] && (
            <img className="thumb" src={product.media[0].url} alt="" loading="lazy" />
          )}
          <Link to={`/catalog/${product.id}`}>{product.title}</Link>
        </div>
      ),
    },
    {
      name: "Status",
      cell: (product) => <Status value={product.status} />,
      sort: (product) => product.status,
    },
    {
      name: "Category",
      cell: (product) => product.category ?? "–",
      sort: (product) => product.category ?? "",
      minor: true,
    },
    {
      name: "Variants",
      cell: (product) => product.variants.length,
      sort: (product) => product.variants.length,
      right: true,
      minor: true,
    },
    {
      name: "From",
      right: true,
      cell: (product) => {
        const prices = product.variants.flatMap((variant) =>
          variant.prices.filter((price) => price.currency === currency),
        );
        if (prices.length === 0) return "–";
        const amountMinor = Math.min(...prices.map((price) => price.amountMinor));
        return <Money of={{ amountMinor, currency }} />;
      },
    },
  ];
}
