import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { readHealth, readMetrics, type Sample } from "../health.ts";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Status, Time, words } from "../parts/show.tsx";

/** How the node that answers is doing. */
export function SystemRoom() {
  const metrics = useQuery({
    queryKey: ["metrics"],
    queryFn: readMetrics,
    refetchInterval: 5_000,
    retry: false,
  });
  return (
    <Page title="System" hint="The node that answers you, since it started">
      <Dependencies />
      <Loaded query={metrics}>{(samples) => <Figures samples={samples} />}</Loaded>
    </Page>
  );
}

function Dependencies() {
  const health = useQuery({ queryKey: ["health"], queryFn: readHealth, refetchInterval: 5_000 });
  return (
    <Panel title="Dependencies" flush>
      <DataTable
        label="Dependencies"
        rows={health.data?.dependencies ?? []}
        rowKey={({ name }) => name}
        state={health}
        empty={{ title: "None" }}
        columns={[
          { name: "Name", cell: ({ name }) => <span className="mono">{name}</span> },
          {
            name: "State",
            cell: ({ ok, required, reason = "failed" }) =>
              ok ? (
                <Status value="ready" />
              ) : required ? (
                reason
              ) : (
                `${reason}; the node serves without it`
              ),
          },
          {
            name: "Answers in",
            cell: ({ latencyMs }) => `${latencyMs.toFixed(1)} ms`,
            right: true,
          },
          { name: "Asked", cell: () => <Time at={health.data?.checkedAt} />, right: true },
        ]}
      />
    </Panel>
  );
}

interface RouteFigures {
  readonly route: string;
  readonly count: number;
  readonly errors: number;
  readonly meanMs: number;
}

/** Sums the requests by method and route. */
function routesOf(samples: readonly Sample[]): readonly RouteFigures[] {
  const sums = new Map<string, { count: number; errors: number; seconds: number }>();
  for (const { name, labels, value } of samples) {
    const kind = /^brandos_http_request_duration_seconds_(count|sum)$/.exec(name)?.[1];
    if (!kind) continue;
    const route = `${labels["method"]} ${labels["route"]}`;
    const sum = sums.get(route) ?? { count: 0, errors: 0, seconds: 0 };
    if (kind === "sum") sum.seconds += value;
    else sum.count += value;
    if (kind === "count" && Number(labels["status"]) >= 500) sum.errors += value;
    sums.set(route, sum);
  }
  return [...sums]
    .map(([route, { count, errors, seconds }]) => ({
      route,
      count,
      errors,
      meanMs: count === 0 ? 0 : (seconds * 1_000) / count,
    }))
    .sort((a, b) => b.count - a.count);
}

function Figures({ samples }: { readonly samples: readonly Sample[] }) {
  const routes = useMemo(() => routesOf(samples), [samples]);
  const figure = (name: string) => samples.find((sample) => sample.name === name)?.value ?? 0;
  const requests = routes.reduce((sum, { count }) => sum + count, 0);
  return (
    <>
      <div className="tiles">
        <Tile name="Requests" value={requests.toLocaleString()} />
        <Tile name="In flight" value={String(figure("brandos_http_in_flight"))} />
        <Tile
          name="Memory"
          value={`${Math.round(figure("process_resident_memory_bytes") / 1e6)} MB`}
        />
        <Tile
          name="Event loop delay"
          value={`${figure("brandos_event_loop_delay_ms").toFixed(1)} ms`}
        />
      </div>
      <Pools samples={samples} />
      <Routes of={routes} />
    </>
  );
}

function Tile({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div className="tile">
      <span>{name}</span>
      <strong>{value}</strong>
    </div>
  );
}

const poolStates = ["busy", "idle", "waiting", "max"] as const;

/** One row per pool, one column per state of its connections. */
function Pools({ samples }: { readonly samples: readonly Sample[] }) {
  const pools = Map.groupBy(
    samples.filter(({ name }) => name === "brandos_db_pool_connections"),
    ({ labels }) => labels["pool"] ?? "",
  );
  const countOf = (pool: string, state: string) =>
    pools.get(pool)?.find(({ labels }) => labels["state"] === state)?.value ?? 0;
  return (
    <Panel title="Database connections" flush>
      <DataTable
        label="Database connections"
        rows={[...pools.keys()]}
        rowKey={(pool) => pool}
        empty={{ title: "No pool reports" }}
        columns={[
          { name: "Pool", cell: (pool) => <span className="mono">{pool}</span> },
          ...poolStates.map((state) => ({
            name: words(state),
            cell: (pool: string) => countOf(pool, state),
            right: true,
          })),
        ]}
      />
    </Panel>
  );
}

function Routes({ of }: { readonly of: readonly RouteFigures[] }) {
  return (
    <Panel title="Requests by route" flush>
      <DataTable
        label="Requests by route"
        rows={of}
        rowKey={({ route }) => route}
        empty={{ title: "No requests yet" }}
        columns={[
          {
            name: "Route",
            cell: ({ route }) => <span className="mono">{route}</span>,
            sort: ({ route }) => route,
          },
          {
            name: "Requests",
            cell: ({ count }) => count.toLocaleString(),
            right: true,
            sort: ({ count }) => count,
          },
          {
            name: "Failed",
            cell: ({ errors }) => errors,
            right: true,
            sort: ({ errors }) => errors,
          },
          {
            name: "Mean",
            cell: ({ meanMs }) => `${meanMs.toFixed(1)} ms`,
            right: true,
            sort: ({ meanMs }) => meanMs,
          },
        ]}
      />
    </Panel>
  );
}
