import { type paths, take } from "@brandos/sdk";
import { NumberInput, Select, Switch, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { newId } from "../../ui/ids.ts";
import { formatMoney } from "../../ui/money.ts";
import { useApi, useChange, usePages } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Status, Time, words } from "../parts/show.tsx";

type Promotion =
  paths["/v1/promotions"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

const touches = [["promotions"], ["coupons"]] as const;

/** Discounts, and the codes that open them. */
export function PromotionsRoom() {
  const api = useApi();
  const { query, items } = usePages(["promotions"], (cursor) =>
    take(api.GET("/v1/promotions", { params: { query: { cursor, limit: 30 } } })),
  );
  const turn = useChange({
    run: ({ id, status }: Pick<Promotion, "id" | "status">) =>
      take(api.PATCH("/v1/promotions/{id}", { params: { path: { id } }, body: { status } })),
    done: ({ status }) => (status === "active" ? "Switched on" : "Switched off"),
    touches,
  });
  return (
    <Page title="Promotions" actions={<CreatePromotion />}>
      <Panel flush>
        <DataTable
          label="Promotions"
          rows={items}
          rowKey={(promotion) => promotion.id}
          state={query}
          empty={{ title: "No promotions yet" }}
          columns={[
            { name: "Name", cell: (one) => <b>{one.name}</b>, sort: (one) => one.name },
            { name: "Gives", cell: (one) => sayAction(one.action) },
            { name: "Opens", cell: (one) => words(one.trigger), minor: true },
            {
              name: "Used",
              right: true,
              sort: (one) => one.usedCount,
              cell: (one) =>
                one.usageLimit === null ? one.usedCount : `${one.usedCount} of ${one.usageLimit}`,
            },
            { name: "Ends", cell: (one) => <Time at={one.endsAt} />, right: true, minor: true },
            {
              name: "On",
              right: true,
              cell: (one) => (
                <Switch
                  checked={one.status === "active"}
                  aria-label={`${one.name} is on`}
                  onChange={(event) =>
                    turn.mutate({
                      id: one.id,
                      status: event.currentTarget.checked ? "active" : "disabled",
                    })
                  }
                />
              ),
            },
          ]}
        />
      </Panel>
      <Coupons promotions={items} />
    </Page>
  );
}

function sayAction(action: Readonly<Record<string, unknown>>): string {
  const percent = `${Number(action["offBps"]) / 100} %`;
  if (action["kind"] === "percentage") return `${percent} off`;
  if (action["kind"] === "free_shipping") return "free shipping";
  if (action["kind"] === "fixed_amount") {
    const amounts = Object.entries(action["amountsMinor"] as Readonly<Record<string, number>>);
    return `${amounts.map(([currency, minor]) => formatMoney(minor, currency)).join(" or ")} off`;
  }
  return `buy ${action["buyQuantity"]}, get ${action["getQuantity"]} at ${percent} off`;
}

function CreatePromotion() {
  const api = useApi();
  const [name, setName] = useState("");
  const [percent, setPercent] = useState<string | number>(10);
  const [trigger, setTrigger] = useState<"automatic" | "code">("code");
  const [code, setCode] = useState("");
  const create = useChange({
    run: async () => {
      const promotion = await take(
        api.POST("/v1/promotions", {
          body: {
            id: newId(),
            name,
            trigger,
            action: { kind: "percentage", offBps: Math.round(Number(percent) * 100) },
          },
        }),
      );
      if (trigger === "automatic" || code.trim() === "") return promotion;
      const coupon = { id: newId(), promotionId: promotion.id, code: code.trim() };
      await take(api.POST("/v1/coupons", { body: { coupons: [coupon] } }));
      return promotion;
    },
    done: "Created",
    touches,
  });
  return (
    <Ask
      label="Create"
      variant="filled"
      title="A percentage off"
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
      <NumberInput
        label="Per cent off"
        min={0.01}
        max={100}
        decimalScale={2}
        value={percent}
        onChange={setPercent}
      />
      <Select
        label="Opens"
        data={[
          { value: "code", label: "With a code" },
          { value: "automatic", label: "By itself" },
        ]}
        value={trigger}
        onChange={(value) => value && setTrigger(value as typeof trigger)}
        allowDeselect={false}
      />
      {trigger === "code" && (
        <TextInput
          label="Code"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
      )}
    </Ask>
  );
}

function Coupons({ promotions }: { readonly promotions: readonly Promotion[] }) {
  const api = useApi();
  const coupons = useQuery({
    queryKey: ["coupons"],
    queryFn: () => take(api.GET("/v1/coupons", { params: { query: { limit: 100 } } })),
  });
  return (
    <Panel title="Coupons" flush>
      <DataTable
        label="Coupons"
        rows={coupons.data?.items ?? []}
        rowKey={(coupon) => coupon.id}
        state={coupons}
        empty={{ title: "No coupons yet" }}
        columns={[
          {
            name: "Code",
            cell: (coupon) => <span className="mono">{coupon.code}</span>,
            sort: (coupon) => coupon.code,
          },
          {
            name: "Promotion",
            cell: (coupon) => promotions.find(({ id }) => id === coupon.promotionId)?.name ?? "–",
          },
          { name: "Status", cell: (coupon) => <Status value={coupon.status} /> },
          {
            name: "Used",
            right: true,
            sort: (coupon) => coupon.usedCount,
            cell: (coupon) =>
              coupon.usageLimit === null
                ? coupon.usedCount
                : `${coupon.usedCount} of ${coupon.usageLimit}`,
          },
        ]}
      />
    </Panel>
  );
}
