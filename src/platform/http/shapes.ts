import { type TSchema, Type } from "typebox";
import type { Context } from "../../kernel/context.ts";
import type { Id } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import { ok, type Result } from "../../kernel/result.ts";
import {
  type BadCursor,
  type CursorPosition,
  type CursorScope,
  readCursor,
  signCursor,
} from "./cursor.ts";

/** Shapes that every module's requests and answers are made of. */
export const Uuid = Type.String({ format: "uuid" });

/** An id of one kind of entity, which the compiler keeps apart from the others. */
export function IdOf<Entity extends string>() {
  return Type.Unsafe<Id<Entity>>({ type: "string", format: "uuid" });
}

/** ISO 4217 code. */
export const Currency = Type.String({ pattern: "^[A-Z]{3}$" });
/** A moment, RFC 3339. */
export const Moment = Type.String({ format: "date-time" });
/** A text or null: one type and not a union, which the serialiser would try branch by branch. */
export const NullableText = Type.Unsafe<string | null>({ type: ["string", "null"] });
/** A whole number or null. */
export const NullableInteger = Type.Unsafe<number | null>({ type: ["integer", "null"] });
/** Texts by name; the names are the caller's. */
export const TextByName = Type.Record(Type.String(), Type.String());

/** Fields of the query of a list. */
export const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
};

/** Items per page where the caller does not say. */
export const pageSizeDefault = 20;

/** Body of one page of a list. */
export function PageOf<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });
}

/** Which list a page is of, and which page. */
export interface PageRequest {
  readonly ctx: Context;
  /** Name of the list and its order. */
  readonly list: string;
  readonly filter?: CursorScope["filter"];
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** How to read a list. */
export interface PageSource<Item> {
  /** Reads at most `limit` items behind a position. */
  readonly read: (after: CursorPosition | undefined, limit: number) => Promise<readonly Item[]>;
  /** Place of an item in the list's order. */
  readonly positionOf: (item: Item) => CursorPosition;
}

/**
 * Reads one page: one item more than asked for tells whether there is a next one.
 *
 * @returns request.bad_cursor for a cursor of another list, tenant or filter
 */
export async function readPage<Item>(
  { ctx, list, filter = {}, limit = pageSizeDefault, cursor }: PageRequest,
  source: PageSource<Item>,
): Promise<Result<Page<Item>, BadCursor>> {
  const scope: CursorScope = { tenantId: ctx.tenantId, list, filter };
  const position = cursor === undefined ? ok(undefined) : readCursor(scope, cursor);
  if (!position.ok) return position;
  const found = await source.read(position.value, limit + 1);
  const items = found.slice(0, limit);
  const last = items.at(-1);
  if (found.length <= limit || last === undefined) return ok({ items });
  return ok({ items, nextCursor: signCursor(scope, source.positionOf(last)) });
}
