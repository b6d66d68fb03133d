import { take } from "@brandos/sdk";
import { NumberInput, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { formatMoney } from "../../ui/money.ts";
import { useApi, useChange } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Facts, Status, Time } from "../parts/show.tsx";

/** How the brand is set up: money, shipping, tax. */
export function SettingsRoom() {
  const api = useApi();
  const tenant = useQuery({ queryKey: ["tenant"], queryFn: () => take(api.GET("/v1/tenant")) });
  return (
    <Page title="Settings">
      <Panel title="Brand">
        <Loaded query={tenant}>
          {(brand) => (
            <Facts
              of={{
                Name: brand.name,
                "Short name": <span className="mono">{brand.slug}</span>,
                Status: <Status value={brand.status} />,
                Currencies: brand.currencies
                  .map((code) => (code === brand.defaultCurrency ? `${code} (default)` : code))
                  .join(", "),
                Language: brand.defaultLocale,
                Prices: brand.pricesIncludeTax ? "include tax" : "without tax",
                Isolation: sayStyle[brand.style],
                Since: <Time at={brand.createdAt} />,
              }}
            />
          )}
        </Loaded>
      </Panel>
      <Shipping />
      <Tax />
    </Page>
  );
}

const sayStyle = {
  pool: "shared tables, row-level security",
  bridge: "a schema of its own",
  silo: "a database of its own",
} as const;

function useZones(of: "shipping" | "tax") {
  const api = useApi();
  return useQuery({
    queryKey: ["zones", of],
    queryFn: async (): Promise<readonly Zone[]> => {
      const answer =
        of === "shipping"
          ? await take(api.GET("/v1/shipping/zones"))
          : await take(api.GET("/v1/tax/zones"));
      return answer.items;
    },
  });
}

interface Zone {
  readonly id: string;
  readonly name: string;
  readonly areas: readonly { readonly country: string }[];
}

function Shipping() {
  const api = useApi();
  const methods = useQuery({
    queryKey: ["shipping-methods"],
    queryFn: () => take(api.GET("/v1/shipping/methods")),
  });
  const zones = useZones("shipping");
  const nameOf = (id: string) => zones.data?.find((zone) => zone.id === id)?.name ?? "–";
  return (
    <Panel title="Shipping" flush>
      <DataTable
        label="Shipping methods"
        rows={methods.data?.items ?? []}
        rowKey={(method) => method.id}
        state={methods}
        empty={{ title: "No shipping methods" }}
        columns={[
          {
            name: "Method",
            cell: (method) => (
              <>
                <b>{method.name}</b>
                <div className="muted">{method.description}</div>
              </>
            ),
            sort: (method) => method.name,
          },
          {
            name: "Offered",
            cell: (method) => (
              <OfferSwitch id={method.id} name={method.name} status={method.status} />
            ),
          },
          {
            name: "Rates",
            right: true,
            cell: (method) =>
              method.rates.map((rate) => (
                <div key={`${rate.zoneId}/${rate.currency}`} className="number">
                  <span className="muted">{nameOf(rate.zoneId)}</span>{" "}
                  {sayPrice(rate.price as unknown as Price, rate.currency)}
                  {rate.freeAboveMinor !== null &&
                    `, free from ${formatMoney(rate.freeAboveMinor, rate.currency)}`}
                </div>
              )),
          },
        ]}
      />
      <Zones zones={zones.data ?? []} />
    </Panel>
  );
}

interface Price {
  readonly kind: string;
  readonly amountMinor?: number;
  readonly brackets?: readonly { readonly amountMinor: number }[];
}

function sayPrice(price: Price, currency: string): string {
  if (price.amountMinor !== undefined) return formatMoney(price.amountMinor, currency);
  const amounts = (price.brackets ?? []).map(({ amountMinor }) => amountMinor);
  const [low, high] = [Math.min(...amounts), Math.max(...amounts)];
  return `${formatMoney(low, currency)} to ${formatMoney(high, currency)} ${price.kind.replaceAll("_", " ")}`;
}

function Zones({ zones }: { readonly zones: readonly Zone[] }) {
  return (
    <div className="panel-body">
      <Facts
        of={Object.fromEntries(
          zones.map((zone) => [
            zone.name,
            zone.areas
              .map(({ country }) => (country === "*" ? "everywhere else" : country))
              .join(", "),
          ]),
        )}
      />
    </div>
  );
}

function Tax() {
  const api = useApi();
  const rates = useQuery({
    queryKey: ["tax-rates"],
    queryFn: () => take(api.GET("/v1/tax/rates")),
  });
  const zones = useZones("tax");
  return (
    <Panel title="Tax" flush>
      <DataTable
        label="Tax rates"
        rows={rates.data?.items ?? []}
        rowKey={(rate) => rate.id}
        state={rates}
        empty={{ title: "No tax rates" }}
        columns={[
          { name: "Rate", cell: (rate) => <b>{rate.name}</b>, sort: (rate) => rate.name },
          {
            name: "Zone",
            cell: (rate) => zones.data?.find((zone) => zone.id === rate.zoneId)?.name ?? "–",
          },
          { name: "Category", cell: (rate) => rate.category ?? "any", minor: true },
          {
            name: "Shipping",
            cell: (rate) => (rate.appliesToShipping ? "too" : "no"),
            minor: true,
          },
          {
            name: "Per cent",
            right: true,
            sort: (rate) => rate.rateBps,
            cell: (rate) => `${rate.rateBps / 100} %`,
          },
          {
            name: "",
            right: true,
            cell: (rate) => <ChangeRate id={rate.id} rateBps={rate.rateBps} />,
          },
        ]}
      />
      <Zones zones={zones.data ?? []} />
    </Panel>
  );
}

interface OfferSwitchProps {
  readonly id: string;
  readonly name: string;
  readonly status: "active" | "disabled";
}

function OfferSwitch({ id, name, status }: OfferSwitchProps) {
  const api = useApi();
  const turn = useChange({
    run: (next: "active" | "disabled") =>
      take(
        api.PATCH("/v1/shipping/methods/{id}", {
          params: { path: { id } },
          body: { status: next },
        }),
      ),
    done: (method) => (method.status === "active" ? "Offered again" : "No longer offered"),
    touches: [["shipping-methods"]],
  });
  return (
    <Switch
      checked={status === "active"}
      aria-label={`${name} is offered`}
      onChange={(event) => turn.mutate(event.currentTarget.checked ? "active" : "disabled")}
    />
  );
}

function ChangeRate({ id, rateBps }: { readonly id: string; readonly rateBps: number }) {
  const api = useApi();
  const [percent, setPercent] = useState<string | number>(rateBps / 100);
  const change = useChange({
    run: () =>
      take(
        api.PATCH("/v1/tax/rates/{id}", {
          params: { path: { id } },
          body: { rateBps: Math.round(Number(percent) * 100) },
        }),
      ),
    done: "Rate changed, for orders from now on",
    touches: [["tax-rates"]],
  });
  return (
    <Ask
      label="Change"
      size="compact-sm"
      title="Change the tax rate"
      confirm="Change"
      onConfirm={() => change.mutateAsync(undefined)}
    >
      <NumberInput
        label="Per cent"
        min={0}
        max={100}
        decimalScale={2}
        value={percent}
        onChange={setPercent}
        data-autofocus
      />
    </Ask>
  );
}
