import type { Clock } from "../../kernel/clock.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import {
  type CommandDeps,
  type CustomerChange,
  createCustomer,
  deleteAddress,
  type Outcome,
  recordConsents,
  saveAddress,
  updateCustomer,
} from "./commands.ts";
import type {
  AddressId,
  Consent,
  Customer,
  CustomerAddress,
  CustomerId,
  GuestInput,
  NewAddress,
  NewConsent,
  NewCustomer,
} from "./contract.ts";
import { foldEmail } from "./customer.ts";
import { upsertGuests } from "./guests.ts";
import {
  type CustomerListing,
  currentConsents,
  findCustomer,
  listAddresses,
  listConsents,
  listCustomers,
} from "./store.ts";

export type { CustomerChange } from "./commands.ts";
export { foldEmail, isEmail } from "./customer.ts";
export { customerRoutes } from "./routes.ts";
export type { CustomerListing } from "./store.ts";

/** What customers need from outside; `app.ts` provides it. */
export interface CustomersDeps {
  readonly db: Db;
  readonly clock: Clock;
}

/** A customer with the book of addresses and the consents that hold. */
export interface CustomerProfile {
  readonly customer: Customer;
  readonly addresses: readonly CustomerAddress[];
  readonly consents: readonly Consent[];
}

/** What the rest of the system may ask of customers. */
export interface Customers {
  create(ctx: Context, command: NewCustomer): Outcome<Customer>;
  update(ctx: Context, id: CustomerId, change: CustomerChange): Outcome<Customer>;
  find(tenantId: TenantId, id: CustomerId): Promise<CustomerProfile | undefined>;
  list(tenantId: TenantId, listing: CustomerListing): Promise<readonly Customer[]>;
  saveAddress(ctx: Context, id: CustomerId, address: NewAddress): Outcome<CustomerAddress>;
  deleteAddress(ctx: Context, id: CustomerId, addressId: AddressId): Outcome<void>;
  recordConsents(
    ctx: Context,
    id: CustomerId,
    consents: readonly NewConsent[],
  ): Outcome<readonly Consent[]>;
  /** Newest first, at most 1,000. */
  listConsents(tenantId: TenantId, id: CustomerId): Promise<readonly Consent[]>;
  /** Finds or makes customers by email, in the caller's transaction. @returns ids in order */
  upsertGuests(
    tx: TenantTx,
    origin: EventOrigin,
    guests: readonly GuestInput[],
  ): Promise<readonly CustomerId[]>;
}

/** Builds the module. */
export function createCustomers({ db, clock }: CustomersDeps): Customers {
  const deps: CommandDeps = { work: createUnitOfWork(db), clock };
  const name = "customers.read";
  return {
    create: (ctx, command) => createCustomer(deps, ctx, command),
    update: (ctx, id, change) => updateCustomer(deps, ctx, id, change),
    find: (tenantId, id) =>
      db.read(
        tenantId,
        async (tx) => {
          const [customer, addresses, consents] = await Promise.all([
            findCustomer(tx, id),
            listAddresses(tx, id),
            currentConsents(tx, id),
          ]);
          return customer && { customer, addresses, consents };
        },
        { name },
      ),
    list: (tenantId, { emailPrefix, ...listing }) =>
      db.read(
        tenantId,
        (tx) =>
          listCustomers(tx, {
            ...listing,
            emailPrefix: emailPrefix === undefined ? undefined : foldEmail(emailPrefix),
          }),
        { name },
      ),
    saveAddress: (ctx, id, address) => saveAddress(deps, ctx, id, address),
    deleteAddress: (ctx, id, addressId) => deleteAddress(deps, ctx, id, addressId),
    recordConsents: (ctx, id, consents) => recordConsents(deps, ctx, id, consents),
    listConsents: (tenantId, id) =>
      db.read(tenantId, (tx) => listConsents(tx, id, 1_000), { name }),
    upsertGuests,
  };
}
