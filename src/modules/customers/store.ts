import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, joinFragments, sql } from "../../platform/db/sql.ts";
import type {
  AddressId,
  Consent,
  ConsentId,
  Customer,
  CustomerAddress,
  CustomerId,
} from "./contract.ts";

interface CustomerRow {
  readonly id: CustomerId;
  readonly email: string;
  readonly name: string | null;
  readonly phone: string | null;
  readonly locale: string | null;
  readonly is_guest: boolean;
  readonly metadata: Customer["metadata"];
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

interface AddressRow {
  readonly id: AddressId;
  readonly customer_id: CustomerId;
  readonly name: string;
  readonly company: string | null;
  readonly line1: string;
  readonly line2: string | null;
  readonly city: string;
  readonly region: string | null;
  readonly postal_code: string;
  readonly country_code: string;
  readonly phone: string | null;
  readonly is_default_shipping: boolean;
  readonly is_default_billing: boolean;
}

interface ConsentRow {
  readonly id: ConsentId;
  readonly customer_id: CustomerId;
  readonly purpose: string;
  readonly state: Consent["state"];
  readonly source: string;
  readonly at: Date;
}

const customerColumns = fragment`id, email, name, phone, locale, is_guest, metadata, version,
  created_at, updated_at`;
const addressColumns = fragment`id, customer_id, name, company, line1, line2, city, region,
  postal_code, country_code, phone, is_default_shipping, is_default_billing`;

/** A customer as it is written; times are the database's. */
export type CustomerContent = Omit<Customer, "createdAt" | "updatedAt">;

/**
 * Adds customers whose email is not there yet, in one statement.
 *
 * @param customers in any order; inserted by email, so that concurrent calls cannot deadlock
 * @returns ids of those that were added
 */
export async function insertCustomers(
  tx: TenantTx,
  customers: readonly CustomerContent[],
): Promise<ReadonlySet<CustomerId>> {
  const rows = await tx.rows<{ id: CustomerId }>(sql("customers.insert")`
    insert into customers (tenant_id, id, email, name, phone, locale, is_guest, metadata)
    select ${tx.tenantId}, c.* from unnest(${customers.map(({ id }) => id)}::uuid[],
      ${customers.map(({ email }) => email)}::text[], ${customers.map(({ name }) => name)}::text[],
      ${customers.map(({ phone }) => phone)}::text[], ${customers.map(({ locale }) => locale)}::text[],
      ${customers.map(({ isGuest }) => isGuest)}::boolean[],
      ${customers.map(({ metadata }) => JSON.stringify(metadata))}::jsonb[])
      as c (id, email, name, phone, locale, is_guest, metadata)
    order by c.email collate "C"
    on conflict do nothing
    returning id`);
  return new Set(rows.map(({ id }) => id));
}

/** Finds ids by folded emails; `offset 0` keeps it one look-up each, however old the statistics. */
export async function findIdsByEmail(
  tx: TenantTx,
  emails: readonly string[],
): Promise<ReadonlyMap<string, CustomerId>> {
  const rows = await tx.rows<{ id: CustomerId; email: string }>(sql("customers.ids_by_email")`
    select c.id, c.email from unnest(${emails}::text[]) as e (email) cross join lateral (
      select id, email from customers
      where tenant_id = ${tx.tenantId} and email = e.email offset 0) as c`);
  return new Map(rows.map(({ id, email }) => [email, id]));
}

/** Finds customers by id or folded email. */
export async function findByIdOrEmail(
  tx: TenantTx,
  ids: readonly string[],
  emails: readonly string[],
): Promise<readonly Customer[]> {
  const rows = await tx.rows<CustomerRow>(sql("customers.find_by_id_or_email")`
    select ${customerColumns} from customers where tenant_id = ${tx.tenantId}
      and (id = any(${ids}::uuid[]) or email = any(${emails}::text[]))`);
  return rows.map(toCustomer);
}

/** Finds one customer. */
export async function findCustomer(tx: TenantTx, id: CustomerId): Promise<Customer | undefined> {
  const row = await tx.maybe<CustomerRow>(sql("customers.find")`
    select ${customerColumns} from customers where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toCustomer(row);
}

/** Reads and locks one customer: changes of its addresses go through this lock too. */
export async function lockCustomer(tx: TenantTx, id: CustomerId): Promise<Customer | undefined> {
  const row = await tx.maybe<CustomerRow>(sql("customers.lock")`
    select ${customerColumns} from customers
    where tenant_id = ${tx.tenantId} and id = ${id} for update`);
  return row && toCustomer(row);
}

/** Writes a locked customer. @returns as it is now; undefined when its email is another's */
export async function updateCustomer(
  tx: TenantTx,
  customer: CustomerContent,
): Promise<Customer | undefined> {
  const row = await tx.maybe<CustomerRow>(sql("customers.update")`
    update customers set email = ${customer.email}, name = ${customer.name},
      phone = ${customer.phone}, locale = ${customer.locale}, is_guest = ${customer.isGuest},
      metadata = ${JSON.stringify(customer.metadata)}::jsonb, version = ${customer.version},
      updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${customer.id} and not exists (
      select from customers other
      where other.tenant_id = ${tx.tenantId} and other.email = ${customer.email}
        and other.id <> ${customer.id})
    returning ${customerColumns}`);
  return row && toCustomer(row);
}

/** Which customers to list. */
export interface CustomerListing {
  /** Beginning of the email, folded. */
  readonly emailPrefix?: string | undefined;
  readonly isGuest?: boolean | undefined;
  /** Id of the last one of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Lists customers, newest first. */
export async function listCustomers(
  tx: TenantTx,
  { emailPrefix, isGuest, after, limit }: CustomerListing,
): Promise<readonly Customer[]> {
  const conditions = [
    fragment`tenant_id = ${tx.tenantId}`,
    ...(emailPrefix
      ? [fragment`email >= ${emailPrefix} and email < ${`${emailPrefix}\u{10ffff}`}`]
      : []),
    ...(isGuest === undefined ? [] : [fragment`is_guest = ${isGuest}`]),
    ...(after ? [fragment`id < ${after}`] : []),
  ];
  const rows = await tx.rows<CustomerRow>(sql("customers.list")`
    select ${customerColumns} from customers
    where ${joinFragments(conditions, " and ")} order by id desc limit ${limit}`);
  return rows.map(toCustomer);
}

/** Lists a customer's addresses, oldest first. */
export async function listAddresses(
  tx: TenantTx,
  customerId: CustomerId,
): Promise<readonly CustomerAddress[]> {
  const rows = await tx.rows<AddressRow>(sql("customers.list_addresses")`
    select ${addressColumns} from customer_addresses
    where tenant_id = ${tx.tenantId} and customer_id = ${customerId} order by id`);
  return rows.map(toAddress);
}

/** Adds an address or writes it anew, with the commit; its customer is locked. */
export function saveAddress(tx: TenantTx, address: CustomerAddress): void {
  if (address.isDefaultShipping) {
    tx.write(sql("customers.clear_default_shipping")`
      update customer_addresses set is_default_shipping = false
      where tenant_id = ${tx.tenantId} and customer_id = ${address.customerId}
        and is_default_shipping and id <> ${address.id}`);
  }
  if (address.isDefaultBilling) {
    tx.write(sql("customers.clear_default_billing")`
      update customer_addresses set is_default_billing = false
      where tenant_id = ${tx.tenantId} and customer_id = ${address.customerId}
        and is_default_billing and id <> ${address.id}`);
  }
  tx.write(sql("customers.save_address")`
    insert into customer_addresses (tenant_id, id, customer_id, name, company, line1, line2, city,
      region, postal_code, country_code, phone, is_default_shipping, is_default_billing)
    values (${tx.tenantId}, ${address.id}, ${address.customerId}, ${address.name},
      ${address.company ?? null}, ${address.line1}, ${address.line2 ?? null}, ${address.city},
      ${address.region ?? null}, ${address.postalCode}, ${address.countryCode},
      ${address.phone ?? null}, ${address.isDefaultShipping}, ${address.isDefaultBilling})
    on conflict (tenant_id, id) do update set name = excluded.name, company = excluded.company,
      line1 = excluded.line1, line2 = excluded.line2, city = excluded.city,
      region = excluded.region, postal_code = excluded.postal_code,
      country_code = excluded.country_code, phone = excluded.phone,
      is_default_shipping = excluded.is_default_shipping,
      is_default_billing = excluded.is_default_billing, updated_at = now()
    where customer_addresses.customer_id = excluded.customer_id`);
}

/** Whose address an id names, whoever's it is. */
export async function findAddressOwner(
  tx: TenantTx,
  id: AddressId,
): Promise<CustomerId | undefined> {
  const row = await tx.maybe<{ customer_id: CustomerId }>(sql("customers.address_owner")`
    select customer_id from customer_addresses
    where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row?.customer_id;
}

/** Deletes a customer's address. @returns whether it was there */
export async function deleteAddress(
  tx: TenantTx,
  customerId: CustomerId,
  id: AddressId,
): Promise<boolean> {
  const count = await tx.run(sql("customers.delete_address")`
    delete from customer_addresses
    where tenant_id = ${tx.tenantId} and customer_id = ${customerId} and id = ${id}`);
  return count === 1;
}

/** Adds statements of consent; those whose id is there are left as they are. @returns the added ones */
export async function insertConsents(
  tx: TenantTx,
  consents: readonly Consent[],
): Promise<ReadonlySet<ConsentId>> {
  const rows = await tx.rows<{ id: ConsentId }>(sql("customers.insert_consents")`
    insert into customer_consents (tenant_id, customer_id, id, purpose, state, source, at)
    select ${tx.tenantId}, c."customerId", c.id, c.purpose, c.state, c.source, c.at
    from jsonb_to_recordset(${JSON.stringify(consents)}::jsonb) as c ("customerId" uuid, id uuid,
      purpose text, state text, source text, at timestamptz)
    on conflict (tenant_id, id) do nothing
    returning id`);
  return new Set(rows.map(({ id }) => id));
}

/** Lists a customer's statements of consent, newest first, at most `limit`. */
export async function listConsents(
  tx: TenantTx,
  customerId: CustomerId,
  limit: number,
): Promise<readonly Consent[]> {
  const rows = await tx.rows<ConsentRow>(sql("customers.list_consents")`
    select id, customer_id, purpose, state, source, at from customer_consents
    where tenant_id = ${tx.tenantId} and customer_id = ${customerId}
    order by at desc, id desc limit ${limit}`);
  return rows.map(toConsent);
}

/** The statements that hold: the newest of each purpose. */
export async function currentConsents(
  tx: TenantTx,
  customerId: CustomerId,
): Promise<readonly Consent[]> {
  const rows = await tx.rows<ConsentRow>(sql("customers.current_consents")`
    select distinct on (purpose) id, customer_id, purpose, state, source, at
    from customer_consents where tenant_id = ${tx.tenantId} and customer_id = ${customerId}
    order by purpose, at desc, id desc`);
  return rows.map(toConsent);
}

function toCustomer(row: CustomerRow): Customer {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    phone: row.phone,
    locale: row.locale,
    isGuest: row.is_guest,
    metadata: row.metadata,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function toAddress(row: AddressRow): CustomerAddress {
  return {
    id: row.id,
    customerId: row.customer_id,
    name: row.name,
    company: row.company,
    line1: row.line1,
    line2: row.line2,
    city: row.city,
    region: row.region,
    postalCode: row.postal_code,
    countryCode: row.country_code,
    phone: row.phone,
    isDefaultShipping: row.is_default_shipping,
    isDefaultBilling: row.is_default_billing,
  };
}

function toConsent(row: ConsentRow): Consent {
  const { id, purpose, state, source, at } = row;
  return { id, customerId: row.customer_id, purpose, state, source, at };
}
