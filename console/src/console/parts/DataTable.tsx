import { Button } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { Shade, Trouble } from "./Loaded.tsx";

/** A column of a table. */
export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ReactNode;
  readonly right?: boolean;
  /** Left out on narrow screens. */
  readonly minor?: boolean;
  /** Makes the column sortable, over the rows that are loaded. */
  readonly sort?: (row: Row) => string | number;
}

interface DataTableProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly rowKey: (row: Row) => string;
  /** Room that a row leads to. */
  readonly to?: (row: Row) => string;
  readonly empty: { readonly title: string; readonly hint?: string };
  readonly state?: TableState;
  readonly foot?: ReactNode;
}

/** How loading goes; queries with pages fit. */
export interface TableState {
  readonly isPending: boolean;
  readonly isError: boolean;
  readonly error: unknown;
  readonly refetch: () => unknown;
  readonly hasNextPage?: boolean;
  readonly isFetchingNextPage?: boolean;
  readonly fetchNextPage?: () => unknown;
}

/** Rows under sortable headings. Arrow keys go up and down, Enter opens. */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { rows, columns, state, empty } = props;
  const [order, setOrder] = useState<{ readonly name: string; readonly up: boolean }>();
  const sorted = useMemo(() => sortRows(rows, columns, order), [rows, columns, order]);
  if (state?.isError && rows.length === 0) {
    return <Trouble error={state.error} retry={() => void state.refetch()} />;
  }
  if (state?.isPending) return <Shade />;
  if (rows.length === 0) {
    return (
      <div className="nothing">
        <strong>{empty.title}</strong>
        {empty.hint}
      </div>
    );
  }
  return (
    <>
      <div className="table-wrap">
        <table className="table" aria-label={props.label}>
          <thead>
            <tr>
              {columns.map((column) => (
                <Heading key={column.name} column={column} order={order} setOrder={setOrder} />
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <Line key={props.rowKey(row)} row={row} columns={columns} to={props.to?.(row)} />
            ))}
          </tbody>
        </table>
      </div>
      <Foot count={rows.length} state={state} foot={props.foot} />
    </>
  );
}

interface Order {
  readonly name: string;
  readonly up: boolean;
}

function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: Order | undefined,
): readonly Row[] {
  const by = columns.find(({ name }) => name === order?.name)?.sort;
  if (!order || !by) return rows;
  const sign = order.up ? 1 : -1;
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (typeof x === "string" && typeof y === "string") return sign * x.localeCompare(y);
    return sign * (Number(x) - Number(y));
  });
}

function Heading<Row>(props: {
  readonly column: Column<Row>;
  readonly order: Order | undefined;
  readonly setOrder: (order: Order | undefined) => void;
}) {
  const { column, order, setOrder } = props;
  const mine = order?.name === column.name ? order : undefined;
  const turn = () => {
    if (!mine) setOrder({ name: column.name, up: true });
    else setOrder(mine.up ? { name: column.name, up: false } : undefined);
  };
  const className = `${column.right ? "right" : ""} ${column.minor ? "hide-narrow" : ""}`;
  const sorted = mine ? (mine.up ? "ascending" : "descending") : "none";
  if (!column.sort) return <th className={className}>{column.name}</th>;
  return (
    <th className={className} aria-sort={sorted}>
      <button type="button" onClick={turn}>
        {column.name} {mine ? (mine.up ? "↑" : "↓") : ""}
      </button>
    </th>
  );
}

function Line<Row>(props: {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly to: string | undefined;
}) {
  const { row, columns, to } = props;
  const navigate = useNavigate();
  const cells = columns.map((column) => (
    <td
      key={column.name}
      className={`${column.right ? "right" : ""} ${column.minor ? "hide-narrow" : ""}`}
    >
      {column.cell(row)}
    </td>
  ));
  if (to === undefined) return <tr>{cells}</tr>;
  return (
    <tr
      className="goes"
      tabIndex={0}
      onClick={(event) => {
        const target = event.target as HTMLElement;
        if (!target.closest("a, button, input")) void navigate(to);
      }}
      onKeyDown={(event) => walk(event, () => void navigate(to))}
    >
      {cells}
    </tr>
  );
}

function walk(event: KeyboardEvent<HTMLTableRowElement>, open: () => void): void {
  if (event.target !== event.currentTarget) return;
  const row = event.currentTarget;
  if (event.key === "Enter") open();
  const neighbour =
    event.key === "ArrowDown"
      ? row.nextElementSibling
      : event.key === "ArrowUp"
        ? row.previousElementSibling
        : undefined;
  if (!(neighbour instanceof HTMLElement)) return;
  event.preventDefault();
  neighbour.focus();
}

function Foot(props: {
  readonly count: number;
  readonly state: TableState | undefined;
  readonly foot: ReactNode;
}) {
  const { count, state, foot } = props;
  if (!state?.hasNextPage && !foot && count < 20) return null;
  return (
    <div className="table-foot">
      <span>{foot ?? `${count.toLocaleString()} shown`}</span>
      {state?.hasNextPage && (
        <Button
          size="xs"
          variant="default"
          loading={state.isFetchingNextPage ?? false}
          onClick={() => void state.fetchNextPage?.()}
        >
          Show more
        </Button>
      )}
    </div>
  );
}
