import { isCountryCode } from "../../kernel/country.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { findUnstorableText } from "../../kernel/text.ts";
import type {
  AddressFields,
  Customer,
  CustomerFailure,
  CustomerPatch,
  NewConsent,
} from "./contract.ts";

type Invalid = Extract<CustomerFailure, { readonly code: "customers.invalid" }>;

/** Folds an email: without surrounding space, composed, lower case. One address is one customer. */
export function foldEmail(email: string): string {
  return email.trim().normalize("NFC").toLowerCase();
}

/** Whether a folded text may be an email address; only sending a mail can really tell. */
export function isEmail(folded: string): boolean {
  if (folded.length < 3 || folded.length > 254) return false;
  return folded.isWellFormed() && /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u.test(folded);
}

/** Merges a patch into a customer; whoever has given a profile is no guest any more. Pure. */
export function changeCustomer(
  before: Customer,
  patch: CustomerPatch,
): Result<Customer, CustomerFailure> {
  const invalid = findPatchProblem(patch);
  if (invalid) return fail(invalid);
  return ok({
    ...before,
    email: patch.email === undefined ? before.email : foldEmail(patch.email),
    name: patch.name === undefined ? before.name : patch.name,
    phone: patch.phone === undefined ? before.phone : patch.phone,
    locale: patch.locale === undefined ? before.locale : patch.locale,
    metadata: patch.metadata ?? before.metadata,
    isGuest: false,
    version: before.version + 1,
  });
}

/** Checks the fields that are there. @returns the first problem */
export function findPatchProblem(patch: CustomerPatch): Invalid | undefined {
  const bad = findUnstorableText(patch);
  if (bad) return invalid(bad, "contains a NUL or half a surrogate pair");
  const { email, name, phone, locale, metadata = {} } = patch;
  if (email !== undefined && !isEmail(foldEmail(email))) {
    return invalid("email", "must be an email address");
  }
  if (locale !== undefined && locale !== null && !isLocale(locale)) {
    return invalid("locale", "must be a BCP 47 language tag");
  }
  const entries = Object.entries(metadata);
  if (entries.length > 50) return invalid("metadata", "has more than 50 entries");
  if (entries.some(([key, value]) => key.length > 100 || value.length > 2_000)) {
    return invalid("metadata", "keys have at most 100 characters, values 2,000");
  }
  return tooLong("name", name, 200) ?? tooLong("phone", phone, 50);
}

/** Checks a postal address. @returns the first problem */
export function findAddressProblem(address: AddressFields): Invalid | undefined {
  const bad = findUnstorableText(address);
  if (bad) return invalid(bad, "contains a NUL or half a surrogate pair");
  if (!isCountryCode(address.countryCode)) {
    return invalid("countryCode", "must be an ISO 3166-1 alpha-2 code, upper case");
  }
  for (const field of ["name", "line1", "city"] as const) {
    if (address[field].trim() === "") return invalid(field, "must not be blank");
  }
  return (
    tooLong("name", address.name, 200) ??
    tooLong("company", address.company, 200) ??
    tooLong("line1", address.line1, 200) ??
    tooLong("line2", address.line2, 200) ??
    tooLong("city", address.city, 120) ??
    tooLong("region", address.region, 120) ??
    tooLong("postalCode", address.postalCode, 20) ??
    tooLong("phone", address.phone, 50)
  );
}

/** Checks a statement of consent. @returns the first problem */
export function findConsentProblem(consent: NewConsent): Invalid | undefined {
  if (!/^[a-z0-9_.]{1,100}$/.test(consent.purpose)) {
    return invalid("purpose", "must be 1 to 100 of a-z, 0-9, _ and .");
  }
  const bad = findUnstorableText(consent.source);
  if (bad || consent.source.trim() === "" || consent.source.length > 200) {
    return invalid("source", "must be a text of 1 to 200 characters");
  }
  // Not so for an invalid date either.
  if (consent.at && !(consent.at.getTime() >= 0)) {
    return invalid("at", "must be a moment since 1970");
  }
  return undefined;
}

/** Names the fields that differ. */
export function changedFields(before: Customer, after: Customer): readonly string[] {
  const fields = ["email", "name", "phone", "locale", "isGuest"] as const;
  const changed: string[] = fields.filter((field) => before[field] !== after[field]);
  const text = (metadata: Customer["metadata"]) => JSON.stringify(Object.entries(metadata).sort());
  if (text(before.metadata) !== text(after.metadata)) changed.push("metadata");
  return changed;
}

function isLocale(locale: string): boolean {
  try {
    return locale.length <= 35 && Intl.getCanonicalLocales(locale).length === 1;
  } catch {
    return false;
  }
}

function tooLong(field: string, text: string | null | undefined, most: number) {
  if (text === null || text === undefined || text.length <= most) return undefined;
  return invalid(field, `has more than ${most} characters`);
}

function invalid(field: string, reason: string): Invalid {
  return { code: "customers.invalid", field, reason };
}
