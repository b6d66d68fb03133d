import { type paths, take } from "@brandos/sdk";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { useApi } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Facts, Money, ShortId, Status, Time, words } from "../parts/show.tsx";
import { OrderActions } from "./OrderActions.tsx";
import { Timeline } from "./Timeline.tsx";

/** An order with everything in it. */
export type Order =
  paths["/v1/orders/{id}"]["get"]["responses"]["2XX"]["content"]["application/json"];

/** A payment as lists show it. */
export type Payment =
  paths["/v1/payments"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

/** One order: what is in it, what can be done, and its whole story. */
export function OrderRoom() {
  const { id = "" } = useParams();
  const api = useApi();
  const order = useQuery({
    queryKey: ["order", id],
    queryFn: () => take(api.GET("/v1/orders/{id}", { params: { path: { id } } })),
  });
  const payments = useQuery({
    queryKey: ["payments", "of", id],
    queryFn: () => take(api.GET("/v1/payments", { params: { query: { orderId: id } } })),
  });
  const paid = payments.data?.items ?? [];
  return (
    <Loaded query={order}>
      {(found) => (
        <Page
          title={`Order #${found.number}`}
          mark={<Status value={found.status} />}
          hint={
            <>
              Placed <Time at={found.placedAt} /> · {found.itemQuantity}{" "}
              {found.itemQuantity === 1 ? "item" : "items"} · <Money of={found.total} />
            </>
          }
          back={{ to: "/orders", name: "Orders" }}
          actions={<OrderActions order={found} payments={paid} />}
        >
          <div className="columns">
            <div>
              <Lines order={found} />
              <Timeline orderId={found.id} />
            </div>
            <div>
              <Buyer order={found} />
              <Payments of={paid} />
              <Parcels order={found} />
            </div>
          </div>
        </Page>
      )}
    </Loaded>
  );
}

function Lines({ order }: { readonly order: Order }) {
  const includes = order.priceIncludesTax ? "Tax, included" : "Tax";
  return (
    <Panel title="Lines" flush>
      <DataTable
        label="Lines"
        rows={order.lines}
        rowKey={(line) => String(line.lineNo)}
        columns={[
          {
            name: "Product",
            cell: (line) => (
              <>
                {line.title} <div className="muted mono">{line.sku}</div>
              </>
            ),
          },
          {
            name: "Price",
            cell: (line) => <Money of={line.unitPrice} />,
            right: true,
            minor: true,
          },
          {
            name: "Quantity",
            cell: (line) => (
              <>
                {line.quantity}
                {line.returnedQuantity > 0 && (
                  <div className="muted">{line.returnedQuantity} returned</div>
                )}
              </>
            ),
            right: true,
          },
          { name: "Total", cell: (line) => <Money of={line.total} />, right: true },
        ]}
        empty={{ title: "No lines" }}
      />
      <div className="sums">
        <span>Subtotal</span>
        <Money of={order.subtotal} />
        {order.discount.amountMinor > 0 && (
          <>
            <span>
              Discount {order.couponCodes.length > 0 && `(${order.couponCodes.join(", ")})`}
            </span>
            <Money of={{ ...order.discount, amountMinor: -order.discount.amountMinor }} />
          </>
        )}
        <span>{order.shippingMethod?.name ?? "Shipping"}</span>
        <Money of={order.shipping} />
        <span className="muted">{includes}</span>
        <Money of={order.tax} />
        <span className="total">Total</span>
        <span className="total">
          <Money of={order.total} />
        </span>
        {order.refunded.amountMinor > 0 && (
          <>
            <span>Refunded</span>
            <Money of={{ ...order.refunded, amountMinor: -order.refunded.amountMinor }} />
          </>
        )}
      </div>
    </Panel>
  );
}

function Buyer({ order }: { readonly order: Order }) {
  const to = order.shippingAddress;
  return (
    <Panel title="Customer">
      <Facts
        of={{
          Email:
            order.customerId && order.email ? (
              <Link to={`/customers/${order.customerId}`}>{order.email}</Link>
            ) : (
              (order.email ?? "–")
            ),
          "Ship to": to && (
            <address style={{ fontStyle: "normal" }}>
              {[to.name, to.line1, to.line2, `${to.postalCode ?? ""} ${to.city ?? ""}`.trim()]
                .filter(Boolean)
                .map((line) => (
                  <div key={line}>{line}</div>
                ))}
              <div>{to.countryCode}</div>
            </address>
          ),
          Reference: order.externalReference ?? undefined,
        }}
      />
    </Panel>
  );
}

function Payments({ of }: { readonly of: readonly Payment[] }) {
  return (
    <Panel title="Payment">
      {of.length === 0 && <span className="muted">There is none.</span>}
      <div className="stack">
        {of.map((payment) => (
          <Facts
            key={payment.id}
            of={{
              State: <Status value={payment.status} />,
              Provider: words(payment.provider),
              Card: payment.instrument
                ? `${words(payment.instrument.brand)} ending in ${payment.instrument.last4}`
                : undefined,
              Captured: <Money of={payment.captured} />,
              Refunded:
                payment.refunded.amountMinor > 0 ? <Money of={payment.refunded} /> : undefined,
              Reason: payment.failureCode ? words(payment.failureCode) : undefined,
              Payment: <ShortId id={payment.id} />,
            }}
          />
        ))}
      </div>
    </Panel>
  );
}

function Parcels({ order }: { readonly order: Order }) {
  if (order.fulfilments.length === 0 && order.returns.length === 0) return null;
  return (
    <Panel title="Parcels and returns">
      <div className="stack">
        {order.fulfilments.map((parcel) => (
          <div key={parcel.id}>
            <strong>Sent</strong> <Time at={parcel.createdAt} />
            <div className="muted">
              {[parcel.carrier, parcel.trackingCode].filter(Boolean).join(" · ") ||
                "without tracking"}
            </div>
          </div>
        ))}
        {order.returns.map((given) => (
          <div key={given.id}>
            <strong>Returned</strong> <Time at={given.createdAt} />
            <div className="muted">
              {given.lines.reduce((sum, line) => sum + line.quantity, 0)} items,{" "}
              <Money of={given.refund} /> {given.reason && `· ${given.reason}`}
            </div>
          </div>
        ))}
      </div>
    </Panel>
  );
}
