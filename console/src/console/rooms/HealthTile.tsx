import { useQuery } from "@tanstack/react-query";
import { readHealth } from "../health.ts";

/** Whether the node answers and its database too. */
export function HealthTile() {
  const health = useQuery({ queryKey: ["health"], queryFn: readHealth, refetchInterval: 10_000 });
  const { data } = health;
  const said = health.isError
    ? "Not reachable"
    : data === undefined
      ? "…"
      : data.ready
        ? "Ready"
        : "Not ready";
  const slowest = Math.max(0, ...(data?.dependencies ?? []).map(({ latencyMs }) => latencyMs));
  return (
    <div className="tile">
      <span>Health</span>
      <strong>{said}</strong>
      <small>{data ? `database answers in ${slowest.toFixed(1)} ms` : "asking the node"}</small>
    </div>
  );
}
