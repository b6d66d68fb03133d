import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

declare const brand: unique symbol;

/** A UUID that the compiler keeps apart from other entities' UUIDs. */
export type Id<Entity extends string> = string & { readonly [brand]: Entity };

/** Names a brand that sells through this deployment. */
export type TenantId = Id<"tenant">;

/** Randomness for 256 ids at a time: asking for it id by id was two thirds of minting one. */
const randomness = new Uint8Array(16 * 256);
let used = randomness.length;
let lastMs = Number.NEGATIVE_INFINITY;
/** Counts the ids of a millisecond, from a random start: 32 bits. */
let sequence = 0;

/**
 * Mints a time-ordered id (UUID version 7).
 *
 * Ids minted in one process within one millisecond still ascend (monotonic counter).
 * @see https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
 */
export function newId<Entity extends string>(): Id<Entity> {
  const random = nextRandom();
  const nowMs = Date.now();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    sequence = new DataView(random.buffer, random.byteOffset).getUint32(6) & 0x7fff_ffff;
  } else {
    sequence = (sequence + 1) | 0;
    if (sequence === 0) lastMs++;
  }
  return v7({ msecs: lastMs, seq: sequence, random }) as Id<Entity>;
}

function nextRandom(): Uint8Array {
  if (used === randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  used += 16;
  return randomness.subarray(used - 16, used);
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
