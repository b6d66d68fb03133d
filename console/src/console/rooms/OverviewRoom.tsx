import { take } from "@brandos/sdk";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { formatMoney } from "../../ui/money.ts";
import { useAccount, useApi } from "../api.tsx";
import { useLive } from "../live.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Time, words } from "../parts/show.tsx";
import type { Overview } from "../types.ts";
import { HealthTile } from "./HealthTile.tsx";
import { orderColumns } from "./order-columns.tsx";

/** How the brand does, now. */
export function OverviewRoom() {
  const api = useApi();
  const { name, slug } = useAccount();
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: async () => (await take(api.GET("/v1/overview"))) as Overview,
    refetchInterval: 15_000,
  });
  const orders = useQuery({
    queryKey: ["orders", "latest"],
    queryFn: () => take(api.GET("/v1/orders", { params: { query: { limit: 8 } } })),
  });
  const shop = slug && (
    <a href={`/shop/${slug}`} target="_blank" rel="noreferrer">
      Open the shop
    </a>
  );
  return (
    <Page title={name} hint="Today, as it happens" actions={shop}>
      <Loaded query={overview}>{(figures) => <Figures of={figures} />}</Loaded>
      <div className="columns">
        <Panel title="Latest orders" actions={<Link to="/orders">All orders</Link>} flush>
          <DataTable
            label="Latest orders"
            rows={orders.data?.items ?? []}
            columns={orderColumns}
            rowKey={(order) => order.id}
            to={(order) => `/orders/${order.id}`}
            state={orders}
            empty={{ title: "No orders yet", hint: "They appear here the moment they are placed." }}
          />
        </Panel>
        <Happenings />
      </div>
    </Page>
  );
}

function Figures({ of }: { readonly of: Overview }) {
  const lastHour = of.perMinute.reduce((sum, count) => sum + count, 0);
  const recent = of.perMinute.slice(-5).reduce((sum, count) => sum + count, 0) / 5;
  const none = of.today.length === 0 ? [{ currency: "", orders: 0, revenueMinor: 0 }] : of.today;
  return (
    <>
      <div className="tiles">
        {none.map(({ currency, orders, revenueMinor }) => (
          <div className="tile" key={currency}>
            <span>Revenue today</span>
            <strong>{currency ? formatMoney(revenueMinor, currency) : "–"}</strong>
            <small>
              {orders} {orders === 1 ? "order" : "orders"}, cancelled ones left out
            </small>
          </div>
        ))}
        <div className="tile">
          <span>Orders a minute</span>
          <strong>{recent.toFixed(1)}</strong>
          <small>over five minutes; {lastHour} in the last hour</small>
        </div>
        <DeadTile />
        <HealthTile />
      </div>
      <Panel
        title="Orders in the last hour"
        actions={
          <span className="chips">
            {Object.entries(of.statuses).map(([status, count]) => (
              <Link key={status} className="chip" to={`/orders?status=${status}`}>
                {words(status)} <b className="number">{count}</b>
              </Link>
            ))}
          </span>
        }
      >
        <Minutes counts={of.perMinute} />
      </Panel>
    </>
  );
}

function Minutes({ counts }: { readonly counts: readonly number[] }) {
  const highest = Math.max(...counts, 1);
  return (
    <div className="bars" role="img" aria-label={`Orders per minute, at most ${highest}`}>
      {counts.map((count, index) => (
        <i
          // biome-ignore lint/suspicious/noArrayIndexKey: a minute is its place
          key={index}
          className={count === 0 ? "zero" : ""}
          style={{ height: `${(count / highest) * 100}%` }}
          title={`${counts.length - 1 - index} min ago: ${count}`}
        />
      ))}
    </div>
  );
}

function DeadTile() {
  const api = useApi();
  const dead = useQuery({
    queryKey: ["jobs", "dead", "count"],
    queryFn: () => take(api.GET("/v1/jobs/dead-letters", { params: { query: { limit: 100 } } })),
    refetchInterval: 15_000,
  });
  const count = dead.data?.items.length;
  return (
    <div className="tile">
      <span>Failed jobs</span>
      <strong>{count === undefined ? "–" : count === 100 ? "100+" : count}</strong>
      <small>
        {count ? <Link to="/jobs?state=dead">See and retry them</Link> : "nothing to do"}
      </small>
    </div>
  );
}

function Happenings() {
  const { events } = useLive();
  return (
    <Panel title="Happening now" actions={<Link to="/events">Events</Link>} flush>
      {events.length === 0 ? (
        <div className="nothing">
          <strong>Quiet</strong>Events show up here as they happen.
        </div>
      ) : (
        <ul className="feed">
          {events.slice(0, 14).map((event) => (
            <li key={event.id}>
              <span className="grow">{event.type}</span>
              <Time at={event.recordedAt} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
