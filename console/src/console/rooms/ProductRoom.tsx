import { type paths, take } from "@brandos/sdk";
import { Button, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useParams } from "react-router";
import { decimalOf, exponentOf, readMinor } from "../../ui/money.ts";
import { useApi, useChange } from "../api.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Status, Time } from "../parts/show.tsx";
import { VariantStock } from "./VariantStock.tsx";

type Product = paths["/v1/products/{id}"]["get"]["responses"]["2XX"]["content"]["application/json"];
type Variant = Product["variants"][number];

const touches = [["products"], ["product"]] as const;

/** One product: what it is, what it costs, how much there is. */
export function ProductRoom() {
  const { id = "" } = useParams();
  const api = useApi();
  const product = useQuery({
    queryKey: ["product", id],
    queryFn: () => take(api.GET("/v1/products/{id}", { params: { path: { id } } })),
  });
  return (
    <Loaded query={product}>
      {(found) => (
        <Page
          title={found.title}
          mark={<Status value={found.status} />}
          hint={
            <>
              {found.handle} · changed <Time at={found.updatedAt} />
            </>
          }
          back={{ to: "/catalog", name: "Catalog" }}
        >
          <div className="columns">
            <div>
              {found.variants.map((variant) => (
                <Panel
                  key={variant.id}
                  title={variant.title || variant.sku}
                  actions={<span className="muted mono">{variant.sku}</span>}
                >
                  <div className="stack">
                    <Prices variant={variant} />
                    <VariantStock variantId={variant.id} />
                  </div>
                </Panel>
              ))}
            </div>
            <div>
              <Picture product={found} />
              <Details key={found.version} product={found} />
            </div>
          </div>
        </Page>
      )}
    </Loaded>
  );
}

function Picture({ product }: { readonly product: Product }) {
  const picture = product.media[0];
  if (!picture) return null;
  return (
    <div className="panel" style={{ overflow: "hidden" }}>
      <img
        src={picture.url}
        alt={picture.alt}
        width={400}
        height={400}
        style={{ width: "100%", height: "auto", display: "block" }}
      />
    </div>
  );
}

function Details({ product }: { readonly product: Product }) {
  const api = useApi();
  const [title, setTitle] = useState(product.title);
  const [description, setDescription] = useState(product.description);
  const [status, setStatus] = useState(product.status);
  const save = useChange({
    run: () =>
      take(
        api.PATCH("/v1/products/{id}", {
          params: { path: { id: product.id } },
          body: { title, description, status },
        }),
      ),
    done: "Saved",
    touches,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate(undefined);
  };
  return (
    <Panel title="About">
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Title"
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
          required
        />
        <Textarea
          label="Description"
          autosize
          minRows={3}
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        <Select
          label="Status"
          data={["draft", "published", "archived"]}
          value={status}
          onChange={(value) => value && setStatus(value as Product["status"])}
          allowDeselect={false}
        />
        <Button type="submit" loading={save.isPending}>
          Save
        </Button>
      </form>
    </Panel>
  );
}

function Prices({ variant }: { readonly variant: Variant }) {
  const api = useApi();
  const single = variant.prices.filter((price) => price.minQuantity === 1);
  const [amounts, setAmounts] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(
      single.map(({ currency, amountMinor }) => [
        currency,
        decimalOf(amountMinor, exponentOf(currency)),
      ]),
    ),
  );
  const changed = single.flatMap(({ currency, amountMinor }) => {
    const next = readMinor(amounts[currency] ?? "", currency);
    return next === undefined || next === amountMinor
      ? []
      : [{ variantId: variant.id, currency, amountMinor: next }];
  });
  const save = useChange({
    run: () => take(api.PUT("/v1/prices", { body: { prices: changed } })),
    done: "Prices saved",
    touches,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate(undefined);
  };
  return (
    <form className="row" style={{ alignItems: "flex-end" }} onSubmit={submit}>
      {single.map(({ currency }) => (
        <TextInput
          key={currency}
          label={`Price in ${currency}`}
          inputMode="decimal"
          w={130}
          value={amounts[currency] ?? ""}
          error={readMinor(amounts[currency] ?? "", currency) === undefined}
          onChange={(event) => setAmounts({ ...amounts, [currency]: event.currentTarget.value })}
        />
      ))}
      <Button
        type="submit"
        variant="default"
        disabled={changed.length === 0}
        loading={save.isPending}
      >
        Save prices
      </Button>
    </form>
  );
}
