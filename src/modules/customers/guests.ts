import { assert, present } from "../../kernel/assert.ts";
import { newId } from "../../kernel/ids.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type { CustomerId, GuestInput } from "./contract.ts";
import { foldEmail, isEmail } from "./customer.ts";
import { findIdsByEmail, insertCustomers } from "./store.ts";

/**
 * Finds or makes the customers of checkouts, by email, in the caller's transaction: two statements in
 * one round trip for any number of guests. Known customers are left as they are. Concurrent calls
 * for one email make one customer.
 *
 * @param guests their emails were checked when they came in
 * @returns one id per guest, in order; equal emails give equal ids
 */
export async function upsertGuests(
  tx: TenantTx,
  origin: EventOrigin,
  guests: readonly GuestInput[],
): Promise<readonly CustomerId[]> {
  const byEmail = new Map(guests.map((guest) => [foldEmail(guest.email), guest]));
  for (const email of byEmail.keys()) assert(isEmail(email), "a guest has an email address");
  if (byEmail.size === 0) return [];
  const made = [...byEmail].map(([email, guest]) => newGuest(email, guest));
  const [added, ids] = await Promise.all([
    insertCustomers(tx, made),
    // Sees those that another transaction committed while the insert waited for it.
    findIdsByEmail(tx, [...byEmail.keys()]),
  ]);
  appendEvents(
    tx,
    origin,
    made.filter(({ id }) => added.has(id)).map(({ id }) => createdEvent(id)),
  );
  return guests.map(({ email }) => present(ids.get(foldEmail(email)), "the customer of a guest"));
}

function newGuest(email: string, { name, phone, locale }: GuestInput) {
  return {
    id: newId<"customer">(),
    email,
    name: name ?? null,
    phone: phone ?? null,
    locale: locale ?? null,
    isGuest: true,
    metadata: {},
    version: 1,
  };
}

function createdEvent(customerId: CustomerId) {
  return {
    type: "customers.customer_created",
    version: 1,
    stream: `customer:${customerId}`,
    data: { customerId, isGuest: true, version: 1, changed: [] },
  };
}
