import { take } from "@brandos/sdk";
import { NumberInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { newId } from "../../ui/ids.ts";
import { useApi, useChange } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";

/** What lies where. */
export interface Level {
  readonly variantId: string;
  readonly locationId: string;
  readonly onHand: number;
  readonly reserved: number;
  readonly available: number;
}

const reasons = ["received", "returned", "damaged", "lost", "found", "correction", "sold"] as const;
const touches = [["stock"], ["movements"]] as const;

/** The brand's locations. */
export function useLocationList() {
  const api = useApi();
  const query = useQuery({
    queryKey: ["locations"],
    queryFn: () => take(api.GET("/v1/locations")),
    staleTime: 60_000,
  });
  return query.data?.items ?? [];
}

/** Names of the brand's locations by id. */
export function useLocations(): (id: string) => string {
  const locations = useLocationList();
  return (id) => locations.find((location) => location.id === id)?.name ?? `…${id.slice(-8)}`;
}

/** Changes what is on hand, with a reason. */
export function AdjustStock({ level }: { readonly level: Level }) {
  const api = useApi();
  const [quantity, setQuantity] = useState<string | number>(1);
  const [reason, setReason] = useState<(typeof reasons)[number]>("received");
  const [reference, setReference] = useState("");
  const adjust = useChange({
    run: () =>
      take(
        api.POST("/v1/stock/adjustments", {
          body: {
            id: newId(),
            reason,
            ...(reference ? { reference } : {}),
            lines: [
              {
                variantId: level.variantId,
                locationId: level.locationId,
                quantity: Number(quantity),
              },
            ],
          },
        }),
      ),
    done: "Stock adjusted",
    touches,
  });
  return (
    <Ask
      label="Adjust"
      size="compact-sm"
      title="Adjust the stock"
      confirm="Adjust"
      onConfirm={() => adjust.mutateAsync(undefined)}
    >
      <NumberInput
        label="Change"
        description={`${level.onHand} on hand now; negative takes away`}
        value={quantity}
        onChange={setQuantity}
        allowDecimal={false}
        data-autofocus
      />
      <Select
        label="Reason"
        data={[...reasons]}
        value={reason}
        onChange={(value) => value && setReason(value as typeof reason)}
        allowDeselect={false}
      />
      <TextInput
        label="Reference"
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
      />
    </Ask>
  );
}

/** Moves stock to another location. */
export function TransferStock({ level }: { readonly level: Level }) {
  const api = useApi();
  const others = useLocationList().filter(({ id }) => id !== level.locationId);
  const [to, setTo] = useState<string | null>(null);
  const [quantity, setQuantity] = useState<string | number>(1);
  const transfer = useChange({
    run: () =>
      take(
        api.POST("/v1/stock/transfers", {
          body: {
            id: newId(),
            from: level.locationId,
            to: to ?? others[0]?.id ?? "",
            lines: [{ variantId: level.variantId, quantity: Number(quantity) }],
          },
        }),
      ),
    done: "Stock moved",
    touches,
  });
  if (others.length === 0) return null;
  return (
    <Ask
      label="Transfer"
      size="compact-sm"
      title="Move to another location"
      confirm="Move"
      onConfirm={() => transfer.mutateAsync(undefined)}
    >
      <Select
        label="To"
        data={others.map(({ id, name }) => ({ value: id, label: name }))}
        value={to ?? others[0]?.id ?? null}
        onChange={setTo}
        allowDeselect={false}
      />
      <NumberInput
        label="Quantity"
        min={1}
        max={level.available}
        value={quantity}
        onChange={setQuantity}
        allowDecimal={false}
      />
    </Ask>
  );
}
