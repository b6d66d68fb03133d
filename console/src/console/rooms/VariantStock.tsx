import { take } from "@brandos/sdk";
import { useQuery } from "@tanstack/react-query";
import { useApi } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { AdjustStock, useLocations } from "./stock-actions.tsx";

/** How much there is of a variant, by location. */
export function VariantStock({ variantId }: { readonly variantId: string }) {
  const api = useApi();
  const nameOf = useLocations();
  const stock = useQuery({
    queryKey: ["stock", "of", variantId],
    queryFn: () => take(api.GET("/v1/stock", { params: { query: { variantId } } })),
  });
  return (
    <DataTable
      label="Stock"
      rows={stock.data?.items ?? []}
      rowKey={(level) => level.locationId}
      state={stock}
      empty={{ title: "Never stocked" }}
      columns={[
        { name: "Location", cell: (level) => nameOf(level.locationId) },
        { name: "On hand", cell: (level) => level.onHand, right: true },
        { name: "Reserved", cell: (level) => level.reserved, right: true },
        { name: "Available", cell: (level) => <b>{level.available}</b>, right: true },
        { name: "", cell: (level) => <AdjustStock level={level} />, right: true },
      ]}
    />
  );
}
