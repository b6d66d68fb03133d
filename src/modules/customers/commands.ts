import type { Clock } from "../../kernel/clock.ts";
import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { DbError } from "../../platform/db/errors.ts";
import { appendEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import {
  type AddressId,
  addressesPerCustomerMax,
  type Consent,
  type Customer,
  type CustomerAddress,
  type CustomerEvents,
  type CustomerFailure,
  type CustomerId,
  type CustomerPatch,
  type NewAddress,
  type NewConsent,
  type NewCustomer,
} from "./contract.ts";
import {
  changeCustomer,
  changedFields,
  findAddressProblem,
  findConsentProblem,
  findPatchProblem,
  foldEmail,
} from "./customer.ts";
import {
  deleteAddress as deleteAddressRow,
  findAddressOwner,
  findByIdOrEmail,
  insertConsents,
  insertCustomers,
  listAddresses,
  lockCustomer,
  saveAddress as saveAddressRow,
  updateCustomer as updateCustomerRow,
} from "./store.ts";

/** What the commands need. */
export interface CommandDeps {
  readonly work: UnitOfWork;
  readonly clock: Clock;
}

/** What a command answers. */
export type Outcome<Value> = Promise<Result<Value, CustomerFailure | IdempotencyFailure>>;

/** Makes a customer, or makes the guest with this email a customer. */
export function createCustomer(
  { work }: CommandDeps,
  ctx: Context,
  command: NewCustomer,
): Outcome<Customer> {
  const invalid = findPatchProblem(command);
  if (invalid) return Promise.resolve(fail(invalid));
  const { id = newId<"customer">(), email, name, phone, locale, metadata } = command;
  const made = {
    id,
    email: foldEmail(email),
    name: name ?? null,
    phone: phone ?? null,
    locale: locale ?? null,
    isGuest: false,
    metadata: metadata ?? {},
    version: 1,
  };
  return work.transact<Customer, CustomerFailure>(
    ctx,
    async (tx) => {
      const [added, found] = await Promise.all([
        insertCustomers(tx, [made]),
        findByIdOrEmail(tx, [id], [made.email]),
      ]);
      const mine = found.find((customer) => customer.id === id);
      if (added.has(id) && mine) {
        append(tx, ctx, "customers.customer_created", eventData(mine, []));
        return ok(mine);
      }
      if (mine) {
        // A retry with the caller's own id is the same command, unless it says something else.
        return mine.email === made.email ? ok(mine) : fail({ code: "customers.id_taken", id });
      }
      const holder = found.find((customer) => customer.email === made.email);
      if (!holder?.isGuest) return fail({ code: "customers.email_taken", email: made.email });
      return patchLocked(tx, ctx, holder.id, { patch: command });
    },
    { name: "customers.create" },
  );
}

/** A change of a customer, and the version it is meant for. */
export interface CustomerChange {
  readonly patch: CustomerPatch;
  readonly expectedVersion?: number | undefined;
}

/** Changes a customer's profile. */
export function updateCustomer(
  { work }: CommandDeps,
  ctx: Context,
  id: CustomerId,
  change: CustomerChange,
): Outcome<Customer> {
  return work
    .transact<Customer, CustomerFailure>(ctx, (tx) => patchLocked(tx, ctx, id, change), {
      name: "customers.update",
    })
    .catch((error) => {
      // Two customers changed to one email at the same moment: the slower one is refused.
      if (!isEmailTaken(error)) throw error;
      return fail({ code: "customers.email_taken", email: foldEmail(change.patch.email ?? "") });
    });
}

function isEmailTaken(error: unknown): boolean {
  return error instanceof DbError && error.constraint === "customers_tenant_id_email_key";
}

async function patchLocked(
  tx: TenantTx,
  ctx: Context,
  id: CustomerId,
  { patch, expectedVersion }: CustomerChange,
): Promise<Result<Customer, CustomerFailure>> {
  const before = await lockCustomer(tx, id);
  if (!before) return fail({ code: "customers.not_found", customerId: id });
  if (expectedVersion !== undefined && expectedVersion !== before.version) {
    return fail({ code: "customers.stale", version: before.version });
  }
  const decision = changeCustomer(before, patch);
  if (!decision.ok) return decision;
  const changed = changedFields(before, decision.value);
  if (changed.length === 0) return ok(before);
  const after = await updateCustomerRow(tx, decision.value);
  if (!after) return fail({ code: "customers.email_taken", email: decision.value.email });
  append(tx, ctx, "customers.customer_updated", eventData(after, changed));
  return ok(after);
}

/** Adds an address to a customer's book, or replaces the one with the same id. */
export function saveAddress(
  { work }: CommandDeps,
  ctx: Context,
  customerId: CustomerId,
  command: NewAddress,
): Outcome<CustomerAddress> {
  const invalid = findAddressProblem(command);
  if (invalid) return Promise.resolve(fail(invalid));
  return work.transact<CustomerAddress, CustomerFailure>(
    ctx,
    async (tx) => {
      const id = command.id ?? newId<"address">();
      const [customer, owner, known] = await Promise.all([
        lockCustomer(tx, customerId),
        findAddressOwner(tx, id),
        listAddresses(tx, customerId),
      ]);
      if (!customer) return fail({ code: "customers.not_found", customerId });
      if (owner !== undefined && owner !== customerId) {
        return fail({ code: "customers.id_taken", id });
      }
      if (owner === undefined && known.length >= addressesPerCustomerMax) {
        return fail({
          code: "customers.too_many_addresses",
          addressesMax: addressesPerCustomerMax,
        });
      }
      const address = toAddress(id, customerId, command);
      saveAddressRow(tx, address);
      append(tx, ctx, "customers.address_saved", { customerId, addressId: id });
      return ok(address);
    },
    { name: "customers.save_address" },
  );
}

/** Takes an address out of a customer's book. */
export function deleteAddress(
  { work }: CommandDeps,
  ctx: Context,
  customerId: CustomerId,
  addressId: AddressId,
): Outcome<void> {
  return work.transact<void, CustomerFailure>(
    ctx,
    async (tx) => {
      const customer = await lockCustomer(tx, customerId);
      if (!customer) return fail({ code: "customers.not_found", customerId });
      const isGone = await deleteAddressRow(tx, customerId, addressId);
      if (!isGone) return fail({ code: "customers.address_not_found", addressId });
      append(tx, ctx, "customers.address_deleted", { customerId, addressId });
      return ok(undefined);
    },
    { name: "customers.delete_address" },
  );
}

/** Records what a customer agreed to or took back. */
export function recordConsents(
  { work, clock }: CommandDeps,
  ctx: Context,
  customerId: CustomerId,
  statements: readonly NewConsent[],
): Outcome<readonly Consent[]> {
  for (const statement of statements) {
    const invalid = findConsentProblem(statement);
    if (invalid) return Promise.resolve(fail(invalid));
  }
  return work.transact<readonly Consent[], CustomerFailure>(
    ctx,
    async (tx) => {
      const customer = await lockCustomer(tx, customerId);
      if (!customer) return fail({ code: "customers.not_found", customerId });
      const consents = statements.map(({ id, at, ...rest }) => ({
        ...rest,
        id: id ?? newId<"consent">(),
        customerId,
        at: at ?? clock(),
      }));
      const added = await insertConsents(tx, consents);
      for (const { id, purpose, state } of consents.filter((consent) => added.has(consent.id))) {
        append(tx, ctx, "customers.consent_recorded", {
          customerId,
          consentId: id,
          purpose,
          state,
        });
      }
      return ok(consents);
    },
    { name: "customers.record_consents" },
  );
}

function toAddress(id: AddressId, customerId: CustomerId, command: NewAddress): CustomerAddress {
  return {
    id,
    customerId,
    name: command.name,
    company: command.company ?? null,
    line1: command.line1,
    line2: command.line2 ?? null,
    city: command.city,
    region: command.region ?? null,
    postalCode: command.postalCode,
    countryCode: command.countryCode,
    phone: command.phone ?? null,
    isDefaultShipping: command.isDefaultShipping ?? false,
    isDefaultBilling: command.isDefaultBilling ?? false,
  };
}

function eventData({ id, isGuest, version }: Customer, changed: readonly string[]) {
  return { customerId: id, isGuest, version, changed };
}

function append<Type extends keyof CustomerEvents>(
  tx: TenantTx,
  ctx: Context,
  type: Type,
  data: CustomerEvents[Type],
): void {
  appendEvents(tx, ctx, [{ type, version: 1, stream: `customer:${data.customerId}`, data }]);
}
