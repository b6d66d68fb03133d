import type { Id } from "../../kernel/ids.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type CustomerId = Id<"customer">;
export type AddressId = Id<"address">;
export type ConsentId = Id<"consent">;

/** A person who buys. */
export interface Customer {
  readonly id: CustomerId;
  /** Folded: trimmed, lower case; unique in the tenant. */
  readonly email: string;
  readonly name: string | null;
  readonly phone: string | null;
  /** BCP 47 language tag, `de-AT`. */
  readonly locale: string | null;
  /** Known only from checkouts; an update of the profile makes a guest a customer. */
  readonly isGuest: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A postal address, as the carrier needs it. */
export interface AddressFields {
  readonly name: string;
  readonly company?: string | null;
  readonly line1: string;
  readonly line2?: string | null;
  readonly city: string;
  readonly region?: string | null;
  readonly postalCode: string;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countryCode: string;
  readonly phone?: string | null;
}

/** An address in a customer's book. */
export interface CustomerAddress extends AddressFields {
  readonly id: AddressId;
  readonly customerId: CustomerId;
  /** At most one of a customer's. */
  readonly isDefaultShipping: boolean;
  /** At most one of a customer's. */
  readonly isDefaultBilling: boolean;
}

/** One statement about a purpose; the newest of a purpose holds. */
export interface Consent {
  readonly id: ConsentId;
  readonly customerId: CustomerId;
  /** What the data may be used for: `marketing.email`. */
  readonly purpose: string;
  readonly state: "granted" | "withdrawn";
  /** Where it was said: `checkout`, `preference_centre`. */
  readonly source: string;
  readonly at: Date;
}

/** What may be set on a customer; absent leaves it, null clears it. */
export interface CustomerPatch {
  readonly email?: string;
  readonly name?: string | null;
  readonly phone?: string | null;
  readonly locale?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A customer to be made. */
export interface NewCustomer extends CustomerPatch {
  /** Made by the caller so that a retry is the same command. */
  readonly id?: CustomerId;
  readonly email: string;
}

/** An address to be made or replaced. */
export interface NewAddress extends AddressFields {
  readonly id?: AddressId;
  readonly isDefaultShipping?: boolean;
  readonly isDefaultBilling?: boolean;
}

/** A statement to be recorded. */
export interface NewConsent {
  readonly id?: ConsentId;
  readonly purpose: string;
  readonly state: "granted" | "withdrawn";
  readonly source: string;
  /** When it was said; default now. */
  readonly at?: Date;
}

/** Somebody at a checkout. */
export interface GuestInput {
  readonly email: string;
  readonly name?: string | null;
  readonly phone?: string | null;
  readonly locale?: string | null;
}

/** Most addresses of one customer. */
export const addressesPerCustomerMax = 50;

export type CustomerFailure =
  | { readonly code: "customers.not_found"; readonly customerId: string }
  | { readonly code: "customers.email_taken"; readonly email: string }
  | { readonly code: "customers.id_taken"; readonly id: string }
  | { readonly code: "customers.stale"; readonly version: number }
  | { readonly code: "customers.address_not_found"; readonly addressId: string }
  | { readonly code: "customers.too_many_addresses"; readonly addressesMax: number }
  | { readonly code: "customers.invalid"; readonly field: string; readonly reason: string };

/** HTTP status of each refusal. */
export const customerFailureStatuses: FailureStatuses<CustomerFailure> = {
  "customers.not_found": 404,
  "customers.email_taken": 409,
  "customers.id_taken": 409,
  "customers.stale": 412,
  "customers.address_not_found": 404,
  "customers.too_many_addresses": 422,
  "customers.invalid": 422,
};

/** What the events of a customer carry: never personal data. Stream: `customer:<id>`. */
export interface CustomerEventData {
  readonly customerId: CustomerId;
  readonly isGuest: boolean;
  readonly version: number;
  /** Names of the fields that differ. */
  readonly changed: readonly string[];
}

/** Data of each event type, all version 1. Stream: `customer:<id>`. */
export interface CustomerEvents {
  readonly "customers.customer_created": CustomerEventData;
  readonly "customers.customer_updated": CustomerEventData;
  readonly "customers.address_saved": {
    readonly customerId: CustomerId;
    readonly addressId: AddressId;
  };
  readonly "customers.address_deleted": {
    readonly customerId: CustomerId;
    readonly addressId: AddressId;
  };
  readonly "customers.consent_recorded": {
    readonly customerId: CustomerId;
    readonly consentId: ConsentId;
    readonly purpose: string;
    readonly state: "granted" | "withdrawn";
  };
}

/** The event types of this module. */
export const customerEventTypes: readonly (keyof CustomerEvents)[] = [
  "customers.customer_created",
  "customers.customer_updated",
  "customers.address_saved",
  "customers.address_deleted",
  "customers.consent_recorded",
];
