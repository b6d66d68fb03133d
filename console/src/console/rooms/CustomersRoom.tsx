import { take } from "@brandos/sdk";
import { TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { Icon } from "../../ui/Icon.tsx";
import { useApi, usePages } from "../api.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Facts, Status, Time, words } from "../parts/show.tsx";
import { orderColumns } from "./order-columns.tsx";

/** Everybody who bought, or left a name. */
export function CustomersRoom() {
  const api = useApi();
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text.trim(), 250);
  const email = search.includes("@") ? search : undefined;
  const { query, items } = usePages(["customers", email], (cursor) =>
    take(api.GET("/v1/customers", { params: { query: { email, cursor, limit: 30 } } })),
  );
  return (
    <Page title="Customers">
      <search className="filters">
        <TextInput
          type="search"
          aria-label="Find by email"
          placeholder="Whole email address"
          leftSection={<Icon name="search" size={15} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: "1 1 260px" }}
        />
      </search>
      <Panel flush>
        <DataTable
          label="Customers"
          rows={items}
          rowKey={(customer) => customer.id}
          to={(customer) => `/customers/${customer.id}`}
          state={query}
          empty={{ title: "Nobody here" }}
          columns={[
            {
              name: "Email",
              cell: (customer) => <Link to={`/customers/${customer.id}`}>{customer.email}</Link>,
              sort: (customer) => customer.email,
            },
            {
              name: "Name",
              cell: (customer) => customer.name ?? "–",
              sort: (customer) => customer.name ?? "",
            },
            {
              name: "Kind",
              cell: (customer) => (customer.isGuest ? "Guest" : "Account"),
              minor: true,
            },
            {
              name: "Since",
              cell: (customer) => <Time at={customer.createdAt} />,
              right: true,
              sort: (customer) => customer.createdAt,
            },
          ]}
        />
      </Panel>
    </Page>
  );
}

/** One customer, with orders, addresses and consents. */
export function CustomerRoom() {
  const { id = "" } = useParams();
  const api = useApi();
  const customer = useQuery({
    queryKey: ["customers", "one", id],
    queryFn: () => take(api.GET("/v1/customers/{id}", { params: { path: { id } } })),
  });
  const { query, items } = usePages(["orders", "of", id], (cursor) =>
    take(api.GET("/v1/orders", { params: { query: { customerId: id, cursor, limit: 20 } } })),
  );
  return (
    <Loaded query={customer}>
      {(found) => (
        <Page
          title={found.name ?? found.email}
          mark={found.isGuest ? <Status value="guest" /> : undefined}
          back={{ to: "/customers", name: "Customers" }}
        >
          <div className="columns">
            <Panel title="Orders" flush>
              <DataTable
                label="Orders"
                rows={items}
                columns={orderColumns}
                rowKey={(order) => order.id}
                to={(order) => `/orders/${order.id}`}
                state={query}
                empty={{ title: "No orders yet" }}
              />
            </Panel>
            <div>
              <Panel title="Contact">
                <Facts
                  of={{
                    Email: found.email,
                    Phone: found.phone ?? undefined,
                    Language: found.locale ?? undefined,
                    Since: <Time at={found.createdAt} />,
                  }}
                />
              </Panel>
              <Panel title="Addresses">
                {found.addresses.length === 0 && <span className="muted">None kept.</span>}
                {found.addresses.map((address) => (
                  <p key={address.id}>
                    {address.name}, {address.line1}, {address.postalCode} {address.city},{" "}
                    {address.countryCode}
                  </p>
                ))}
              </Panel>
              <Panel title="Consents">
                {found.consents.length === 0 && <span className="muted">None recorded.</span>}
                {found.consents.map((consent) => (
                  <p key={consent.id}>
                    {words(consent.purpose)}: {consent.state}, <Time at={consent.at} />
                  </p>
                ))}
              </Panel>
            </div>
          </div>
        </Page>
      )}
    </Loaded>
  );
}
