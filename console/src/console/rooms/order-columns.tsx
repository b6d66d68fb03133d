import type { paths } from "@brandos/sdk";
import { Link } from "react-router";
import type { Column } from "../parts/DataTable.tsx";
import { Money, Status, Time } from "../parts/show.tsx";

type OrderPage = paths["/v1/orders"]["get"]["responses"]["2XX"]["content"]["application/json"];

/** An order as lists show it. */
export type OrderRow = OrderPage["items"][number];

/** Columns of tables of orders. */
export const orderColumns: readonly Column<OrderRow>[] = [
  {
    name: "Order",
    cell: ({ id, number }) => <Link to={`/orders/${id}`}>#{number}</Link>,
    sort: ({ number }) => number,
  },
  { name: "Status", cell: ({ status }) => <Status value={status} />, sort: (row) => row.status },
  {
    name: "Customer",
    cell: ({ email }) => <div className="wide">{email ?? "–"}</div>,
    minor: true,
    sort: (row) => row.email ?? "",
  },
  {
    name: "Items",
    cell: ({ itemQuantity }) => itemQuantity,
    right: true,
    minor: true,
    sort: (row) => row.itemQuantity,
  },
  {
    name: "Total",
    cell: ({ total }) => <Money of={total} />,
    right: true,
    sort: (row) => row.total.amountMinor,
  },
  {
    name: "Placed",
    cell: ({ placedAt }) => <Time at={placedAt} />,
    right: true,
    sort: (row) => row.placedAt,
  },
];
