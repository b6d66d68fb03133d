import { v7 } from "uuid";

declare const brand: unique symbol;

/** A UUID that the compiler keeps apart from other entities' UUIDs. */
export type Id<Entity extends string> = string & { readonly [brand]: Entity };

/** Names a brand that sells through this deployment. */
export type TenantId = Id<"tenant">;

/**
 * Mints a time-ordered id (UUID version 7).
 *
 * Ids minted in one process within one millisecond still ascend (monotonic counter).
 * @see https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
 */
export function newId<Entity extends string>(): Id<Entity> {
  return v7() as Id<Entity>;
}

/**
 * Mints an id as of another moment, so that imported history lands in its own month's partition.
 *
 * @param at moment the id carries, to the millisecond
 */
export function newIdAt<Entity extends string>(at: Date): Id<Entity> {
  return v7({ msecs: at.getTime() }) as Id<Entity>;
}

/** The smallest UUIDv7 of a millisecond: bounds of partitions and of time ranges over ids. */
export function lowestIdAt(at: Date): string {
  const hex = at.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** The moment a UUIDv7 was minted for. */
export function timeOfId(id: string): Date {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether a text is a UUID in canonical lower case. */
export function isId(text: unknown): text is Id<never> {
  return typeof text === "string" && uuid.test(text);
}
